"""Queries of the log: by position, time, category, type, order and stream, forward and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.queries.queries import PostgresQueries
from core.codec import StoredEvent
from core.domain.message import Sku, inventory_stream
from core.ports.queries import LogSearch, Queries
from tests.support.opener import Opener
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import database
from tests.support.samples import created, replenished, reserved
from tests.support.stored_events import stored_events

ORDERS = 40
LOG = Sample(ORDERS, payments=True).events()


@pytest.fixture(scope="module")
async def full(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Queries]:
    """Queries of a database with a log of many orders."""
    async with database(postgres, template, "queries_of_a_log") as dsn:
        await write(dsn, LOG)
        queries = PostgresQueries(lambda: connect(dsn, name="test"))
        yield queries
        queries.close()


def positions(events: Iterable[StoredEvent]) -> list[int]:
    return [event.position for event in events]


async def test_the_log_is_read_from_a_position_by_category_and_type(full: Queries) -> None:
    assert positions(await full.events(LogSearch(after=3, limit=5))) == [4, 5, 6, 7, 8]
    shipped = positions(event for event in LOG if event.event_type == "OrderShipped")
    assert positions(await full.events(LogSearch(limit=len(LOG), types=["OrderShipped"]))) == shipped
    assert positions(await full.events(LogSearch(limit=2, categories=["order"]))) == [1, 2]
    assert await full.events(LogSearch(limit=2, categories=["saga"])) == []


async def test_the_log_is_read_back_from_a_position_and_by_order_and_stream(full: Queries) -> None:
    assert positions(await full.events(LogSearch(before=9, limit=3))) == [6, 7, 8]
    assert positions(await full.events(LogSearch(before=3, limit=9))) == [1, 2]
    assert await full.events(LogSearch(before=0, limit=9)) == []
    head = len(LOG)
    cases: tuple[tuple[Callable[[StoredEvent], bool], dict[str, Any]], ...] = (
        (lambda event: event.event_type == "OrderShipped", {"types": ["OrderShipped"]}),
        (lambda event: event.correlation_id == order_id(2), {"order_id": order_id(2)}),
        (lambda event: event.stream == order_id(3), {"stream_id": order_id(3)}),
    )
    for fits, search in cases:
        expected = positions(filter(fits, LOG))
        assert len(expected) > 1
        assert positions(await full.events(LogSearch(limit=head, **search))) == expected
        assert positions(await full.events(LogSearch(after=expected[0], limit=head, **search))) == expected[1:]
        assert positions(await full.events(LogSearch(before=expected[-1], limit=1, **search))) == expected[-2:-1]


async def test_the_first_event_at_or_after_a_moment_is_found(full: Queries) -> None:
    tick = timedelta(microseconds=1)
    times = sorted({event.recorded_at for event in LOG})
    for moment in (times[0], times[len(times) // 2], times[-1]):
        for asked in (moment - tick, moment, moment + tick):
            expected = next((event.position for event in LOG if event.recorded_at >= asked), len(LOG) + 1)
            assert await full.position_at(asked) == expected


async def test_many_streams_read_at_once_each_give_their_own_events(full: Queries) -> None:
    parts = [(order_id(n), after, limit) for n in range(1, ORDERS + 1) for after in (0, 1) for limit in (1, 2, 9)]
    pages = await asyncio.gather(*(full.events_of_stream(id_, after=after, limit=n) for id_, after, n in parts))
    for (id_, after, limit), page in zip(parts, pages, strict=True):
        events = [event for event in LOG if event.stream == id_ and event.version > after]
        assert positions(page) == positions(events[:limit])
    assert list(await full.events_of_stream(uuid4(), after=0, limit=9)) == []


async def test_all_events_about_an_order_are_read_by_its_correlation_id(dsn: str, opener: Opener) -> None:
    queries = PostgresQueries(opener)
    story = [replace(event, correlation_id=created.order_id) for event in stored_events([created, reserved])]
    other = replace(stored_events([replenished])[0], position=3, stream=inventory_stream(Sku("OTHER")))
    await write(dsn, [*story, other])
    for after, limit, expected in ((0, 9, [1, 2]), (1, 9, [2]), (0, 1, [1])):
        events = await queries.events_of_correlation(created.order_id, after=after, limit=limit)
        assert positions(events) == expected
    queries.close()
