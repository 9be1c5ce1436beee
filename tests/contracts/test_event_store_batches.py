"""Appends that PostgreSQL is sent in one batch: each has a verdict of its own, and none suffers from another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from core.adapters.postgres.append import prepare, statement
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import PostgresEventStore
from core.errors import QueueFull, ValuesRefused
from core.ports.audit import AuditEntry
from core.ports.log import Accepted, Append, Conflict, Entry, LeaseLost, Replay, Verdict
from tests.support.log import a_key, an_event, append, entry, log_held, saga_row, stream


async def append_in_one_batch(
    dsn: str, store: PostgresEventStore, appends: Sequence[Append]
) -> list[Verdict | BaseException]:
    """Send the appends in one batch, and return their verdicts."""
    async with log_held(dsn) as held:
        first = asyncio.create_task(store.append(append(entry(stream()))))
        await held.waiting()
        rest = [asyncio.create_task(store.append(each)) for each in appends]
        await asyncio.sleep(0)
        await held.release()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)


async def rows(dsn: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


# --- verdicts -----------------------------------------------------------------------------------------------
async def test_each_append_of_a_batch_has_its_own_verdict(dsn: str, store: PostgresEventStore) -> None:
    used, guarded, leased = stream(), stream(), uuid4()
    await store.append(append(entry(used), key="known"))
    await store.append(append(entry(guarded)))
    await store.append(append(entry(stream()), sagas=[saga_row(leased, 0)]))
    fine = [stream() for _ in range(3)]
    verdicts = await append_in_one_batch(
        dsn,
        store,
        [
            append(entry(fine[0])),
            append(entry(used, 0)),
            append(entry(fine[1], 0, 2), entry(guarded, 1, 0)),
            append(entry(stream()), key="known"),
            append(entry(stream()), sagas=[saga_row(leased, 7)]),
            append(entry(fine[2]), key="new"),
        ],
    )
    assert verdicts[0:3] == [Accepted(5), Conflict([1]), Accepted(7)]
    assert isinstance(verdicts[3], Replay)
    assert verdicts[4:] == [LeaseLost(), Accepted(8)]
    log = await rows(dsn, "SELECT stream_id, position, xmin::text FROM events WHERE position > 4 ORDER BY position")
    assert [row["stream_id"] for row in log] == [fine[0], fine[1], fine[1], fine[2]]
    assert len({row["xmin"] for row in log}) == 1, "they were to travel in one batch"


async def test_a_key_that_is_sent_four_times_in_one_batch_is_accepted_once(dsn: str, store: PostgresEventStore) -> None:
    verdicts = await append_in_one_batch(dsn, store, [append(entry(stream()), key="k") for _ in range(4)])
    assert verdicts[0] == Accepted(2)
    assert all(isinstance(verdict, Replay) and verdict.answer.position == 2 for verdict in verdicts[1:])


# --- faults of one append ---------------------------------------------------------------------------------
async def test_data_that_the_database_cannot_hold_fails_only_the_append_that_has_it(
    dsn: str, store: PostgresEventStore
) -> None:
    twice = stream()
    wrong = [
        append(Entry(stream(), "inventory", 0, [an_event(sku="a\x00b")])),  # an error of class 22
        append(entry(twice), entry(twice)),  # an error of class 23
    ]
    fine = [append(entry(stream())) for _ in range(3)]
    verdicts = await append_in_one_batch(dsn, store, [fine[0], wrong[0], fine[1], wrong[1], fine[2]])
    assert isinstance(verdicts[1], ValuesRefused)
    assert isinstance(verdicts[3], ValuesRefused)
    assert [verdicts[n] for n in (0, 2, 4)] == [Accepted(2), Accepted(3), Accepted(4)]
    assert await store.head() == 4


# --- the queue ----------------------------------------------------------------------------------------------
async def test_a_full_queue_refuses_the_next_append_and_records_those_it_took(
    dsn: str, opener: Callable[[], Awaitable[Connection]]
) -> None:
    store = PostgresEventStore(opener)
    store._batcher._room = 3
    async with log_held(dsn) as held:
        tasks = [asyncio.create_task(store.append(append(entry(stream()))))]
        await held.waiting()
        tasks += [asyncio.create_task(store.append(append(entry(stream())))) for _ in range(3)]
        await asyncio.sleep(0)
        assert store.full
        with pytest.raises(QueueFull):
            await store.append(append(entry(stream())))
        await held.release()
        await asyncio.gather(*tasks)
    assert not store.full
    assert await store.head() == 4
    await store.close()


async def test_an_append_whose_caller_gives_up_does_not_take_the_others_with_it(
    dsn: str, store: PostgresEventStore
) -> None:
    sent, unsent, other = (append(entry(stream())) for _ in range(3))
    async with log_held(dsn) as held:
        first = asyncio.create_task(store.append(sent))
        await held.waiting()
        second, third = (asyncio.create_task(store.append(each)) for each in (unsent, other))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        await asyncio.sleep(0)
        await held.release()
        assert await third == Accepted(2)
    recorded = [event.stream for event in await store.read_log(after=0, limit=10)]
    assert recorded == [sent.entries[0].stream, other.entries[0].stream]


async def test_a_session_that_has_appended_before_plans_nothing_anew(dsn: str) -> None:
    connection, told = await asyncpg.connect(dsn), list[str]()
    connection.add_log_listener(lambda _, message: told.append(str(message)))
    asked = AuditEntry(action="POST /api/v1/orders", outcome="done")
    for n in range(12):
        if n == 11:
            await connection.execute("SET log_planner_stats = on; SET client_min_messages = log")
        new = Append([entry(stream())], sagas=[saga_row(uuid4(), 0)], key=a_key(f"k{n}"), audit=asked)
        query, columns = statement([prepare(new)])
        await connection.fetch(query, *columns)
    assert told == []
    await connection.execute("SELECT 1 + count(*) FROM events")
    assert told != []  # so a plan would have been told
    await connection.close()
