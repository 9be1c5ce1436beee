"""Reads headers that may stand once in a request: one that is given twice is refused, for nobody knows which counts.

Letters beyond ASCII are UTF-8, as in a body: RFC 9110 section 5.5 gives other bytes no meaning, and whoever guesses one
takes two callers for the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from core.domain.validation import composed
from core.errors import FieldError
from daemons.http.problems import wrong_fields


def one_header(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """The header's text, or None. Raises RequestRefused when it is given twice, or is not UTF-8."""
    wanted, found = on_the_wire(name), None
    for each, value in headers:
        if each == wanted:
            if found is not None:
                raise wrong_fields(FieldError(name, "is given twice"))
            found = value
    if found is None:
        return None
    try:
        return composed(found.decode().strip(" \t"))
    except UnicodeDecodeError:
        raise wrong_fields(FieldError(name, "must be UTF-8")) from None


@cache
def on_the_wire(name: str) -> bytes:
    """A name of ours as headers have it when they are read."""
    return name.lower().encode()
