"""Sends the head of an answer together with its body, in one call of the system instead of two."""

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
    """

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        self._transport = transport
        self._cycle = weakref.ref(cycle)
        self._head: bytes | None = None  # empty when it is sent

    def write(self, data: bytes) -> None:
        if self._head is None and (cycle := self._cycle()) is not None and cycle.response_started:
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
