"""Keeps a `/` that was sent as %2F within its segment of the path, so that an id with a slash can be asked for."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

from daemons.process.vitals import ASGIApp

SLASH = "\uf02f"
"""Stands for that `/` while the framework finds the route. It is a private character, which no text may have."""

_SLASH_SENT = quote(SLASH).encode()
_SENT = re.compile(rb"%2f", re.IGNORECASE)


def with_whole_segments(app: ASGIApp) -> ASGIApp:
    """The application, which then finds the route of such a path, and SLASH in its parameters."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and _SENT.search(raw):
            scope["path"] = unquote(_SENT.sub(_SLASH_SENT, raw).decode("ascii", "replace"))
        await app(scope, receive, send)

    return serve


def whole(text: str) -> str:
    """A parameter from the path as it was sent."""
    return text.replace(SLASH, "/")
