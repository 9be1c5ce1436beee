"""The event store when its connection or its server breaks, and what the database refuses its users to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from core.adapters.postgres.append import APPEND, arguments, prepare
from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.errors import Unavailable
from core.ports.log import Accepted, Append, Conflict, LeaseLost, Replay, Verdict
from tests.support.log import Wire, append, entry, log_held, saga_row, stream


@pytest.fixture
async def wire(postgres: EmbeddedPostgres) -> AsyncIterator[Wire]:
    async with Wire(Path(postgres.home.postgres_sockets) / ".s.PGSQL.5432") as wire:
        yield wire


@pytest.fixture
async def remote(wire: Wire, dsn: str) -> AsyncIterator[PostgresEventStore]:
    """A store whose way to the server is the wire; it has appended once, so the next statement is prepared."""
    store = PostgresEventStore(lambda: connect(wire.dsn(dsn), name="remote"))
    assert await store.append(append(entry(stream()), key="first")) == Accepted(1)
    yield store
    await store.close()


# --- unknown outcomes ---------------------------------------------------------------------------------------
async def test_an_append_whose_answer_was_lost_after_its_commit_finds_its_events_in_the_log(
    wire: Wire, remote: PostgresEventStore, store: PostgresEventStore
) -> None:
    a, b = stream(), stream()
    wire.lose_next_answer()
    assert await remote.append(append(entry(a, 0, 2), entry(b, 0, 1), key="k")) == Accepted(4)
    assert wire.lost == 1
    assert await store.head() == 4
    assert [len(await store.load(each)) for each in (a, b)] == [2, 1]


async def test_each_append_of_a_batch_whose_answer_was_lost_gets_its_own_verdict(
    dsn: str, wire: Wire, remote: PostgresEventStore, store: PostgresEventStore
) -> None:
    used, saga = stream(), stream()
    await remote.append(append(entry(used), sagas=[saga_row(saga, 0)]))
    batch = [
        append(entry(stream())),
        append(entry(used, 0)),
        append(entry(stream()), key="first"),
        append(entry(used, 1, 0), key="guarded"),
        append(entry(stream()), sagas=[saga_row(stream(), 0)]),
        append(entry(stream()), sagas=[saga_row(saga, 9)]),
    ]
    async with log_held(dsn) as held:
        first = asyncio.create_task(remote.append(append(entry(stream()))))
        await held.waiting()
        tasks = [asyncio.create_task(remote.append(each)) for each in batch]
        await asyncio.sleep(0)
        wire.lose_next_answer()  # of the first, and, as it is settled together with them, of none of the batch
        await held.release()
        assert await first == Accepted(3)
        found = await asyncio.gather(*tasks)
    assert wire.lost == 1
    assert found[:2] == [Accepted(4), Conflict([1])]
    assert isinstance(found[2], Replay)
    assert isinstance(found[3], Accepted)
    assert found[4:] == [Accepted(5), LeaseLost()]
    assert await store.head() == 5


async def test_the_store_settles_all_appends_of_a_batch_whose_answer_was_lost_together(
    dsn: str, wire: Wire, remote: PostgresEventStore, store: PostgresEventStore
) -> None:
    leased = saga_row(stream(), 0)
    batch = [append(entry(stream(), 0, 2), key=f"k{n}") for n in range(5)]
    batch += [append(entry(stream(), 7)), append(entry(stream()), sagas=[leased])]

    async def send() -> list[Verdict]:
        return await asyncio.gather(*(remote.append(each) for each in batch))

    sending = asyncio.create_task(send())
    wire.lose_next_answer()
    assert await sending == [*(Accepted(3 + 2 * n) for n in range(5)), Conflict([0]), Accepted(12)]
    assert wire.lost == 1
    assert await store.head() == 12
    versions = [[e.version for e in await store.load(each.entries[0].stream)] for each in batch]
    assert versions == [[1, 2]] * 5 + [[], [1]]


async def test_an_append_whose_connection_ends_while_it_waits_is_sent_again_and_recorded_once(
    dsn: str, store: PostgresEventStore
) -> None:
    at = stream()
    async with log_held(dsn) as held:
        task = asyncio.create_task(store.append(append(entry(at, 0, 2))))
        first = await held.waiting()
        await held.terminate(first)
        await held.waiting(but=first)
        await held.release()
        assert await task == Accepted(2)
    assert len(await store.load(at)) == 2


async def test_an_append_in_doubt_does_not_take_another_writers_events_for_its_own(
    dsn: str, store: PostgresEventStore
) -> None:
    at, other = stream(), prepare(append(entry(stream())))
    async with log_held(dsn) as held:
        task = asyncio.create_task(store.append(append(entry(at))))
        first = await held.waiting()
        await held.terminate(first)
        await held.waiting(but=first)
        await held.record(at, other.columns[0])
        await held.release()
        assert await task == Conflict([1])
    assert [event.event_id for event in await store.load(at)] == [other.columns[0][0]]


async def test_an_append_in_doubt_whose_second_try_times_out_stays_in_doubt_and_is_tried_again(
    dsn: str, store: PostgresEventStore
) -> None:
    """The second journey waits for the lock until it times out: that says nothing about the first."""
    at = stream()
    async with log_held(dsn) as held:
        task = asyncio.create_task(store.append(append(entry(at))))
        first = await held.waiting()
        await held.terminate(first)
        second = await held.waiting(but=first)
        async with asyncio.timeout(10):
            while await held.waits(second):
                await asyncio.sleep(0.05)
        assert not task.done()
        await held.release()
        assert await task == Accepted(1)


async def test_an_append_that_was_never_sent_is_not_recorded_and_raises_unavailable(
    dsn: str, store: PostgresEventStore
) -> None:
    async with log_held(dsn):  # for longer than lock_timeout
        began = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            await store.append(append(entry(stream())))
        assert type(refused.value) is Unavailable
        assert time.monotonic() - began < 5
    assert await store.head() == 0
    assert await store.append(append(entry(stream()))) == Accepted(1)


async def test_reads_go_on_over_a_new_connection_after_the_old_one_is_lost(
    wire: Wire, remote: PostgresEventStore
) -> None:
    (known,) = await remote.read_log(after=0, limit=1)
    assert len(await remote.load(known.stream)) == 1
    wire.cut()
    assert len(await remote.load(known.stream)) == 1
    wire.cut()
    assert await remote.head() == 1
    wire.cut()
    assert await remote.answered("scope", "first") is not None


async def test_without_a_database_reads_and_appends_raise_unavailable_quickly(
    wire: Wire, remote: PostgresEventStore
) -> None:
    wire.go_away()
    writer = await remote._writer.get()
    async with asyncio.timeout(5):
        while not writer.is_closed():  # till then an append may be on its way, and in doubt
            await asyncio.sleep(0.01)
    began = time.monotonic()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: remote.append(append(entry(stream()))),
        lambda: remote.load(stream()),
        lambda: remote.read_log(after=0, limit=1),
        remote.head,
        lambda: remote.answered("scope", "first"),
    ]
    for call in calls:
        with pytest.raises(Unavailable) as away:
            await call()
        assert type(away.value) is Unavailable
    assert time.monotonic() - began < 3


async def test_a_closed_store_refuses_appends(opener: Callable[[], Awaitable[Connection]]) -> None:
    store = PostgresEventStore(opener)
    await store.append(append(entry(stream())))
    await store.close()
    with pytest.raises(Unavailable):
        await store.append(append(entry(stream())))


# --- facts --------------------------------------------------------------------------------------------------
CHANGES = [
    "UPDATE events SET version = version",
    "UPDATE events SET payload = '{}' WHERE false",
    "DELETE FROM events",
    "DELETE FROM events WHERE false",
    "TRUNCATE events",
    "INSERT INTO events SELECT * FROM events ON CONFLICT (position) DO UPDATE SET version = 1",
]


async def test_the_database_refuses_even_its_owner_to_change_an_event(dsn: str, store: PostgresEventStore) -> None:
    await store.append(append(entry(stream())))
    before = await store.read_log(after=0, limit=10)
    owner = await asyncpg.connect(dsn)
    for change in CHANGES:
        with pytest.raises(asyncpg.RestrictViolationError):
            await owner.execute(change)
    await owner.close()
    assert await store.read_log(after=0, limit=10) == before


NOT_OURS = [
    *CHANGES,
    "INSERT INTO events SELECT * FROM events",
    "ALTER TABLE events DISABLE TRIGGER events_are_facts",
    "DROP TRIGGER events_are_facts ON events",
    "DROP TABLE events CASCADE",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "INSERT INTO idempotency_keys SELECT * FROM idempotency_keys",
    "UPDATE idempotency_keys SET status = 1",
    "INSERT INTO sagas (saga_id) SELECT saga_id FROM sagas",
    "DELETE FROM sagas",
    "DELETE FROM checkpoints",
    "DELETE FROM schema_migrations",
    "SET session_replication_role = replica",
]


async def test_a_daemons_role_cannot_go_round_append_events(
    opener: Callable[[], Awaitable[Connection]], store: PostgresEventStore
) -> None:
    await store.append(append(entry(stream())))
    daemon = await opener()
    for change in NOT_OURS:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await daemon.execute(change)
    await daemon.close()
    assert await store.head() == 1


async def test_a_transaction_that_has_written_cannot_append(
    opener: Callable[[], Awaitable[Connection]], store: PostgresEventStore
) -> None:
    def columns(of: Append) -> list[list[object]]:
        return arguments([prepare(of)])

    daemon: Any = await opener()  # and all of asyncpg's connection, of which `Connection` is a part
    refused = pytest.raises(asyncpg.RaiseError, match="one statement of its own")
    async with daemon.transaction():
        await daemon.execute("INSERT INTO checkpoints (reader, position) VALUES ('x', 1)")
        with refused:
            async with daemon.transaction():
                await daemon.fetch(APPEND, *columns(append(entry(stream()))))
    with refused:  # nor one that would not see what was committed while it waited
        async with daemon.transaction(isolation="repeatable_read"):
            await daemon.fetch(APPEND, *columns(append(entry(stream()))))
    with refused:
        async with daemon.transaction():
            await daemon.fetch(APPEND, *columns(append(entry(stream()))))
            await daemon.fetch(APPEND, *columns(append(entry(stream()))))
    await daemon.close()
    assert await store.head() == 0
