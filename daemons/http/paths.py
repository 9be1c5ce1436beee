"""Reads what is percent-encoded in a path: it has to be UTF-8, and a `/` that was sent as %2F stays in its segment.

So an id with a slash can be asked for, and no two paths stand for the same id.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from litestar import Request

from core.errors import FieldError
from daemons.http.problems import problem_response, wrong_fields
from daemons.process.vitals import ASGIApp

SLASH = "\uf02f"
"""Stands for that `/` while the framework finds the route. It is a private character, which no text may have."""

_SLASH_SENT = quote(SLASH).encode()
_SENT = re.compile(rb"%2f", re.IGNORECASE)


def with_whole_segments(app: ASGIApp) -> ASGIApp:
    """The application, which then finds the route of such a path, and SLASH in its parameters."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%" in raw:
            if (wrong := _wrong(raw)) is not None:
                refusal: Any = problem_response(wrong_fields(FieldError("path", wrong)))
                await refusal.to_asgi_response(app=None, request=Request(scope))(scope, receive, send)
                return
            if _SENT.search(raw):
                scope["path"] = unquote(_SENT.sub(_SLASH_SENT, raw).decode("ascii", "replace"))
        await app(scope, receive, send)

    return serve


def _wrong(raw: bytes) -> str | None:
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return "must be UTF-8, percent-encoded"
    return "must not contain U+F02F, which is in no text" if SLASH in text else None


def whole(text: str) -> str:
    """A parameter from the path as it was sent."""
    return text.replace(SLASH, "/")
