"""Reads HTTP as uvicorn does, and refuses what is too large, too slow or ambiguous before a route sees it.

uvicorn's parser has no limits of its own, and uvicorn waits for ever for a request to become complete.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from daemons.process.guard.connections import Connections
from daemons.process.guard.dates import date_header
from daemons.process.guard.framing import ALLOW, FRAMING, check_framing, path_of, too_large_body
from daemons.process.guard.one_write import OneWrite
from daemons.process.guard.places import owner_of
from daemons.process.guard.refusals import Refusal
from daemons.process.guard.unchunked import unchunked

SHORT = 2048  # bytes that the parser gets at once
PIECE = 512  # bytes that it gets at once of more: it cannot be stopped within them, and they may be many requests
WRITTEN = 16 * 1024  # bytes of answers that we hold for a caller who does not take them, before we make no more
VITALS = frozenset({"/health", "/ready"})  # answered at once, however many wait, so that nobody takes us for dead
# What the connection waits for.
HEAD, BODY, ANSWER, NEXT, END = "the headers", "the body", "the answer", "the next request", "its end"


class GuardedProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    parser: Any

    def __init__(self, *args: Any, guarded: Connections, **named: Any) -> None:
        super().__init__(*args, **named)
        self.guarded = guarded
        self.limits = guarded.limits
        self.owner = ""
        self._awaits = HEAD
        self._due = self._since = self.loop.time()
        self._answering: RequestResponseCycle | None = None
        self._refusal: Refusal | None = None  # why a callback of the parser raised
        self._deaf = False  # whether what still comes in is dropped
        self._in_head = False
        self._head = self._headers = self._body = 0  # of this request so far: bytes, headers, bytes
        self._held = 0  # bytes since the parser last handed on all that it holds
        self._framing: dict[bytes, bytes] = {}
        self._unfed = b""  # what is read already, and parsed when requests before it are answered
        self._unsent, self._sent_at = 0, self._since

    # --- the life of a connection -----------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn does
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITTEN)
        self.owner = owner_of(self.client)
        self._wait_for(HEAD, self.limits.head_time)
        if not self.guarded.admit(self) and not transport.is_closing():
            self._say(Refusal(503, "too_many_connections", "too many connections are open", {"Retry-After": "1"}))

    def connection_lost(self, exc: Exception | None) -> None:
        self.guarded.leave(self)
        self._tell_route_that_caller_is_gone()  # uvicorn tells the newest one, which may wait for an earlier answer
        self._unfed = b""
        super().connection_lost(exc)

    def cut_off(self) -> None:
        self._tell_route_that_caller_is_gone()
        self.transport.abort()

    def _tell_route_that_caller_is_gone(self) -> None:
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def shutdown(self) -> None:
        if self._awaits is END:
            self.cut_off()
        else:
            super().shutdown()

    @property
    def waits_since(self) -> float | None:
        if self._awaits is not ANSWER:
            return self._since
        return self._sent_at if self._unsent else None

    def _wait_for(self, what: str, seconds: float) -> None:
        self._awaits = what
        self._since = self.loop.time()
        self._due = self._since + seconds

    def look(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent or not self._unsent:
            self._sent_at = now
        self._unsent = unsent
        if unsent and now - self._sent_at > self.limits.stall_time:
            self.cut_off()
        elif now > self._due and self._awaits is not ANSWER:
            self._be_late()

    def _be_late(self) -> None:
        begun = self._answering is not None and self._answering.response_started
        if begun or self._awaits is END or self.transport.is_closing():
            self.cut_off()
        elif self._awaits is NEXT or (self._awaits is HEAD and not self._held):
            self.transport.close()
        else:
            self._refuse(Refusal(408, "request_timeout", f"{self._awaits} did not come in time"))

    # --- what comes in ----------------------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._awaits is NEXT:
            self._wait_for(HEAD, self.limits.head_time)
        if self._unfed:
            self._unfed += data
        elif len(data) <= SHORT:
            self._feed(data)
        else:
            self._unfed = data
            self._feed_rest()

    def _feed_rest(self) -> None:
        """Parse what is read already, until a request has to wait for an earlier one, or is refused."""
        data, start = memoryview(self._unfed), 0
        self._unfed = b""
        while start < len(data) and not self.pipeline and not self._deaf and not self.transport.is_closing():
            self._feed(data[start : start + PIECE])
            start += PIECE
        if self.pipeline:
            self._unfed = bytes(data[start:])
            self.flow.pause_reading()

    def _feed(self, data: bytes | memoryview) -> None:
        self._held += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._be_the_last()  # we speak nothing else; the request itself is answered as any other
        except httptools.HttpParserInvalidMethodError:
            self._refuse(Refusal(405, "method_not_allowed", "there is no such method", {"Allow": ALLOW}))
        except httptools.HttpParserError as error:
            text = str(error).replace("`", "").strip(".")
            text = text if text.isascii() and len(text) < 100 else "it cannot be read"
            refusal, self._refusal = self._refusal, None
            if refusal is not None:  # the tracebacks have us, and would keep all of a connection for the collector
                refusal.__traceback__ = error.__context__ = error.__traceback__ = None
            self._refuse(refusal or Refusal(400, "malformed_request", f"the request is not HTTP/1.1: {text}"))
        else:
            if self._held > self.limits.head + SHORT:
                self._refuse(self._too_large())

    # --- what the parser finds; what these raise ends `feed_data` with an HttpParserError --------------------------
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head = self._headers = self._body = 0
        self._framing = {}
        if self._answering is None and self._awaits is not HEAD:
            self._wait_for(HEAD, self.limits.head_time)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._head += len(url)
        if self._head > self.limits.target:
            detail = f"the address is longer than {self.limits.target} bytes"
            raise self._refused(Refusal(414, "uri_too_long", detail))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value) + 4
        self._headers += 1
        if self._headers > self.limits.headers or self._head > self.limits.head:
            raise self._refused(self._too_large())
        if self._in_head:  # else it is a trailer, and no header may come in that way
            name = name.lower()
            if name in FRAMING:
                self._framing[name] = value
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._held = 0
        try:
            version = self.parser.get_http_version()
            check_framing(version, self._framing, self.limits.body)
            self.expect_100_continue = b"expect" in self._framing and version != "1.0"
            if not self.url.startswith(b"/"):
                self.url = path_of(self.url, self.parser.get_method(), self._framing.get(b"host", b""))
        except Refusal as refusal:
            self._refusal = refusal
            raise
        self.server_state.default_headers = date_header(int(time.time()))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._held = 0
        self._body += len(body)
        if self._body > self.limits.body:
            raise self._refused(too_large_body())
        super().on_body(body)

    def on_chunk_header(self) -> None:
        self._held = 0

    def on_message_complete(self) -> None:
        self._held = 0
        super().on_message_complete()
        if self._awaits is BODY and self._answering is self.cycle:
            self._awaits = ANSWER

    def _refused(self, refusal: Refusal) -> Refusal:
        self._refusal = refusal
        return refusal

    def _too_large(self) -> Refusal:
        size = f"at most {self.limits.headers} headers and {self.limits.head} bytes"
        return Refusal(431, "request_header_fields_too_large", f"a request may have {size} beside its body")

    # --- answers ------------------------------------------------------------------------------------------------
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        cycle.transport = cast("asyncio.Transport", OneWrite(self.transport, cycle))
        if cycle.more_body:
            self._wait_for(BODY, self.limits.body_time)
        else:
            self._awaits = ANSWER
        if cycle.scope["http_version"] == "1.0":
            app = unchunked(app, cycle)
        if cycle.scope["path"] in VITALS:
            super()._start_asgi_task(cycle, app)
        else:
            self.guarded.turns.begin(partial(super()._start_asgi_task, cycle, app))

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        answered, self._answering = self._answering, None
        sent = None if answered is None else cast("OneWrite", answered.transport)
        if sent is not None:
            sent.flush()
        if self.transport.is_closing():
            return
        if sent is not None and sent.is_last:
            self._hang_up()
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._wait_for(*((HEAD, self.limits.head_time) if self._held else (NEXT, self.limits.idle_time)))
        if self._unfed:
            self._feed_rest()  # the body of the request that has just begun may be there
        if not self.pipeline and not self._deaf:
            self.flow.resume_reading()

    def _refuse(self, refusal: Refusal) -> None:
        """Refuse the request that is being read, and close the connection after it."""
        answering = self._answering
        if answering is None:
            self._say(refusal)
        elif answering is self.cycle and answering.more_body and not answering.response_started:
            self._tell_route_that_caller_is_gone()  # it waits for the rest of the body
            self._answering = None
            self._say(refusal)
        else:
            self._be_the_last()

    def _be_the_last(self) -> None:
        """Read no more; close the connection when the requests that are complete are answered."""
        self._deaf = True
        self._unfed = b""
        if self.pipeline and self.pipeline[0][0].more_body:  # the newest is at the left
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._answering
        if last is None:
            self._hang_up()
        else:
            last.keep_alive = False

    def _say(self, refusal: Refusal) -> None:
        if not self.transport.is_closing():
            self.transport.write(refusal.on_the_wire())
            self._hang_up()

    def _hang_up(self) -> None:
        """Send nothing more, and drop what still comes for a moment: closed at once, the caller may lose the answer."""
        self._wait_for(END, self.limits.linger_time)
        self._deaf = True
        self._unfed = b""
        self.pipeline.clear()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
