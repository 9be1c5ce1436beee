"""The log's contract: one verdict for each append, all of it or nothing, whoever else travels in its batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import PostgresEventStore
from core.errors import QueueFull, UnknownEvent
from core.ports.log import Accepted, Append, Conflict, Entry, LeaseLost, Replay, Verdict
from tests.support.log import a_key, an_event, append, entry, log_held, saga_row, stream


async def together(dsn: str, store: PostgresEventStore, appends: Sequence[Append]) -> list[Verdict | BaseException]:
    """Their verdicts, when all of them travel in one batch."""
    async with log_held(dsn) as held:
        first = asyncio.create_task(store.append(append(entry(stream()))))
        await held.waiting()
        rest = [asyncio.create_task(store.append(each)) for each in appends]
        await asyncio.sleep(0)
        await held.let()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)


async def rows(dsn: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


# --- verdicts -----------------------------------------------------------------------------------------------
async def test_an_append_is_placed_at_the_head_with_the_next_versions(store: PostgresEventStore) -> None:
    a, b = stream(), stream()
    assert await store.append(append(entry(a, 0, 2), entry(b, 0, 1))) == Accepted(3)
    assert await store.append(append(entry(b, 1, 1), entry(a, 2, 0))) == Accepted(4)
    assert [(e.version, e.position) for e in await store.load(a)] == [(1, 1), (2, 2)]
    assert [(e.version, e.position) for e in await store.load(b)] == [(1, 3), (2, 4)]
    assert [e.version for e in await store.load(b, after=1)] == [2]
    assert await store.load(stream()) == []
    assert [e.position for e in await store.read_log(after=1, limit=2)] == [2, 3]
    assert await store.head() == 4


async def test_each_append_of_a_batch_has_its_own_verdict(dsn: str, store: PostgresEventStore) -> None:
    used, guarded, leased = stream(), stream(), uuid4()
    await store.append(append(entry(used), key="known"))
    await store.append(append(entry(guarded)))
    await store.append(append(entry(stream()), sagas=[saga_row(leased, 0)]))
    fine = [stream() for _ in range(3)]
    found = await together(
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
    assert found[0:3] == [Accepted(5), Conflict([1]), Accepted(7)]
    assert isinstance(found[3], Replay)
    assert found[4:] == [LeaseLost(), Accepted(8)]
    log = await rows(dsn, "SELECT stream_id, position, xmin::text FROM events WHERE position > 4 ORDER BY position")
    assert [row["stream_id"] for row in log] == [fine[0], fine[1], fine[1], fine[2]]
    assert len({row["xmin"] for row in log}) == 1, "they were to travel in one batch"


async def test_a_conflict_names_the_version_of_every_stream_and_writes_nothing(
    dsn: str, store: PostgresEventStore
) -> None:
    a, b, c, saga = stream(), stream(), stream(), uuid4()
    await store.append(append(entry(a, 0, 2), entry(b, 0, 1)))
    wrong = append(entry(a, 2), entry(c, 0, 2), entry(b, 0, 0), key="k", sagas=[saga_row(saga, 0)])
    assert await store.append(wrong) == Conflict([2, 0, 1])
    assert await store.head() == 3
    assert await store.answered("scope", "k") is None
    assert await rows(dsn, "SELECT FROM sagas") == []
    for late in (append(entry(c, 1)), append(entry(a, 3, 0), entry(c)), append(entry(a, 1))):
        assert isinstance(await store.append(late), Conflict)


async def test_of_many_who_read_the_same_version_one_is_accepted(store: PostgresEventStore) -> None:
    one, guarded = stream(), stream()
    for expected in range(3):
        races = [append(entry(one, expected), entry(guarded, 0, 0)) for _ in range(20)]
        verdicts = await asyncio.gather(*(store.append(race) for race in races))
        assert sum(isinstance(verdict, Accepted) for verdict in verdicts) == 1
        assert verdicts.count(Conflict([expected + 1, 0])) == 19


# --- keys ---------------------------------------------------------------------------------------------------
async def test_a_key_keeps_its_first_answer(store: PostgresEventStore) -> None:
    key = a_key("k", b"print", amount=Decimal("10.50"), order_id=UUID(int=3), text="\u2713")
    assert await store.append(replace(append(entry(stream())), key=key)) == Accepted(1)
    again = await store.append(replace(append(entry(stream())), key=replace(key, fingerprint=b"other")))
    assert isinstance(again, Replay)
    assert again == await store.answered("scope", "k")
    assert again.fingerprint == b"print"
    answer = again.answer
    assert (answer.status, answer.stream, answer.version, answer.position) == (200, UUID(int=9), 3, 1)
    assert answer.fields == {"amount": Decimal("10.50"), "order_id": str(UUID(int=3)), "text": "\u2713"}
    assert await store.answered("scope", "other") is None
    assert await store.answered("other", "k") is None
    assert await store.head() == 1


async def test_a_known_key_is_a_replay_before_it_is_a_conflict(store: PostgresEventStore) -> None:
    at = stream()
    await store.append(append(entry(at), key="k"))
    assert isinstance(await store.append(append(entry(at, 0), key="k")), Replay)


async def test_a_key_alone_is_kept_with_a_guard(store: PostgresEventStore) -> None:
    at = stream()
    await store.append(append(entry(at)))
    assert isinstance(await store.append(append(entry(at, 0, 0), key="k")), Conflict)
    assert await store.append(append(entry(at, 1, 0), key="k")) == Accepted(0)
    assert isinstance(await store.append(append(entry(at, 1, 0), key="k")), Replay)
    assert await store.head() == 1


async def test_one_key_twice_at_once_is_accepted_once(dsn: str, store: PostgresEventStore) -> None:
    found = await together(dsn, store, [append(entry(stream()), key="k") for _ in range(4)])
    assert found[0] == Accepted(2)
    assert all(isinstance(verdict, Replay) and verdict.answer.position == 2 for verdict in found[1:])


# --- rows of sagas ------------------------------------------------------------------------------------------
async def test_a_sagas_row_is_written_with_its_events(dsn: str, store: PostgresEventStore) -> None:
    at, saga = stream(), uuid4()
    assert await store.append(append(entry(at), sagas=[saga_row(saga, 0, owner="me")])) == Accepted(1)
    (row,) = await rows(dsn, "SELECT * FROM sagas")
    assert (row["saga_id"], row["epoch"], row["owner"], row["due_at"]) == (saga, 1, "me", None)
    change = saga_row(saga, 1, status="COMPENSATING", step="x", attempts=4, last_error="no")
    assert await store.append(append(entry(at, 1), sagas=[change])) == Accepted(2)
    (row,) = await rows(dsn, "SELECT * FROM sagas")
    assert (row["epoch"], row["owner"], row["status"], row["step"]) == (1, None, "COMPENSATING", "x")
    assert (row["attempts"], row["last_error"], row["claims"]) == (4, "no", 0)


@pytest.mark.parametrize("epoch", [0, 1, 3])
async def test_who_lost_the_lease_writes_nothing(dsn: str, store: PostgresEventStore, epoch: int) -> None:
    at, saga = stream(), uuid4()
    await store.append(append(entry(at), sagas=[saga_row(saga, 0)]))
    await rows(dsn, "UPDATE sagas SET epoch = 2 RETURNING 1")
    late = append(entry(at, 1), key="k", sagas=[saga_row(saga, epoch, status="COMPLETED")])
    assert await store.append(late) == LeaseLost()
    assert await store.head() == 1
    assert await store.answered("scope", "k") is None
    assert [row["status"] for row in await rows(dsn, "SELECT status FROM sagas")] == ["RUNNING"]
    assert await store.append(replace(late, sagas=[saga_row(saga, 2)])) == Accepted(2)


# --- one append's own fault ---------------------------------------------------------------------------------
async def test_data_the_database_cannot_hold_fails_its_own_append_alone(dsn: str, store: PostgresEventStore) -> None:
    twice = stream()
    wrong = [
        append(Entry(stream(), "inventory", 0, [an_event(sku="a\x00b")])),  # class 22
        append(entry(twice), entry(twice)),  # class 23
    ]
    fine = [append(entry(stream())) for _ in range(3)]
    found = await together(dsn, store, [fine[0], wrong[0], fine[1], wrong[1], fine[2]])
    assert isinstance(found[1], asyncpg.DataError)
    assert isinstance(found[3], asyncpg.IntegrityConstraintViolationError)
    assert [found[n] for n in (0, 2, 4)] == [Accepted(2), Accepted(3), Accepted(4)]
    assert await store.head() == 4


async def test_a_stream_this_release_cannot_read_is_refused_and_others_are_read(
    dsn: str, store: PostgresEventStore
) -> None:
    new, old = stream(), stream()
    await store.append(append(entry(new), entry(old)))
    columns = "stream_id, category, {}, event_id, {}, {}, payload, metadata, correlation_id, recorded_at"
    copy = f"INSERT INTO events (position, {columns.format('version', 'event_type', 'schema_version')}) SELECT $1,"
    await rows(dsn, copy + columns.format("2", "'OrderFrozen'", "1") + " FROM events WHERE stream_id = $2", 3, new)
    loads = await asyncio.gather(store.load(new), store.load(old), return_exceptions=True)
    assert isinstance(loads[0], UnknownEvent)
    assert isinstance(loads[1], list)
    assert len(loads[1]) == 1
    assert len(await store.load(new, after=2)) == 0
    assert len(await store.read_log(after=0, limit=10)) == 3


# --- the queue ----------------------------------------------------------------------------------------------
async def test_a_full_queue_says_so_and_keeps_what_it_took(
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
        await held.let()
        await asyncio.gather(*tasks)
    assert not store.full
    assert await store.head() == 4
    await store.close()


async def test_a_caller_who_gives_up_takes_nobody_with_it(dsn: str, store: PostgresEventStore) -> None:
    sent, unsent, other = (append(entry(stream())) for _ in range(3))
    async with log_held(dsn) as held:
        first = asyncio.create_task(store.append(sent))
        await held.waiting()
        second, third = (asyncio.create_task(store.append(each)) for each in (unsent, other))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        await asyncio.sleep(0)
        await held.let()
        assert await third == Accepted(2)
    recorded = [event.stream for event in await store.read_log(after=0, limit=10)]
    assert recorded == [sent.entries[0].stream, other.entries[0].stream]
