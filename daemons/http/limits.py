"""How large a body may be, found out before it is decoded, so that no small body makes much work."""

from __future__ import annotations

from typing import Any

from daemons.http.problems import RequestRefused

MOST_VALUES = 5_000
"""How many values a body may have at all depths. The largest order has about 1,000."""

MOST_LEVELS = 64
"""How deep lists and objects may be nested. Ours are nested three deep; what walks through a body calls itself at
each level."""

TOO_MANY = f"has more than {MOST_VALUES} values"
TOO_DEEP = f"is nested more than {MOST_LEVELS} levels deep"
_NO_MARKS = bytes(set(range(256)) - set(b"[]{},"))


async def receive_body(receive: Any, most_bytes: int) -> bytes:
    """The bytes of a request's body. Raises RequestRefused: 413 when it is too large, 400 when the caller went away."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise RequestRefused(400, "incomplete_body", "the body ended before its length")
        parts.append(message["body"])
        size, more = size + len(parts[-1]), message["more_body"]
        if size > most_bytes:
            raise RequestRefused(413, "request_entity_too_large", "the body is too large")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def excess(raw: bytes) -> str | None:
    """What a JSON text has too much of, in words. It decodes nothing, and may be given any bytes."""
    opened = raw.count(b"[") + raw.count(b"{")
    if opened <= MOST_LEVELS and opened + raw.count(b",") <= MOST_VALUES:
        return None  # nearly every body ends here; those below have many items, brackets within texts, or too much
    bare = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    if bare.count(b'"') > 4 * MOST_VALUES:  # a name and a text for each value
        return TOO_MANY
    outside_texts = b"".join(bare.split(b'"')[::2])
    marks = outside_texts.translate(None, _NO_MARKS)
    if len(marks) - marks.count(b"]") - marks.count(b"}") > MOST_VALUES:  # each value but the first stands after a mark
        return TOO_MANY
    return TOO_DEEP if _is_deep(marks) else None


def _is_deep(marks: bytes) -> bool:
    level = 0
    for mark in marks:
        level += (mark in b"[{") - (mark in b"]}")
        if not 0 <= level <= MOST_LEVELS:
            break  # below 0 it is no JSON; the decoder stops there too
    return level > MOST_LEVELS
