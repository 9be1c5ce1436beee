"""Whoever may write to the topics cannot change what the read models show: the log has the last word on every field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from msgspec.structs import replace

from core.adapters.kafka.cloud_events import message_of
from core.adapters.kafka.records import event_of
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import stored
from core.adapters.postgres.read_models.comparison import RECORDS
from core.adapters.postgres.read_models.shared_store import PostgresSharedReadModels
from core.codec import StoredEvent
from core.projections import ORDERS
from tests.support.feeds import TopicFeed, as_if_undisturbed
from tests.support.opener import Opener
from tests.support.orders import Sample, write
from tests.support.recorded_log import EVENTS
from tests.support.sharing import reached, relayed


async def test_an_event_of_the_log_that_somebody_has_changed_in_kafka_is_folded_as_the_log_has_it(
    opener: Opener, dsn: str, admin: Connection
) -> None:
    feed = TopicFeed(opener, dsn)
    models = PostgresSharedReadModels(opener, ORDERS)
    await relayed(dsn, 0)
    async with feed.filling():
        await reached(dsn, 0)
        await write(dsn, Sample(30, payments=True).events())
        log = [stored(row) for row in await admin.fetch("SELECT * FROM events ORDER BY position")]
        changed, moved = forged(log)
        # Before the relay brings the true ones. One that cannot be applied would have the share read from the log.
        feed.topics.copy(replace(event, payload=event.payload.replace("customer-", "thief-")) for event in log)
        feed.topics.copy(moved)
        feed.topics.copy(log)
        await relayed(dsn, len(log))
        await reached(dsn, len(log))
        feed.topics.copy(changed)
    assert feed.errors == []
    await as_if_undisturbed(opener, dsn)
    assert await models.differing(log) == {}
    found = await models.differing([*changed, *moved, *log[:1]])
    assert [found.get(n) for n in range(len(changed))] == [log[0]] * len(changed)
    assert [found[n] for n in range(len(changed), len(found))] == [None] * len(moved)
    models.close()


async def test_a_record_as_the_relay_makes_it_is_known_byte_for_byte(dsn: str, admin: Connection) -> None:
    """Nearly every record is one. Only of others each field is compared, which takes longer."""
    whole = datetime(2026, 11, 27, 7, 30, tzinfo=UTC)
    parts = [timedelta(microseconds=part) for part in (0, 1, 10, 123_450, 999_999)]
    events = [*EVENTS[:300], *Sample(30, payments=True).events()]
    await write(dsn, [replace(e, position=n, recorded_at=whole + parts[n % 5]) for n, e in enumerate(events, 1)])
    log = [stored(row) for row in await admin.fetch("SELECT * FROM events ORDER BY position")]
    assert len(log) == len(events)
    records = b"".join(message_of(event)[2] for event in log)
    assert await admin.fetchval(RECORDS, [event.position for event in log]) == records


def forged(log: Sequence[StoredEvent]) -> tuple[Sequence[StoredEvent], Sequence[StoredEvent]]:
    """The first event in other words, and another one at places where it does not belong."""
    created, paid = log[0], next(event for event in log if event.category == "payment")
    assert created.event_type == "OrderCreated"
    changed = [
        replace(created, payload=created.payload.replace('"USD"', '"EUR"')),
        replace(created, payload="{}"),
        replace(created, payload=r'{"customer_id": "\u0000", "total_amount": 1e999999}'),
        replace(created, event_type="OrderCancelled"),
        replace(created, schema_version=created.schema_version + 1),
        replace(created, recorded_at=created.recorded_at + timedelta(days=900)),
    ]
    moved = [
        replace(paid, correlation_id=log[-1].stream),
        replace(paid, category="order"),
        replace(paid, event_id=uuid4()),
    ]
    return changed, moved


@pytest.mark.parametrize(
    "timestamp",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-14T15:04:00", "10000-01-01T00:00:00Z"],
)
def test_a_record_with_a_time_that_there_is_not_in_utc_is_no_event(timestamp: str) -> None:
    sent = message_of(Sample(1).events()[0])[2].decode()
    assert event_of(sent.encode()) is not None
    assert event_of(re.sub(r'"timestamp":"[^"]*"', f'"timestamp":"{timestamp}"', sent).encode()) is None
