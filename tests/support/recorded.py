"""Given events, then a view: projections are tested as they are run, by folding recorded events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from core import codec
from core.codec import StoredEvent
from core.domain.message import Event, StreamId, inventory_stream
from core.projections.projection import Projection
from core.services.project import fold, read

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def recorded(events: Iterable[Event]) -> Sequence[StoredEvent]:
    """As the log would hold them: one position after another, each stream's versions without gaps, a second apart."""
    versions: dict[UUID, int] = {}
    stored: list[StoredEvent] = []
    for position, event in enumerate(events, start=1):
        category, stream = _stream(event)
        versions[stream] = versions.get(stream, 0) + 1
        stored.append(
            StoredEvent(
                position=position,
                stream=stream,
                category=category,
                version=versions[stream],
                event_id=uuid5(stream, str(versions[stream])),
                event_type=codec.event_type(type(event)),
                schema_version=codec.SCHEMA_VERSION,
                payload=codec.encode(event).decode(),
                metadata=f'{{"correlation_id":"{stream}"}}',
                correlation_id=stream,
                recorded_at=at(position),
            )
        )
    return stored


def at(position: int) -> datetime:
    return START + timedelta(seconds=position)


def folded(projection: Projection[Any], events: Iterable[Event]) -> list[Any]:
    """Every view that the events make."""
    return list(fold(projection, {}, read(projection, recorded(events))).values())


def _stream(event: Any) -> tuple[str, StreamId]:
    if hasattr(event, "saga_id"):
        return "saga", event.saga_id
    if hasattr(event, "sku"):
        return "inventory", inventory_stream(event.sku)
    if hasattr(event, "payment_id"):
        return "payment", event.payment_id
    return "order", event.order_id
