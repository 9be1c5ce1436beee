"""Reads headers that may stand once in a request: one that is given twice is refused, for nobody knows which counts."""

from __future__ import annotations

from collections.abc import Iterable

from core.domain.validation import composed
from core.errors import FieldError
from daemons.http.problems import wrong_fields


def one_header(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """The header's text, or None. Raises RequestRefused when it is given twice."""
    wanted = name.lower().encode()
    found = [value for each, value in headers if each == wanted]
    if not found:
        return None
    if len(found) > 1:
        raise wrong_fields(FieldError(name, "is given twice"))
    try:
        return composed(found[0].decode().strip(" \t"))
    except UnicodeDecodeError:
        return found[0].decode("latin-1").strip(" \t")
