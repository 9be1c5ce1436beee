"""A stored event as a message of Kafka: key, value, and headers by the Kafka binding of CloudEvents, binary mode."""

from __future__ import annotations

import re
from typing import TypeAlias

from core.codec import StoredEvent, parse

Headers: TypeAlias = list[tuple[str, bytes]]
Message: TypeAlias = tuple[int, bytes, bytes, Headers]
"""Milliseconds since 1970, key, value, headers."""

SOURCE = "/orderdeck/"  # with the category after it
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
SPECVERSION = ("ce_specversion", b"1.0")
CONTENT_TYPE = ("content-type", b"application/json")  # by the binding, the name has no ce_ before it


def message_of(event: StoredEvent) -> Message:
    moment = event.recorded_at
    key = str(event.stream).encode()
    return (
        int(moment.timestamp() * 1000),
        key,
        event.envelope().encode(),
        [
            SPECVERSION,
            ("ce_id", str(event.event_id).encode()),
            ("ce_source", f"{SOURCE}{event.category}".encode()),
            ("ce_type", event.event_type.encode()),
            ("ce_subject", key),
            ("ce_time", moment.isoformat().encode()),
            CONTENT_TYPE,
            ("traceparent", traceparent(event).encode()),
        ],
    )


def traceparent(event: StoredEvent) -> str:
    """The trace that the event belongs to, by W3C Trace Context: as its metadata has it, else made of two ids.

    Then all events about an order are in one trace, whose id is the order's, and nobody has sampled it (flags 00). The
    second half of an event's id is never 0, because a UUID's variant is in it.
    """
    if "traceparent" in event.metadata:
        given = parse(event.metadata).get("traceparent")
        if isinstance(given, str) and TRACEPARENT.fullmatch(given):
            return given
    return f"00-{event.correlation_id.hex}-{event.event_id.hex[16:]}-00"
