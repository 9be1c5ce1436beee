"""EventRow: what a list shows of one event, small enough to keep a thousand of them, however large the events are."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from tui.viewmodels.ring import RingFrame
from tui.viewmodels.timeline import summary
from tui.wire import Unreadable, WireEvent, payload_of, read_json

LONGEST_FIELD, LONGEST_SUMMARY = 100, 300  # characters


class EventRow(Struct, frozen=True, gc=False):
    """`at` is None when the event cannot be read. `order_number` is known only from the event that gave it."""

    position: int
    event_type: str
    at: datetime | None = None
    category: str = ""
    stream_id: str = ""
    version: int = 0
    by: str = ""
    order_id: str = ""
    event_id: str = ""
    order_number: str = ""
    says: str = ""


def row_of(frame: RingFrame) -> EventRow:
    event = decode(frame.data)
    if event is None:
        return EventRow(frame.position, frame.event_type)
    number = payload_of(event).get("order_number") if event.aggregate_type == "order" else None
    return EventRow(
        position=frame.position,
        event_type=_short(event.event_type),
        at=event.timestamp,
        category=_short(event.aggregate_type),
        stream_id=_short(event.aggregate_id),
        version=event.version,
        by=_short(event.metadata.user_id or ""),
        order_id=_short(event.order_id),
        event_id=_short(event.event_id),
        order_number=_short(number) if isinstance(number, str) else "",
        says=summary(event)[:LONGEST_SUMMARY],
    )


def _short(text: str) -> str:
    return text[:LONGEST_FIELD]


_events = msgspec.json.Decoder(WireEvent)


def decode(data: bytes | msgspec.Raw) -> WireEvent | None:
    """The event in a frame's bytes; None when they are none."""
    try:
        return read_json(data, _events)
    except Unreadable:
        return None
