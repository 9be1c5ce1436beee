"""Reads the events in Kafka's records. Anybody may have written a record, so it may be anything."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from core.domain.message import StreamId
from core.ports.deliveries import DeliveredEvent
from core.tracing import named_in_metadata

Small = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 2)]
Large = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class CorrelationOf(msgspec.Struct, gc=False):
    """The part of an event's metadata by which its row is found, and its trace."""

    correlation_id: UUID
    traceparent: str = ""


class EventRecord(msgspec.Struct, gc=False):
    """The fields of an envelope that folding needs."""

    event_id: UUID
    aggregate_id: UUID
    aggregate_type: str
    event_type: str
    event_version: Small
    payload: msgspec.Raw
    metadata: CorrelationOf
    timestamp: datetime
    version: Small
    position: Large


LAST_YEAR = 9999
_decode = msgspec.json.Decoder(EventRecord).decode


def event_of(value: bytes | None) -> DeliveredEvent | None:
    """The event in a record's value; None when there is none."""
    if value is None:
        return None
    try:
        record = _decode(value)
        payload = str(record.payload, "utf-8")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    recorded_at = record.timestamp
    if recorded_at.tzinfo is None or not 1 < recorded_at.year < LAST_YEAR:  # else there is none in UTC
        return None
    return DeliveredEvent(  # by place, since names take a third longer
        record.position,
        StreamId(record.aggregate_id),
        record.aggregate_type,
        record.version,
        record.event_id,
        record.event_type,
        record.event_version,
        payload,
        named_in_metadata(record.metadata.traceparent) if record.metadata.traceparent else "",
        record.metadata.correlation_id,
        recorded_at,
        (),
        value,
    )
