"""Refusals that the guard gives before any route has seen the request: problem documents, as every error is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from prometheus_client import Counter

REFUSALS = Counter(
    "orderdeck_http_refusals", "Requests refused before a route saw them, by the code of the problem.", ["code"]
)

PROBLEM = b"application/problem+json"


class Refusal(Exception):
    """A request is refused with this status, code and sentence; `members` are further ones of the problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        REFUSALS.labels(code).inc()
        self._headers = headers or {}
        self._members = members or {}

    @property
    def body(self) -> bytes:
        return json.dumps(problem(self.status, self.code, str(self)) | dict(self._members)).encode()

    def headers(self, body: bytes) -> list[tuple[bytes, bytes]]:
        own = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        return [(b"content-type", PROBLEM), (b"content-length", b"%d" % len(body)), *own]

    def on_the_wire(self) -> bytes:
        """The whole answer, for a connection on which no request is being answered; it closes the connection."""
        body = self.body
        head = [b"HTTP/1.1 %d %b" % (self.status, HTTPStatus(self.status).phrase.encode())]
        head += [b"%b: %b" % header for header in self.headers(body)]
        return b"\r\n".join([*head, b"connection: close", b"", body])

    async def answer(self, send: Any) -> None:
        body = self.body
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers(body)})
        await send({"type": "http.response.body", "body": body})


def problem(status: int, code: str, detail: str) -> dict[str, Any]:
    """A problem document (RFC 9457) without fields of the body."""
    return {
        "type": f"urn:orderdeck:problem:{code}", "title": code.replace("_", " ").capitalize(), "status": status,
        "detail": detail, "code": code, "error": detail, "errors": [],
    }  # fmt: skip
