"""Events as the log stores them, and the views that a projection makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from core import codec
from core.codec import StoredEvent
from core.domain.message import Event, StreamId, inventory_stream, reader_stream
from core.domain.payment import PaymentEvent
from core.domain.reader import ReaderEvent
from core.domain.sealed_customer import CustomerErased, customer_stream
from core.projections.projection import Projection
from core.services.fold_events import fold, read

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def stored_events(events: Iterable[Event]) -> Sequence[StoredEvent]:
    """The events as the log stores them: a second apart, with positions and each stream's versions without gaps."""
    versions: dict[UUID, int] = {}
    stored: list[StoredEvent] = []
    for position, event in enumerate(events, start=1):
        category, stream = _stream(event)
        versions[stream] = versions.get(stream, 0) + 1
        correlation_id = event.order_id if isinstance(event, PaymentEvent) else stream
        stored.append(
            StoredEvent(
                position=position,
                stream=stream,
                category=category,
                version=versions[stream],
                event_id=uuid5(stream, str(versions[stream])),
                event_type=codec.event_type(type(event)),
                schema_version=type(event).schema_version,
                payload=codec.encode(event).decode(),
                metadata=f'{{"correlation_id":"{correlation_id}"}}',
                correlation_id=correlation_id,
                recorded_at=at(position),
            )
        )
    return stored


def at(position: int) -> datetime:
    return START + timedelta(seconds=position)


def fold_views(projection: Projection[Any], events: Iterable[Event]) -> list[Any]:
    """Fold the events into views, and return them all."""
    return list(fold(projection, {}, read(projection, stored_events(events))).values())


def _stream(event: Any) -> tuple[str, StreamId]:
    if isinstance(event, ReaderEvent):
        return "reader", reader_stream(event.reader)
    if isinstance(event, CustomerErased):
        return "customer", customer_stream(event.customer)
    if hasattr(event, "saga_id"):
        return "saga", event.saga_id
    if hasattr(event, "sku"):
        return "inventory", inventory_stream(event.sku)
    if hasattr(event, "payment_id"):
        return "payment", event.payment_id
    return "order", event.order_id
