"""Messages and ids: events, commands and recorded events; ids about an order are derived from its own, never drawn."""

from __future__ import annotations

from datetime import datetime
from typing import NewType
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid5  # twice as fast as uuid's, and each step of each order needs some

OrderId = NewType("OrderId", UUID)
PaymentId = NewType("PaymentId", UUID)
ReservationId = NewType("ReservationId", UUID)
SagaId = NewType("SagaId", UUID)
StreamId = NewType("StreamId", UUID)
Sku = NewType("Sku", str)

SKU_STREAMS = UUID("6f72642d-736b-5375-8000-000000000001")
"""Namespace of the ids of inventory streams; fixed for life, it is part of the storage format."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact in the past tense; its tag and fields are the storage format. New fields need defaults."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A wish, which may be refused. `now` is when it was made: the domain has no clock."""

    now: datetime


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known beside the fact; `correlation_id` is the order's id for everything about an order.

    `epoch` is on a saga's own events: the lease they were written under. Along a stream it never falls.
    """

    correlation_id: UUID
    causation_id: UUID | None = None
    user_id: str | None = None
    request_id: str | None = None
    epoch: int | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its place: `version` in its stream, `position` in the one order of all events."""

    position: int
    stream: StreamId
    category: str
    version: int
    event_id: UUID
    event: Event
    metadata: Metadata
    recorded_at: datetime


def inventory_stream(sku: Sku) -> StreamId:
    return StreamId(uuid5(SKU_STREAMS, sku))


def payment_of(order_id: OrderId) -> PaymentId:
    """One payment per order; the id is also the payment's stream."""
    return PaymentId(uuid5(order_id, "payment"))


def reservation_of(order_id: OrderId, sku: Sku) -> ReservationId:
    """One reservation per order and SKU."""
    return ReservationId(uuid5(order_id, f"reservation:{sku}"))


def saga_of(order_id: OrderId, name: str) -> SagaId:
    """One saga of a name per order; the id is also the saga's stream."""
    return SagaId(uuid5(order_id, name))
