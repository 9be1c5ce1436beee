"""Says why a body is no JSON in UTF-8: by its Content-Type, or by its bytes."""

from __future__ import annotations

import re
from functools import lru_cache

from daemons.http.wording import in_words

LONGEST_TYPE = 200  # characters of a Content-Type
ONLY_UTF8 = frozenset({"utf-8", "utf8"})
"""The only encoding of JSON (RFC 8259, section 8.1), whose Content-Type has no charset; many clients name it anyway."""

_PARAMETER = re.compile(r';([^=;]*)(?:=\s*("(?:[^"\\]|\\.)*"|[^;]*))?')
_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)  # what the group has found is one half of a character that is written as two


@lru_cache(maxsize=64)
def why_refused(content_type: str) -> str | None:
    """What is wrong with the Content-Type of a body that has to be JSON, or None."""
    if content_type.partition(";")[0].strip().lower() != "application/json" or len(content_type) > LONGEST_TYPE:
        return "the Content-Type must be application/json"
    for name, value in _PARAMETER.findall(content_type):
        if name.strip().lower().startswith("charset") and value.strip(' "').lower() not in ONLY_UTF8:
            return "the Content-Type must have no charset but utf-8, since JSON is always UTF-8"
    return None


def why_malformed(raw: bytes, message: str) -> str:
    """Why these bytes cannot be decoded; `message` is msgspec's, which is as good as any where they are UTF-8."""
    if raw.startswith(_BOM):
        return "it begins with a byte-order mark"
    if raw.startswith(_WIDE_BOMS) or raw[:4].count(0) > 1:
        return "it is UTF-16 or UTF-32, and has to be UTF-8"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 (byte {error.start})"
    if "utf-16" in message or "truncated" in message:
        for escape in _ESCAPE.finditer(raw):
            if (half := escape[1]) is not None:
                return (
                    f"\\{half.decode()} is half of a character, and its other half is missing (byte {escape.start()})"
                )
    return in_words(message)
