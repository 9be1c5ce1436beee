"""Sends the head of an answer together with its body, in one call of the system instead of two.

And says in the head that the connection ends, where it does: RFC 9112, section 9.6.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class OneWrite:
    """The transport of one answer, which uvicorn writes head first.

    The head waits only where it tells the length of a body: that comes at once, where the parts of a stream may not.
    The cycle of an answer has this object, which must not have it too: the memory of each request would wait for the
    garbage collector.

    `is_last`: the answer has begun before its request was there as a whole. Nobody wants the rest, so no other answer
    follows, and the caller has been told so.
    """

    __slots__ = ("_cycle", "_head", "_transport", "is_last")

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        self._transport = transport
        self._cycle = weakref.ref(cycle)
        self._head: bytes | None = None  # empty when it is sent
        self.is_last = False

    def write(self, data: bytes) -> None:
        if self._head is None and (cycle := self._cycle()) is not None and cycle.response_started:
            if cycle.more_body and cycle.keep_alive:
                self.is_last = True
                data = data.removesuffix(b"\r\n") + b"connection: close\r\n\r\n"
            self._head = data
            if not cycle.expected_content_length:
                self.flush()
        elif self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send the head if it still waits, since no body comes after it."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
