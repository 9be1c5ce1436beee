"""One request and its answer, as uvicorn has them, but the head of an answer goes out together with its body.

That is one call of the system instead of two. Where the connection ends, the head says so: RFC 9112, section 9.6.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

# The bytes that no name of a header may have, and those that no value may have (RFC 9110, section 5.5).
NO_NAME = bytes(range(33)) + b'()<>@,;:\\[]={}"\x7f'
NO_VALUE = bytes(range(9)) + bytes(range(10, 32)) + b"\x7f"
OUR_MISTAKE = b"Internal Server Error"

_log = logging.getLogger("uvicorn.error")


class Cycle:
    """The head waits only where it tells the length of a body: that comes at once, where the parts of a stream may not.

    `is_last`: the answer has begun before its request was there as a whole. Nobody wants the rest, so no other answer
    follows, and the caller has been told so. `on_response` is called when the answer is complete.
    """

    __slots__ = (
        "__weakref__", "_default_headers", "_head", "_on_response", "_tasks", "body", "chunked",
        "disconnected", "flow", "is_last", "keep_alive", "message_event", "more_body", "response_complete",
        "response_started", "scope", "transport", "unsent", "waiting_for_100_continue",
    )  # fmt: skip

    def __init__(
        self,
        scope: Any,
        transport: asyncio.Transport,
        flow: FlowControl,
        default_headers: list[tuple[bytes, bytes]],
        tasks: set[asyncio.Task[None]],
        on_response: Callable[[], None],
        *,
        expects_100: bool,
        keep_alive: bool,
    ) -> None:
        self.scope = scope
        self.transport = transport
        self.flow = flow
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects_100
        self.message_event = asyncio.Event()  # set when more of the body is there, and when nothing more will be
        self.body = bytearray()
        self.more_body = True
        self.disconnected = self.response_started = self.response_complete = self.is_last = False
        self.chunked: bool | None = None  # None until the head says how the end of the answer is known
        self.unsent = 0  # bytes of the body, of which the head tells the length
        self._head = b""  # that waits for its body
        self._default_headers = default_headers
        self._tasks = tasks
        self._on_response: Callable[[], None] | None = on_response

    def start(self, loop: asyncio.AbstractEventLoop, app: Any) -> None:
        self._tasks.add(loop.create_task(self._run(app)))

    async def _run(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the caller is answered
            _log.error("Exception in ASGI application\n", exc_info=error)
            await self._fail()
        else:
            if not self.response_complete and not self.disconnected:
                _log.error("ASGI callable returned without completing response.")
                await self._fail()
        finally:
            self._on_response = None
            self._tasks.discard(asyncio.current_task())  # pyright: ignore[reportArgumentType] - it runs in one

    async def receive(self) -> Any:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, bytearray()
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    async def _fail(self) -> None:
        if not self.response_started:
            length = (b"content-length", b"%d" % len(OUR_MISTAKE))
            headers = [(b"content-type", b"text/plain; charset=utf-8"), length, (b"connection", b"close")]
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": OUR_MISTAKE})
            return
        if self._head:
            self.transport.write(self._head)
        self.transport.close()

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        wanted = "http.response.body" if self.response_started else "http.response.start"
        if message["type"] != wanted or self.response_complete:
            raise RuntimeError(f"{message['type']} is sent where {wanted} has to come, or after the end")
        if self.response_started:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._send_head(message["status"], [*self._default_headers, *message.get("headers", ())])

    def _send_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        lines, says_close = [STATUS_LINE[status]], False
        for name, value in headers:
            name = name.lower()  # noqa: PLW2901 - the same one, in small letters
            if name == b"content-length" and self.chunked is None:
                self.unsent = int(value)
                self.chunked = False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self.unsent = 0
                self.chunked = True
            elif name == b"connection" and b"close" in [token.strip() for token in value.lower().split(b",")]:
                self.keep_alive = False
                says_close = True
            lines += (name, b": ", value, b"\r\n")
        names, values = b"".join(lines[1::4]), b"".join(lines[3::4])
        if len(names.translate(None, NO_NAME)) < len(names) or len(values.translate(None, NO_VALUE)) < len(values):
            raise RuntimeError("a header has a byte that no header may have")
        if not self.keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        if self.chunked is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if self.more_body and self.keep_alive:
            self.is_last = True
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        if self.unsent:
            self._head = b"".join(lines)
        else:
            self.transport.write(b"".join(lines))

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.unsent = 0
            body = b""
        elif self.chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = chunk if more else chunk + b"0\r\n\r\n"
        else:
            self.unsent -= len(body)
            if self.unsent < 0:
                raise RuntimeError("Response content longer than Content-Length")
        if self._head:
            body, self._head = self._head + body, b""
        if body:
            self.transport.write(body)
        if not more:
            if self.unsent:
                raise RuntimeError("Response content shorter than Content-Length")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            if self._on_response is not None:
                self._on_response()
