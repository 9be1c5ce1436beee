"""How large a body may be, found out before it is decoded, so that no small body makes much work."""

from __future__ import annotations

from typing import Any

from daemons.http.problems import RequestRefused

MOST_VALUES = 5_000
"""How many values a body may have at all depths. The largest order has about 1,000."""


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


def has_too_many_values(raw: bytes) -> bool:
    """Whether a JSON text has more than MOST_VALUES values. It decodes nothing, and may be given any bytes."""
    if _beginnings(raw) <= MOST_VALUES:
        return False  # nearly every body ends here; those below have brackets or commas within texts, or are too large
    bare = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    if bare.count(b'"') > 4 * MOST_VALUES:  # a name and a text for each value
        return True
    outside_texts = b"".join(bare.split(b'"')[::2])
    return _beginnings(outside_texts) > MOST_VALUES


def _beginnings(raw: bytes) -> int:
    """How many values there can be at most: each but the first stands after one of these characters."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")
