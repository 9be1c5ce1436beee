"""The saga log's contract: a saga is one runner's until its lease ends, all on the database's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from core.adapters.postgres.connection import Connection, Link, connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.domain.message import SagaId
from core.errors import Unavailable
from core.ports.log import Accepted, LeaseLost
from tests.support.log import append, entry, saga_row, stream

LEASE = timedelta(seconds=30)


@dataclass
class Log:
    """`sagas` is under test; `row` is what it left."""

    dsn: str
    store: PostgresEventStore
    sagas: PostgresSagaLog
    owner: asyncpg.Connection[Any]

    async def start(self, *, due: timedelta | None = timedelta(), **other: Any) -> SagaId:
        saga_id = SagaId(stream())
        await self.store.append(append(entry(stream()), sagas=[saga_row(saga_id, 0, due_in=due, **other)]))
        return saga_id

    async def row(self, saga_id: UUID) -> asyncpg.Record:
        query = "SELECT *, due_at <= now() AS due, extract(epoch FROM due_at - now()) AS seconds FROM sagas"
        return await self.owner.fetchrow(query + " WHERE saga_id = $1", saga_id)

    async def expire(self, saga_id: UUID) -> None:
        await self.owner.execute("UPDATE sagas SET due_at = now() - interval '1 s' WHERE saga_id = $1", saga_id)


@pytest.fixture
async def log(dsn: str, opener: Callable[[], Awaitable[Connection]], store: PostgresEventStore) -> AsyncIterator[Log]:
    link, owner = Link(opener), await asyncpg.connect(dsn)
    yield Log(dsn, store, PostgresSagaLog(link), owner)
    link.close()
    await owner.close()


async def test_what_is_due_is_claimed_and_is_not_due_again_until_the_lease_ends(log: Log) -> None:
    saga_id = await log.start()
    (claim,) = await log.sagas.claim("a", limit=10, lease=LEASE)
    assert (claim.saga_id, claim.name, claim.definition, claim.order_id) == (saga_id, "fulfil_order", 1, UUID(int=7))
    assert (claim.epoch, claim.claims) == (2, 1)
    assert await log.sagas.claim("b", limit=10, lease=LEASE) == []
    row = await log.row(saga_id)
    assert (row["owner"], row["epoch"]) == ("a", 2)
    assert 25 < row["seconds"] <= 30
    await log.expire(saga_id)
    (claim,) = await log.sagas.claim("b", limit=10, lease=LEASE)
    assert (claim.epoch, claim.claims) == (3, 2)


async def test_only_what_is_due_and_unfinished_is_claimed_the_oldest_first(log: Log) -> None:
    late = [await log.start(due=timedelta(seconds=-n)) for n in range(1, 4)]
    await log.start(due=timedelta(seconds=60))
    for status in ("COMPLETED", "COMPENSATED", "FAILED"):
        await log.start(status=status)
    compensating = await log.start(status="COMPENSATING", due=timedelta(seconds=-9))
    first = await log.sagas.claim("a", limit=2, lease=LEASE)
    assert {claim.saga_id for claim in first} == {compensating, late[2]}
    rest = await log.sagas.claim("a", limit=9, lease=LEASE)
    assert {claim.saga_id for claim in rest} == {late[0], late[1]}


async def test_two_owners_never_claim_the_same_saga(log: Log) -> None:
    started = {await log.start() for _ in range(60)}
    links = [Link(lambda: connect(log.dsn, name="runner")) for _ in range(6)]

    async def claim(n: int) -> list[SagaId]:
        found: list[SagaId] = []
        while claims := await PostgresSagaLog(links[n]).claim(f"runner-{n}", limit=4, lease=LEASE):
            found += [claim.saga_id for claim in claims]
        return found

    claimed = await asyncio.gather(*(claim(n) for n in range(6)))
    assert sorted(saga for found in claimed for saga in found) == sorted(started)
    for link in links:
        link.close()


async def test_a_row_that_somebody_works_on_is_passed_over_not_waited_for(log: Log) -> None:
    busy, free = await log.start(), await log.start()
    async with log.owner.transaction():
        await log.owner.execute("SELECT FROM sagas WHERE saga_id = $1 FOR UPDATE", busy)
        async with asyncio.timeout(1.5):
            claims = await log.sagas.claim("a", limit=10, lease=LEASE)
            assert await log.sagas.extend("a", {busy: 1}, lease=LEASE) == []
    assert [claim.saga_id for claim in claims] == [free]


@pytest.mark.parametrize("next_owner", ["b", "a"])
async def test_an_old_epoch_neither_appends_nor_extends_and_hears_so(log: Log, next_owner: str) -> None:
    saga_id = await log.start()
    (old,) = await log.sagas.claim("a", limit=1, lease=LEASE)
    await log.expire(saga_id)
    (new,) = await log.sagas.claim(next_owner, limit=1, lease=LEASE)
    before = await log.row(saga_id)
    assert await log.sagas.extend("a", {saga_id: old.epoch}, lease=timedelta(hours=1)) == [saga_id]
    assert (await log.row(saga_id))["due_at"] == before["due_at"]
    late = append(entry(stream()), sagas=[saga_row(saga_id, old.epoch)])
    assert await log.store.append(late) == LeaseLost()
    assert await log.sagas.extend(next_owner, {saga_id: new.epoch}, lease=timedelta(hours=1)) == []
    assert (await log.row(saga_id))["seconds"] > 3000


async def test_extending_never_shortens_and_reaches_only_what_is_held(log: Log) -> None:
    held, parked, ended = [await log.start(due=timedelta(seconds=-n)) for n in range(3)]
    claims = {claim.saga_id: claim for claim in await log.sagas.claim("a", limit=3, lease=LEASE)}
    leases = {saga_id: claim.epoch for saga_id, claim in claims.items()}
    await log.store.append(append(entry(stream()), sagas=[saga_row(parked, 2, due_in=timedelta(seconds=5))]))
    await log.store.append(append(entry(stream()), sagas=[saga_row(ended, 2, status="COMPLETED")]))
    assert await log.sagas.extend("a", leases, lease=timedelta(hours=1)) == []
    assert await log.sagas.extend("a", leases, lease=timedelta(seconds=1)) == []
    assert (await log.row(held))["seconds"] > 3000
    assert 0 < (await log.row(parked))["seconds"] <= 5
    assert (await log.row(ended))["due_at"] is None


async def test_a_parked_saga_is_woken_and_a_claimed_or_ended_one_is_left_alone(log: Log) -> None:
    claimed = await log.start()
    await log.sagas.claim("a", limit=1, lease=LEASE)
    parked = await log.start(due=timedelta(seconds=60))
    ended = await log.start(due=None, status="COMPLETED")
    await log.sagas.wake([claimed, parked, ended, SagaId(stream())])
    assert (await log.row(parked))["due"]
    assert not (await log.row(claimed))["due"]
    assert (await log.row(ended))["due_at"] is None
    assert [claim.saga_id for claim in await log.sagas.claim("b", limit=9, lease=LEASE)] == [parked]


async def test_who_is_gone_lets_go_of_all_it_held_and_of_nothing_else(log: Log) -> None:
    held, theirs, ended = [await log.start(owner=owner, due=LEASE) for owner in ("a", "b", "a")]
    await log.store.append(append(entry(stream()), sagas=[saga_row(ended, 1, owner="a", status="COMPLETED")]))
    overdue = await log.start(owner="c", due=timedelta(seconds=-1))
    assert sorted(await log.sagas.owners()) == ["a", "b"]
    assert await log.sagas.release(["a", "nobody"]) == 1
    assert await log.sagas.owners() == ["b"]
    assert {claim.saga_id for claim in await log.sagas.claim("d", limit=9, lease=LEASE)} == {held, overdue}
    assert (await log.row(theirs))["owner"] == "b"
    assert (await log.row(ended))["due_at"] is None


async def test_who_was_taken_for_gone_goes_on_until_another_has_claimed_it(log: Log) -> None:
    saga_id = await log.start(owner="a", due=LEASE)
    await log.sagas.release(["a"])
    leased = saga_row(saga_id, 1, owner="a", due_in=LEASE)
    assert isinstance(await log.store.append(append(entry(stream()), sagas=[leased])), Accepted)
    assert await log.sagas.claim("b", limit=9, lease=LEASE) == []
    await log.sagas.release(["a"])
    assert [claim.epoch for claim in await log.sagas.claim("b", limit=9, lease=LEASE)] == [2]
    assert await log.store.append(append(entry(stream()), sagas=[leased])) == LeaseLost()


async def test_an_append_by_its_holder_forgets_the_claims_so_far(log: Log) -> None:
    saga_id = await log.start()
    for _ in range(3):
        (claim,) = await log.sagas.claim("a", limit=1, lease=LEASE)
        await log.expire(saga_id)
    assert claim.claims == 3
    due = saga_row(saga_id, claim.epoch, due_in=timedelta())
    assert isinstance(await log.store.append(append(entry(stream()), sagas=[due])), Accepted)
    (claim,) = await log.sagas.claim("a", limit=1, lease=LEASE)
    assert (claim.claims, claim.epoch) == (1, 5)


async def test_a_readers_position_moves_on_and_never_back(log: Log) -> None:
    assert await log.sagas.reached("r") == 0
    for position, reached in ((5, 5), (9, 9), (7, 9)):
        await log.sagas.reach("r", position)
        assert await log.sagas.reached("r") == reached
    assert await log.sagas.reached("other") == 0


async def test_old_keys_are_forgotten_and_young_ones_kept(log: Log) -> None:
    for n in range(5):
        await log.store.append(append(entry(stream()), key=f"k{n}"))
    await log.owner.execute("UPDATE idempotency_keys SET created_at = now() - interval '49 h' WHERE key <> 'k4'")
    hours = timedelta(hours=48)
    assert await log.sagas.forget_keys(older_than=hours, limit=3) == 3
    assert await log.sagas.forget_keys(older_than=hours, limit=3) == 1
    assert await log.sagas.forget_keys(older_than=hours, limit=3) == 0
    assert await log.store.answered("scope", "k4") is not None
    assert await log.store.append(append(entry(stream()), key="k0")) == Accepted(6)


async def test_without_a_database_it_says_so() -> None:
    link = Link(lambda: connect("postgresql://nobody@127.0.0.1:1/none", name="test"))
    with pytest.raises(Unavailable):
        await PostgresSagaLog(link).claim("a", limit=1, lease=LEASE)


async def test_what_is_claimed_again_and_again_without_getting_on_is_released_no_more(log: Log) -> None:
    saga_id = await log.start()
    released: list[int] = []
    for _ in range(6):  # a runner that dies each time as soon as it has claimed
        await log.sagas.claim("a", limit=10, lease=LEASE)
        released.append(await log.sagas.release(["a"]))
    assert released == [1, 1, 1, 0, 0, 0], "then it waits for its lease, as does whatever makes the runner die"
    assert (await log.row(saga_id))["owner"] == "a"
