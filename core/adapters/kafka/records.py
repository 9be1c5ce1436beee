"""Reads the events in Kafka's records. Anybody may have written a record, so it may be anything."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.domain.message import StreamId

Small = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 2)]
Large = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class CorrelationOf(msgspec.Struct, gc=False):
    """The part of an event's metadata by which its row is found."""

    correlation_id: UUID


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


def event_of(value: bytes | None) -> StoredEvent | None:
    """The event in a record's value, without its metadata; None when there is none."""
    if value is None:
        return None
    try:
        record = _decode(value)
        payload = bytes(record.payload).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if record.timestamp.tzinfo is None or not 1 < record.timestamp.year < LAST_YEAR:  # else there is none in UTC
        return None
    return StoredEvent(
        position=record.position,
        stream=StreamId(record.aggregate_id),
        category=record.aggregate_type,
        version=record.version,
        event_id=record.event_id,
        event_type=record.event_type,
        schema_version=record.event_version,
        payload=payload,
        metadata="",
        correlation_id=record.metadata.correlation_id,
        recorded_at=record.timestamp,
    )
