"""Codec: turns an event into its stored name, schema version and JSON, and back; it never guesses at an unknown one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from core.domain import inventory, order, payment, reader, saga
from core.domain.message import Event, Metadata, Recorded, StreamId
from core.errors import UnknownEvent

SCHEMA_VERSION = 1  # the same for every event type so far
UNREADABLE = (UnknownEvent, msgspec.DecodeError)
"""The errors that reading an event raises when this release does not understand it."""

EVENTS: tuple[type[Event], ...] = (
    *order.PASSAGES,
    *inventory.EVENTS,
    *payment.PASSAGES,
    *saga.EVENTS,
    *reader.EVENTS,
)


def event_type(kind: type[Event]) -> str:
    """The stored name of an event class. It is the class's tag, so a class can be moved or renamed."""
    return str(kind.__struct_config__.tag)


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODERS = {event_type(kind): msgspec.json.Decoder(kind) for kind in EVENTS}
_TAGS: dict[type[Event], bytes] = {kind: f'{{"type":"{event_type(kind)}"'.encode() for kind in EVENTS}
_METADATA = msgspec.json.Decoder(Metadata)
_PLAIN = msgspec.json.Decoder(float_hook=Decimal)


def encode(event: Event) -> bytes:
    """The event's fields as JSON, without the tag, because the log stores the tag in a column of its own."""
    data = _ENCODER.encode(event)
    rest = data[len(_TAGS[type(event)]) :]
    return b"{" + rest.removeprefix(b",")


def decode(name: str, schema_version: int, payload: str | bytes) -> Event:
    decoder = _DECODERS.get(name)
    if decoder is None or schema_version != SCHEMA_VERSION:
        raise UnknownEvent(name, schema_version)
    return decoder.decode(payload)


def encode_metadata(metadata: Metadata) -> bytes:
    return _ENCODER.encode(metadata)


def decode_metadata(metadata: str | bytes) -> Metadata:
    return _METADATA.decode(metadata)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An event as clients get it, in answers over HTTP as well as in the live stream."""

    event_id: UUID
    aggregate_id: UUID
    aggregate_type: str
    event_type: str
    event_version: int
    payload: msgspec.Raw
    metadata: msgspec.Raw
    timestamp: datetime
    version: int
    position: int

    def encode(self) -> bytes:
        return _ENCODER.encode(self)


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as the log holds it. Payload and metadata stay JSON text, which is decoded only where it is needed."""

    position: int
    stream: StreamId
    category: str
    version: int
    event_id: UUID
    event_type: str
    schema_version: int
    payload: str
    metadata: str
    correlation_id: UUID
    recorded_at: datetime

    def recorded(self) -> Recorded:
        """The decoded event. Raises UnknownEvent if this release cannot read it."""
        return Recorded(
            position=self.position,
            stream=self.stream,
            category=self.category,
            version=self.version,
            event_id=self.event_id,
            event=decode(self.event_type, self.schema_version, self.payload),
            metadata=decode_metadata(self.metadata),
            recorded_at=self.recorded_at,
        )

    def envelope(self) -> Envelope:
        return Envelope(
            event_id=self.event_id,
            aggregate_id=self.stream,
            aggregate_type=self.category,
            event_type=self.event_type,
            event_version=self.schema_version,
            payload=msgspec.Raw(self.payload.encode()),
            metadata=msgspec.Raw(self.metadata.encode()),
            timestamp=self.recorded_at,
            version=self.version,
            position=self.position,
        )


def envelope_of(recorded: Recorded) -> Envelope:
    """The envelope of an event that was not read from the log, as a dry run shows it."""
    return Envelope(
        event_id=recorded.event_id,
        aggregate_id=recorded.stream,
        aggregate_type=recorded.category,
        event_type=event_type(type(recorded.event)),
        event_version=SCHEMA_VERSION,
        payload=msgspec.Raw(encode(recorded.event)),
        metadata=msgspec.Raw(encode_metadata(recorded.metadata)),
        timestamp=recorded.recorded_at,
        version=recorded.version,
        position=recorded.position,
    )


def json(value: Any) -> bytes:
    """Any value that an API answers with, as JSON. Decimals become numbers."""
    return _ENCODER.encode(value)


def parse(text: str | bytes) -> Any:
    """The value of a JSON text. Numbers with a fraction become decimals."""
    return _PLAIN.decode(text)
