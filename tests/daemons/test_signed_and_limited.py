"""A signed request that is refused for its number has come all the same; one that meets an overload has not."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx

from core.quotas import Quota
from daemons.process.guard.gate import Gate
from daemons.process.guard.hosts import Hosts
from daemons.process.guard.in_flight import InFlight
from daemons.process.guard.limiter import Limiter
from daemons.process.guard.origins import Origins
from daemons.process.key_ring import KeyRing
from tests.support.signing import SigningKeys, scope_of, signed


async def ask_gate(ring: KeyRing, request: httpx.Request, limiter: Limiter, most: int) -> tuple[int, str]:
    """The status, and the code of a refusal."""
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    gate = Gate(app, Hosts(["desk.example"]), Origins([]), InFlight(most), ring, limiter)
    at = {"path": request.url.path, "http_version": "1.1", "server": ("127.0.0.1", 8080), "client": ("192.0.2.1", 1)}
    await gate(scope_of(request) | at, receive, send)
    return answers[0]["status"], json.loads(answers[1]["body"]).get("code", "")


async def test_what_is_refused_for_its_number_has_come_and_what_meets_an_overload_has_not() -> None:
    ring, keys = KeyRing(None), SigningKeys()
    await ring.look(cast("Any", keys))
    limiter = Limiter({"commands": Quota(1, 60)})
    first, second = signed(), signed(nonce="another one that is long")
    assert await ask_gate(ring, first, limiter, most=0) == (503, "overloaded")
    assert not keys.nonces, "nothing is written for it, and it may be sent once more as it is"
    assert await ask_gate(ring, first, limiter, most=1) == (200, "")
    assert await ask_gate(ring, second, limiter, most=1) == (429, "quota_exceeded")
    for again in (first, second):  # who has seen one on its way can neither have it done nor use up the limit with it
        assert await ask_gate(ring, again, Limiter({}), most=1) == (401, "signature_used")
