"""Messages and ids: events, commands, recorded events. Ids of an order's parts are computed from the order's id."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import ClassVar, NewType
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid5  # twice as fast as the one in uuid, and each step of each order needs several

OrderId = NewType("OrderId", UUID)
PaymentId = NewType("PaymentId", UUID)
ReservationId = NewType("ReservationId", UUID)
SagaId = NewType("SagaId", UUID)
StreamId = NewType("StreamId", UUID)
Sku = NewType("Sku", str)

SKU_STREAMS = UUID("6f72642d-736b-5375-8000-000000000001")
"""The namespace of the ids of inventory streams. It is part of the storage format and must never change."""


READER_STREAMS = UUID("6f72642d-7264-5375-8000-000000000001")
"""The namespace of the ids of the streams of readers. It is part of the storage format and must never change."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened. Its tag and fields are the storage format, so new fields need defaults.

    Any other change of its fields needs a higher `schema_version`, and a step in `core/upcasters.py` that lifts what
    was stored before. It holds plain values, which make no cycles, so the garbage collector need not look at it.
    """

    schema_version: ClassVar[int] = 1


class LeftOut(Event, frozen=True):
    """Stands for an event that an operator has left out for ever. It is never recorded, and folds pass it over."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants done; the domain may refuse it. `now` is when it was sent, since the domain has no clock."""

    now: datetime


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an event comes from. For everything about an order, `correlation_id` is the id of the order.

    Only a saga's own events have an `epoch`: the number of its lease at that time. It never falls along a stream.
    `traceparent` names the trace that the event belongs to, by W3C Trace Context, if somebody keeps that trace.
    """

    correlation_id: UUID
    causation_id: UUID | None = None
    user_id: str | None = None
    request_id: str | None = None
    epoch: int | None = None
    traceparent: str | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event and where it stands: `version` counts the events of its stream, `position` those of the whole log."""

    position: int
    stream: StreamId
    category: str
    version: int
    event_id: UUID
    event: Event
    metadata: Metadata
    recorded_at: datetime


@lru_cache(1_024)
def inventory_stream(sku: Sku) -> StreamId:
    return StreamId(uuid5(SKU_STREAMS, sku))


def reader_stream(reader: str) -> StreamId:
    """The id of the stream of a reader of the log, which has the name of its checkpoint."""
    return StreamId(uuid5(READER_STREAMS, reader))


@lru_cache(1_024)  # each step of an order asks for it several times
def payment_of(order_id: OrderId) -> PaymentId:
    """The id of the order's one payment, which is also the id of the payment's stream."""
    return PaymentId(uuid5(order_id, "payment"))


def reservation_of(order_id: OrderId, sku: Sku) -> ReservationId:
    """The id of the one reservation that an order has of a SKU."""
    return ReservationId(uuid5(order_id, f"reservation:{sku}"))


def saga_of(order_id: OrderId, name: str, about: str = "") -> SagaId:
    """The id of the order's one saga of this name, which is also the id of the saga's stream.

    An order may have several sagas of some names; then `about` says which one, such as the id of a refund.
    """
    return SagaId(uuid5(order_id, f"{name}:{about}" if about else name))
