"""The gate before every daemon's application: who may ask here, and how browsers and old clients are answered.

Where keys are needed, only a caller who shows one gets past it, but for the paths that are open to everybody.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from daemons.process.guard.callers import CALLER, FAILED_SIGN_INS, OPEN, Caller, Door
from daemons.process.guard.event_source import is_event_source, surviving
from daemons.process.guard.hosts import Hosts
from daemons.process.guard.in_flight import InFlight, counted
from daemons.process.guard.limiter import VITALS, Limiter
from daemons.process.guard.origins import Origins, preflight
from daemons.process.guard.proxies import FORWARDED_FOR, FORWARDED_PROTO, Proxies
from daemons.process.guard.refusals import Refusal

LOOKED_AT = frozenset(
    {b"host", b"origin", b"sec-fetch-site", b"content-encoding", b"accept", b"authorization"}
    | {b"signature-input", b"signature"}
    | {FORWARDED_FOR, FORWARDED_PROTO}
)
ONCE = {b"host": "Host", b"origin": "Origin", b"sec-fetch-site": "Sec-Fetch-Site"}
ALLOW = b"GET, HEAD, OPTIONS, POST, PUT"


class Gate:
    """An ASGI application that passes on the requests that it does not refuse.

    Without a `door` everybody may ask for everything; without a `limiter` as often as they like.
    """

    def __init__(
        self,
        app: Any,
        hosts: Hosts,
        origins: Origins,
        in_flight: InFlight,
        door: Door | None = None,
        limiter: Limiter | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins
        self._in_flight = in_flight
        self._door = door
        self._limiter = limiter
        self._proxies = proxies

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            seen = _look_at(scope["headers"])
            if self._proxies is not None:
                self._proxies.note_client(scope, seen)
            readable = self._check(scope, seen)
        except Refusal as refusal:
            await refusal.answer(send)
            return
        method = scope["method"]
        if readable:
            send = _with_headers(send, readable)
        if method == "OPTIONS" and readable:  # browsers show no key with this question
            await _answer_empty(send, preflight([]))
            return
        if self._door is not None and scope["path"] not in OPEN:
            try:
                scope[CALLER], receive = await self._admit(self._door, scope, receive, seen)
            except Refusal as refusal:
                await self._refused_key(scope, refusal).answer(send)
                return
        if method == "OPTIONS" and scope["path"] == "*":
            await _answer_empty(send, [(b"allow", ALLOW)])
            return
        if method == "OPTIONS":
            send = _naming_head(send)
        if b"accept" in seen and method == "GET" and is_event_source(seen[b"accept"]):
            send = surviving(send)
        app = partial(_answer_head, self._app) if method == "HEAD" else self._app
        if scope["path"] in VITALS:
            await app(scope, receive, send)
            return
        try:
            self._in_flight.check()
            told = [] if self._limiter is None else await self._limiter.take(scope)
        except Refusal as refusal:
            await refusal.answer(send)
            return
        if told:
            send = _with_headers(send, told)
        await counted(app, scope, receive, send, self._in_flight)

    async def _admit(self, door: Door, scope: Any, receive: Any, seen: dict[bytes, bytes]) -> tuple[Caller, Any]:
        """The caller, and a `receive` with the body of the request. Who shows a key need not sign."""
        shown = seen.get(b"authorization")
        if shown is None and (b"signature-input" in seen or b"signature" in seen):
            if scope["path"] not in VITALS:
                self._in_flight.check()  # before its body is read and its nonce is written
            return await door.admit_signed(scope, receive)
        return await door.admit(shown, scope["server"][1]), receive

    def _refused_key(self, scope: Any, refusal: Refusal) -> Refusal:
        """What is answered to a caller whom the door has refused."""
        if self._limiter is None or refusal.code not in FAILED_SIGN_INS:
            return refusal
        return self._limiter.failed(scope["client"]) or refusal

    def _check(self, scope: Any, seen: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        host = seen.get(b"host")
        if host is not None:
            self._hosts.check(host, scope["server"][0])
        elif scope["http_version"] != "1.0":
            raise Refusal(400, "host_malformed", "a request of HTTP/1.1 needs a Host header")
        readable = self._origins.check(seen.get(b"origin"), seen.get(b"sec-fetch-site"), host)
        if seen.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
            headers = {"Accept-Encoding": "identity"}
            raise Refusal(415, "unsupported_media_type", "no Content-Encoding is taken here", headers)
        return readable


async def _answer_empty(send: Any, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _look_at(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers that the gate looks at; raises a Refusal when one is repeated that may stand once."""
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in LOOKED_AT:
            if name in seen:
                if name in ONCE:
                    raise Refusal(400, "header_repeated", f"{ONCE[name]} may stand once")
                value = seen[name] + b", " + value  # noqa: PLW2901 - a list in two headers is one list
            seen[name] = value
    return seen


def _with_headers(send: Any, headers: list[tuple[bytes, bytes]]) -> Any:
    async def send_with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *headers]}
        await send(message)

    return send_with_headers


def with_head(allowed: str) -> str:
    """The methods of an Allow header in order, with HEAD beside GET. The framework has them in any order."""
    methods = {method.strip() for method in allowed.split(",")}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _naming_head(send: Any) -> Any:
    async def send_with_head(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, with_head(value.decode()).encode() if name.lower() == b"allow" else value)
                for name, value in message["headers"]
            ]
            message = {**message, "headers": headers}
        await send(message)

    return send_with_head


async def _answer_head(app: Any, scope: Any, receive: Any, send: Any) -> None:
    """Answer HEAD with the headers that GET has; uvicorn leaves the body out, since it still reads HEAD in its scope.

    A live stream never ends by itself, so the application is told that the caller has gone once the headers are sent.
    """
    begun = ended = False

    async def send_headers(message: Any) -> None:
        nonlocal begun, ended
        begun = True
        if message["type"] == "http.response.start":
            await send(message)
        elif not message.get("more_body") and not ended:
            ended = True
            await send(message)

    async def receive_until_begun() -> Any:
        return {"type": "http.disconnect"} if begun else await receive()

    await app({**scope, "method": "GET"}, receive_until_begun, send_headers)
    if begun and not ended:
        await send({"type": "http.response.body", "body": b""})
