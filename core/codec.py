"""Codec: turns an event into its stored name, schema version and JSON, and back; it never guesses at an unknown one.

An event of an older schema version is lifted to the newest one by the steps of `core.upcasters` whenever it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from core.domain import inventory, order, payment, reader, saga, sealed_customer
from core.domain.message import Event, LeftOut, Metadata, Recorded, StreamId
from core.errors import UnknownEvent
from core.upcasters import STEPS, Lifted, leads_to, lift

Shape: TypeAlias = Literal["latest", "stored"]
"""The shape in which a reader wants payloads: lifted to the newest schema version, or as they are stored."""

UNREADABLE = (UnknownEvent, msgspec.DecodeError)
"""The errors that reading an event raises when this release does not understand it."""


class EventDamaged(msgspec.ValidationError):
    """The payload or the metadata of an event does not fit its type. `position` is where the event is in the log."""

    def __init__(self, event_type: str, schema_version: int, why: str, position: int) -> None:
        super().__init__(why)
        self.event_type = event_type
        self.schema_version = schema_version
        self.position = position


def read_at(position: int, name: str, schema_version: int, payload: str | bytes) -> Sequence[Event]:
    """What `decode` returns for the event at this position of the log. Its errors name the position."""
    try:
        return decode(name, schema_version, payload)
    except UnknownEvent as error:
        raise UnknownEvent(error.event_type, error.schema_version, position) from error
    except msgspec.DecodeError as error:
        raise EventDamaged(name, schema_version, str(error), position) from error


EVENTS_OF: Mapping[str, tuple[type[Event], ...]] = {
    "order": tuple(order.PASSAGES),
    "inventory": inventory.EVENTS,
    "payment": tuple(payment.PASSAGES),
    "saga": saga.EVENTS,
    "reader": reader.EVENTS,
    "customer": sealed_customer.EVENTS,
}
"""The events of each category of streams."""

EVENTS: tuple[type[Event], ...] = tuple(kind for kinds in EVENTS_OF.values() for kind in kinds)


def event_type(kind: type[Event]) -> str:
    """The stored name of an event class. It is the class's tag, so a class can be moved or renamed."""
    return str(kind.__struct_config__.tag)


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_KINDS = {event_type(kind): kind for kind in EVENTS}
_NEWEST = {(event_type(kind), kind.schema_version): msgspec.json.Decoder(kind) for kind in EVENTS}
_TAGS: dict[type[Event], bytes] = {kind: f'{{"type":"{event_type(kind)}"'.encode() for kind in EVENTS}
_METADATA = msgspec.json.Decoder(Metadata)
_PLAIN = msgspec.json.Decoder(float_hook=Decimal)
_OBJECT = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def encode(event: Event) -> bytes:
    """The event's fields as JSON, without the tag, because the log stores the tag in a column of its own."""
    data = _ENCODER.encode(event)
    rest = data[len(_TAGS[type(event)]) :]
    return b"{" + rest.removeprefix(b",")


def decode(name: str, schema_version: int, payload: str | bytes) -> Sequence[Event]:
    """What a stored event says: one event, or several if an upcaster splits it. They share its version in the stream.

    Raises UnknownEvent for a type or a version that this release does not know, msgspec.DecodeError for a payload that
    does not fit.
    """
    if (decoder := _NEWEST.get((name, schema_version))) is not None:
        return (decoder.decode(payload),)
    events: list[Event] = []
    for event_type_, version, fields in _lifted(name, schema_version, payload):
        if (event_type_, version) not in _NEWEST:
            raise UnknownEvent(event_type_, version)
        events.append(msgspec.convert(fields, _KINDS[event_type_]))
    return events


def _lifted(name: str, schema_version: int, payload: str | bytes) -> Sequence[Lifted]:
    """The event in its newest shape. Raises UnknownEvent if no step leads on from the stored one."""
    if (name, schema_version) not in STEPS:
        raise UnknownEvent(name, schema_version)
    fields = _OBJECT.decode(payload)
    try:
        lifted = list(lift(name, schema_version, fields, STEPS))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise msgspec.ValidationError(f"schema {schema_version} of {name} does not fit: {error!r}") from error
    if not lifted:
        raise msgspec.ValidationError(f"schema {schema_version} of {name} does not fit: it would be no event at all")
    return lifted


def stored_types(kinds: Iterable[type[Event]]) -> frozenset[str]:
    """The stored names of these events, and of all that upcasters turn into one of them."""
    wanted = {event_type(kind) for kind in kinds}
    older = {form[0] for form in STEPS if any(name in wanted for name, _ in leads_to(form, STEPS))}
    return frozenset(wanted | older)


def encode_metadata(metadata: Metadata) -> bytes:
    return _ENCODER.encode(metadata)


def decode_metadata(metadata: str | bytes) -> Metadata:
    return _METADATA.decode(metadata)


class NewerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a type that is recorded today, as which an older event counts."""

    event_type: str
    schema_version: int
    payload: msgspec.Raw


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An event as clients get it, in answers over HTTP as well as in the live stream.

    `event_version` is the schema version in which the event is stored, `schema_version` the one whose shape `payload`
    has. `became` is there if the event's type is no longer recorded: the events as which it counts now.
    """

    event_id: UUID
    aggregate_id: UUID
    aggregate_type: str
    event_type: str
    event_version: int
    schema_version: int
    payload: msgspec.Raw
    became: list[NewerEvent] | UnsetType = UNSET
    metadata: msgspec.Raw
    timestamp: datetime
    version: int
    position: int

    def encode(self) -> bytes:
        return _ENCODER.encode(self)


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as the log holds it. Payload and metadata stay JSON text, which is decoded only where it is needed.

    `skipped_by` names the readers for which operators have left it out for ever, if whoever read it has looked.
    """

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
    skipped_by: Sequence[str] = ()

    def recorded_for(self, reader: str) -> Sequence[Recorded]:
        """What the event says to this reader: nothing if it is left out for it. Raises what `recorded` raises."""
        return [self.left_out()] if reader in self.skipped_by else self.recorded()

    def recorded(self) -> Sequence[Recorded]:
        """What the event says, decoded: see `decode`. Raises UnknownEvent or EventDamaged if it cannot be read."""
        events = read_at(self.position, self.event_type, self.schema_version, self.payload)
        try:
            metadata = decode_metadata(self.metadata)
        except msgspec.DecodeError as error:
            why = f"metadata: {error}"
            raise EventDamaged(self.event_type, self.schema_version, why, self.position) from error
        return [
            Recorded(
                position=self.position,
                stream=self.stream,
                category=self.category,
                version=self.version,
                event_id=self.event_id,
                event=event,
                metadata=metadata,
                recorded_at=self.recorded_at,
            )
            for event in events
        ]

    def left_out(self) -> Recorded:
        """The event as those see it who leave it out: it has its place in the stream, and says nothing."""
        return Recorded(
            position=self.position,
            stream=self.stream,
            category=self.category,
            version=self.version,
            event_id=self.event_id,
            event=LeftOut(),
            metadata=Metadata(correlation_id=self.correlation_id),
            recorded_at=self.recorded_at,
        )

    @property
    def newer(self) -> bool:
        """Whether a newer release has recorded it: its version is none that this release knows of a type it knows."""
        kind = _KINDS.get(self.event_type)
        return kind is not None and self.schema_version > kind.schema_version

    @property
    def outdated(self) -> bool:
        """Whether the event is of a form that this release lifts to a newer one."""
        return (self.event_type, self.schema_version) in STEPS

    def envelope(self, shape: Shape = "latest") -> Envelope:
        """The event for clients. One that this release cannot lift is shown as it is stored."""
        version, payload, became = self.schema_version, self.payload.encode(), UNSET
        if shape == "latest" and self.outdated:
            try:
                lifted = _lifted(self.event_type, version, payload)
            except UNREADABLE:
                lifted = ()
            if len(lifted) == 1 and lifted[0].event_type == self.event_type:
                version, payload = lifted[0].schema_version, json(lifted[0].payload)
            elif lifted:
                became = [
                    NewerEvent(event_type=name, schema_version=newer, payload=msgspec.Raw(json(fields)))
                    for name, newer, fields in lifted
                ]
        return Envelope(
            event_id=self.event_id,
            aggregate_id=self.stream,
            aggregate_type=self.category,
            event_type=self.event_type,
            event_version=self.schema_version,
            schema_version=version,
            payload=msgspec.Raw(payload),
            became=became,
            metadata=msgspec.Raw(self.metadata.encode()),
            timestamp=self.recorded_at,
            version=self.version,
            position=self.position,
        )


def envelope_of(recorded: Recorded) -> Envelope:
    """The envelope of an event that was not read from the log, as a dry run shows it."""
    version = type(recorded.event).schema_version
    return Envelope(
        event_id=recorded.event_id,
        aggregate_id=recorded.stream,
        aggregate_type=recorded.category,
        event_type=event_type(type(recorded.event)),
        event_version=version,
        schema_version=version,
        payload=msgspec.Raw(encode(recorded.event)),
        metadata=msgspec.Raw(encode_metadata(recorded.metadata)),
        timestamp=recorded.recorded_at,
        version=recorded.version,
        position=recorded.position,
    )


def json(value: Any) -> bytes:
    """Any value that an API answers with, as JSON. Decimals become numbers."""
    return _ENCODER.encode(value)


def json_lines(values: Sequence[Any]) -> bytes:
    """Each value as JSON, with a line end after it. JSON has no other line ends."""
    return _ENCODER.encode_lines(values)


def parse(text: str | bytes) -> Any:
    """The value of a JSON text. Numbers with a fraction become decimals."""
    return _PLAIN.decode(text)
