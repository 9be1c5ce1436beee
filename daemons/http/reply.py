"""An answer whose bytes are ready: they are sent as they are, which costs less than a response of the framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTENT_TYPE = (b"content-type", b"application/json")


class Reply:
    """An ASGI application that answers with JSON."""

    __slots__ = ("_headers", "_status", "content")

    def __init__(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self._status = status
        self.content = content
        self._headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        length = (b"content-length", str(len(self.content)).encode())
        await send(
            {"type": "http.response.start", "status": self._status, "headers": [CONTENT_TYPE, length, *self._headers]}
        )
        await send({"type": "http.response.body", "body": self.content})
