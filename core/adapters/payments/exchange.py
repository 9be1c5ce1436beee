"""One HTTP/1.1 connection (RFC 9112) to the payment provider, for one request after the other.

Every order calls the provider. On top of httptools, the parser that uvicorn has too, a call takes a fraction of the CPU
that it takes with a client that can do more: no redirects, no cookies, no proxies, and no answer longer than 64 KiB.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import httptools

LONGEST_ANSWER = 64 * 1024  # bytes with its headers; the provider's answers are some hundred bytes long


class NotSentError(Exception):
    """There is no connection, so the request has not been sent."""


class NoAnswerError(Exception):
    """The request was sent, and no answer came that can be read. Nobody knows what the other side has done."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Sequence[tuple[bytes, bytes]]
    content: bytes


class Exchange(asyncio.Protocol):
    """Made by `connect`. `used_at` is when its last answer came, by the monotonic clock."""

    def __init__(self) -> None:
        self.used_at = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._parser: httptools.HttpResponseParser | None = None

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: bytes) -> Response:
        """Send a request, and return its answer; raises NoAnswerError. A caller that gives up closes the connection."""
        if self._transport is None or self._transport.is_closing():
            raise NoAnswerError("the connection was closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._ends_with_connection = False
        try:
            self._transport.write(request)
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._answer, self._parser, self.used_at = None, None, time.monotonic()

    def _fail(self, why: str) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswerError(why))

    # --- called by asyncio --------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._ends_with_connection:
            self.on_message_complete()
        self._fail(str(exc or "") or "the connection was closed before the answer was complete")

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._answer is None or self._answer.done():
            self.close()  # nobody has asked for this
            return
        self._size += len(data)
        if self._size > LONGEST_ANSWER:
            self._fail(f"the answer is longer than {LONGEST_ANSWER} bytes")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"the answer is not HTTP: {error}")

    # --- called by httptools ------------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # more than one answer

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        names = {name for name, _ in self._headers}
        self._ends_with_connection = names.isdisjoint({b"content-length", b"transfer-encoding"})

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._parser is None or self._answer is None or self._answer.done():
            return
        if (status := self._parser.get_status_code()) < 200:  # the answer proper comes after it
            self._headers.clear()
            self._ends_with_connection = False
            return
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        self._answer.set_result(Response(status, self._headers, b"".join(self._parts)))


async def connect(host: str, port: int, tls: ssl.SSLContext | None, within: float) -> Exchange:
    """Open a connection in at most `within` seconds; raises NotSentError."""
    try:
        async with asyncio.timeout(within):
            _, exchange = await asyncio.get_running_loop().create_connection(Exchange, host, port, ssl=tls)
            return exchange
    except TimeoutError:
        raise NotSentError(f"no connection within {within:.0f} s") from None
    except (OSError, UnicodeError) as error:  # UnicodeError: the name of the host is too long for DNS
        raise NotSentError(str(error) or type(error).__name__) from error
