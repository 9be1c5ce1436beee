"""A reader of the log sees without a notification what has come, and that an older log is in the place of its own."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import cast

import asyncpg
import pytest

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import READ, PostgresEventStore
from core.adapters.postgres.subscription import PostgresSubscription
from core.errors import LogShorter
from tests.support.log import append, entry, stream
from tests.support.opener import Opener


async def test_events_whose_notification_is_lost_are_read_all_the_same(
    opener: Opener, store: PostgresEventStore
) -> None:
    subscription, stop = PostgresSubscription(opener), asyncio.Event()
    async with asyncio.timeout(10), aclosing(subscription.batches(stop, after=0, limit=10)) as batches:
        for events in (2, 3):
            await store.append(append(entry(stream(), 0, events)))
            assert len(await anext(batches)) == events
            await subscription._hints.run(lambda c: c.execute("UNLISTEN *"))


@pytest.mark.parametrize("told", [False, True])
async def test_a_reader_that_is_further_than_the_log_says_so(
    opener: Opener, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch, *, told: bool
) -> None:
    monkeypatch.setattr("core.adapters.postgres.subscription.LOOK_AT_HEAD", 0.1)
    await store.append(append(entry(stream(), 0, 4)))
    subscription, stop = PostgresSubscription(opener), asyncio.Event()
    async with asyncio.timeout(10), aclosing(subscription.batches(stop, after=3, limit=10)) as batches:
        [last] = await anext(batches)
        assert last.position == 4
        reading = asyncio.ensure_future(anext(batches))
        await subscription._hints.run(lambda c: c.execute("CREATE TEMP TABLE events (LIKE public.events)"))
        while told and not reading.done():
            await store.append(append(entry(stream(), 0, 1)))
        with pytest.raises(LogShorter):
            await reading


async def test_a_reader_whose_connection_was_cut_looks_first_whether_the_log_is_still_as_long(
    opener: Opener, store: PostgresEventStore
) -> None:
    await store.append(append(entry(stream(), 0, 6)))

    async def open_another() -> Connection:  # as after a failover to a server that has lost four of the events
        connection = await opener()
        if opened:
            await connection.execute("CREATE TEMP TABLE events AS SELECT * FROM public.events WHERE position <= 2")
            cast("asyncpg.Connection", connection).add_query_logger(lambda query: asked.append(query.query))
        opened.append(connection)
        return connection

    opened, asked = list[Connection](), list[str]()
    subscription, stop = PostgresSubscription(open_another), asyncio.Event()
    async with asyncio.timeout(10), aclosing(subscription.batches(stop, after=0, limit=6)) as batches:
        assert len(await anext(batches)) == 6
        opened[0].terminate()
        with pytest.raises(LogShorter):
            await anext(batches)
    assert READ not in asked, "what is read there would be of another log"
