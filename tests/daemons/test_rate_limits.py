"""Rate limits and overload: who is refused and what is told, in one process and in those that share a Redis."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from core.adapters.redis.redis_buckets import open_buckets
from core.api_keys import Role
from core.home_key import CALLER as HOME
from core.quotas import DEFAULT_QUOTAS, Quota, read_quotas
from core.settings import Settings
from daemons.process.guard.callers import Caller, no_key, wrong_key
from daemons.process.guard.gate import Gate
from daemons.process.guard.hosts import Hosts
from daemons.process.guard.in_flight import InFlight
from daemons.process.guard.limiter import Limiter, class_of
from daemons.process.guard.origins import Origins
from tests.support.redis_server import RedisServer

CALLERS = {
    b"Bearer ana": Caller("ana", Role.OPERATOR),
    b"Bearer bo": Caller("bo", Role.OPERATOR),
    b"Bearer home": Caller(HOME, Role.ADMIN),
}


class Doorkeeper:
    async def admit(self, authorization: bytes | None, port: int) -> Caller:
        assert port == 8080
        if authorization is None:
            raise no_key()
        if authorization not in CALLERS:
            raise wrong_key()
        return CALLERS[authorization]

    async def admit_signed(self, scope: Any, receive: Any) -> tuple[Caller, Any]:
        raise AssertionError(f"nothing is signed here, as {scope} {receive} is")


@dataclass
class Told:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def gate_with(quotas: dict[str, Quota], *, app: Any = None, keys: bool = True, most: int = 256) -> tuple[Gate, Limiter]:
    limiter = Limiter(quotas)
    door = Doorkeeper() if keys else None
    return Gate(app or answer_ok, Hosts([]), Origins([]), InFlight(most), door, limiter), limiter


async def answer_ok(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def ask(
    gate: Gate,
    path: str = "/api/v1/orders",
    key: str | None = "ana",
    *,
    method: str = "GET",
    address: str = "192.0.2.1",
    body: Callable[[], Any] | None = None,
) -> Told:
    told = Told()
    headers = [(b"host", b"localhost"), *([(b"authorization", f"Bearer {key}".encode())] if key else [])]
    headers += [(b"content-length", b"2")] if body else []

    async def receive() -> Any:
        data = await body() if body else b""
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            told.status = message["status"]
            told.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            told.body += message.get("body", b"")

    scope = {
        "type": "http", "method": method, "path": path, "headers": headers, "http_version": "1.1", "query_string": b"",
        "server": ("127.0.0.1", 8080), "client": (address, 1),
    }  # fmt: skip
    await gate(scope, receive, send)
    return told


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


# --- what is limited ----------------------------------------------------------------------------------------
def test_every_request_is_of_one_class_however_its_path_is_written() -> None:
    for method, path, name in (
        ("GET", "/api/v1/orders", "reads"), ("HEAD", "/api/v1/orders", "reads"), ("OPTIONS", "/x", "reads"),
        ("GET", "/api/v1/events/stream", "feeds"), ("GET", "/docs", "reads"), ("GET", "//api/v1/admin/keys", "reads"),
        ("GET", "/api/v1/admin/keys", "admin"), ("POST", "/api/v1/admin/rebuilds", "admin"),
        ("POST", "/api/v1/orders", "commands"), ("PUT", "/api/v1/events/stream", "commands"), ("BREW", "/", "commands"),
    ):  # fmt: skip
        assert class_of(method, path) == name, (method, path)


def test_limits_hold_by_default_only_where_keys_are_needed() -> None:
    assert Settings().quotas == {}
    assert Settings(require_keys=True).quotas == DEFAULT_QUOTAS
    assert Settings(require_keys=True, rate_limits="off").quotas == {}
    assert Settings(rate_limits="reads=5/s, feeds = 1/60s").quotas == {"reads": Quota(5, 1), "feeds": Quota(1, 60)}
    some = Settings(require_keys=True, rate_limits="reads=off,commands=1/1s").quotas
    assert "reads" not in some
    assert (some["commands"], some["admin"]) == (Quota(1, 1), DEFAULT_QUOTAS["admin"])


@pytest.mark.parametrize("wrong", ["on", "reads", "reads=0/1s", "reads=5", "reads=5/0s", "orders=1/1s", "reads=1/1m"])
def test_a_wrong_limit_is_told_in_a_sentence(wrong: str) -> None:
    with pytest.raises(ValueError, match="must"):
        read_quotas(wrong, defaults=False)


# --- with a Redis --------------------------------------------------------------------------------------------
async def test_without_an_answer_of_redis_a_process_counts_alone_and_says_so(redis_server: RedisServer) -> None:
    async with open_buckets(redis_server.url, uuid4().hex, "test") as shared:
        gate, limiter = gate_with({"reads": Quota(10, 600)})
        limiter.shared, limiter.has_shared = shared, True
        while await shared.take("reached", Quota(1_000_000, 1)) is None:
            await asyncio.sleep(0.01)
        assert (await ask(gate)).status == 200
        alone = counted("orderdeck_rate_limits_alone_total")
        redis_server.pause()
        try:
            began = time.monotonic()
            assert [(await ask(gate, key="bo")).status for _ in range(20)] == [200] * 10 + [429] * 10
            assert time.monotonic() - began < 2.0
        finally:
            redis_server.resume()
        assert counted("orderdeck_rate_limits_alone_total") == alone + 20


# --- what callers are told ----------------------------------------------------------------------------------
async def test_each_caller_is_told_what_is_left_and_refused_when_nothing_is() -> None:
    gate, _ = gate_with({"reads": Quota(2, 600), "commands": Quota(1, 600)})
    first = await ask(gate)
    assert first.headers == {"ratelimit-policy": '"reads";q=2;w=600', "ratelimit": '"reads";r=1;t=300'}
    assert (await ask(gate)).headers["ratelimit"] == '"reads";r=0;t=300'
    refused = await ask(gate, "/api/v1/stats")
    problem = json.loads(refused.body)
    assert (refused.status, refused.headers["retry-after"]) == (429, "300")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["ratelimit"] == '"reads";r=0;t=300'
    assert (problem["code"], problem["violated-policies"]) == ("quota_exceeded", ["reads"])
    assert (await ask(gate, key="bo")).status == 200, "another caller has a bucket of its own"
    assert (await ask(gate, method="POST")).status == 200, "so has another class"
    assert (await ask(gate, method="POST", address="192.0.2.9")).status == 429, "a key counts wherever it is used"
    free = await ask(gate, "/api/v1/admin/keys")
    assert (free.status, free.headers) == (200, {}), "a class without a limit"


async def test_daemons_of_one_home_and_vitals_are_never_limited() -> None:
    gate, _ = gate_with({"reads": Quota(1, 600), "failures": Quota(1, 600)})
    assert [(await ask(gate, key="home")).status for _ in range(5)] == [200] * 5
    for path in ("/health", "/ready", "/metrics"):
        assert [(await ask(gate, path)).status for _ in range(5)] == [200] * 5


async def test_without_keys_each_address_is_a_caller() -> None:
    gate, _ = gate_with({"reads": Quota(1, 600)}, keys=False)
    assert [(await ask(gate, key=None)).status for _ in range(2)] == [200, 429]
    assert (await ask(gate, key=None, address="192.0.2.2")).status == 200
    assert (await ask(gate, key=None, address="2001:db8::1")).status == 200
    assert (await ask(gate, key=None, address="2001:db8::2")).status == 429, "a /64 is one caller's"


async def test_who_guesses_keys_is_limited_and_shuts_nobody_out() -> None:
    gate, _ = gate_with({"failures": Quota(3, 600)})
    limited = counted("orderdeck_rate_limited_requests_total", limit="failures")
    assert [(await ask(gate, key=f"guess{number}")).status for number in range(5)] == [401, 401, 401, 429, 429]
    assert counted("orderdeck_rate_limited_requests_total", limit="failures") == limited + 2
    assert (await ask(gate, key="guess", address="192.0.2.7")).status == 401, "another address"
    assert (await ask(gate, key=None)).status == 401, "who shows nothing guesses nothing"
    assert (await ask(gate)).status == 200, "a valid key is let in from the same address"


# --- overload -----------------------------------------------------------------------------------------------
async def test_requests_beyond_the_bound_are_refused_before_their_body_is_read_and_health_answers() -> None:
    goes_on, read = asyncio.Event(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/health":
            read.append(await receive())
            await goes_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    gate, _ = gate_with({}, app=app, most=3)
    never = asyncio.Event()

    async def slow_body() -> bytes:
        await never.wait()
        return b"{}"

    async def body() -> bytes:
        return b"{}"

    slow = [asyncio.create_task(ask(gate, method="POST", body=slow_body)) for _ in range(10)]
    working = [asyncio.create_task(ask(gate, method=each, body=body)) for each in ("GET", "POST", "PUT")]
    while len(read) < 3:
        await asyncio.sleep(0)
    assert counted("orderdeck_http_requests_in_flight") == 3
    refused = await ask(gate, method="POST", body=body)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert json.loads(refused.body)["code"] == "overloaded"
    assert len(read) == 3, "the body of the refused request was not read"
    assert (await ask(gate, "/health")).status == 200
    goes_on.set()
    assert [(await each).status for each in working] == [200, 200, 200]
    assert (await ask(gate, method="POST", body=body)).status == 200
    never.set()
    assert [(await each).status for each in slow] == [200] * 10
    assert counted("orderdeck_http_requests_in_flight") == 0


async def test_a_request_that_fails_or_is_broken_off_gives_its_place_back() -> None:
    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        if scope["path"] == "/api/v1/fails":
            raise ConnectionError
        await asyncio.Event().wait()

    gate, _ = gate_with({}, app=app, most=1)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await ask(gate, "/api/v1/fails")
        broken_off = asyncio.create_task(ask(gate))
        await asyncio.sleep(0)
        broken_off.cancel()
        await asyncio.wait({broken_off})
    assert counted("orderdeck_http_requests_in_flight") == 0
