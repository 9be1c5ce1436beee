"""Several runners divide the starting of sagas: each order is started once, whoever comes, goes or is frozen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.saga_starts import PostgresSagaStarts
from core.adapters.postgres.shares import PostgresShares
from core.codec import StoredEvent
from core.ports.sagas import READER, SHARES, STARTS_ON
from core.services.sagas import starting as start_sagas
from core.services.sagas.runner import SagaRunner
from core.services.sagas.starting import Starting
from core.services.shares import ShareKeeper
from tests.support.customers import eventually
from tests.support.opener import Opener
from tests.support.order_desk import Desk


class Starter:
    """Starts nothing, and knows what it was to start."""

    def __init__(self, opener: Opener, name: str) -> None:
        self.name = name
        self._link = Link(opener)
        self.shares = PostgresShares(self._link)
        self._feed = PostgresSagaStarts(opener)
        self.keeper = ShareKeeper(self.shares, READER, name, count=SHARES)
        self.starting = Starting(self._feed, self.shares, self.keeper, STARTS_ON, self._start)
        self.seen: list[StoredEvent] = []
        self.lets_go = asyncio.Event()
        self.lets_go.set()

    async def _start(self, batch: Sequence[StoredEvent]) -> None:
        self.seen += batch
        await self.lets_go.wait()

    async def turns(self, count: int = 3) -> None:
        for _ in range(count):
            await self.starting._turn()

    def close(self) -> None:
        self._link.close()
        self._feed.close()


@pytest.fixture
async def ann(opener: Opener) -> AsyncIterator[Starter]:
    starter = Starter(opener, "ann")
    yield starter
    starter.close()


@pytest.fixture
async def bob(opener: Opener) -> AsyncIterator[Starter]:
    starter = Starter(opener, "bob")
    yield starter
    starter.close()


async def freeze(admin: Connection, owner: str) -> None:
    """Let the leases of this owner run out, as when it does nothing for their time."""
    await admin.execute("UPDATE reader_shares SET lease_until = now() - interval '1 s' WHERE owner = $1", owner)
    await admin.execute("UPDATE reader_members SET until = now() - interval '1 s' WHERE owner = $1", owner)


async def checkpoint(admin: Connection) -> int:
    return await admin.fetchval("SELECT position FROM checkpoints WHERE reader = $1", READER) or 0


async def test_two_runners_start_each_order_once_and_each_only_those_of_its_shares(
    desk: Desk, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, StoredEvent]] = []
    real = SagaRunner.start

    async def noted(self: SagaRunner, batch: Sequence[StoredEvent]) -> None:
        started.extend((self._owner, event) for event in batch)
        await real(self, batch)

    async def both_hold_half() -> bool | None:
        rows = await admin.fetch("SELECT coalesce(owner, ''), count(*) FROM reader_shares GROUP BY 1")
        return sorted(map(tuple, rows)) == [("ann", SHARES // 2), ("bob", SHARES // 2)] or None

    monkeypatch.setattr(SagaRunner, "start", noted)
    await desk.stock(A=1000)
    async with desk.running("ann"), desk.running("bob"):
        await eventually(both_hold_half, 60)
        orders = [await desk.place() for _ in range(40)]
        assert {await desk.ended(order) for order in orders} == {"SagaCompleted"}
        held = {row["share"]: row["owner"] for row in await admin.fetch("SELECT share, owner FROM reader_shares")}

        async def all_saved() -> bool | None:
            return await checkpoint(admin) == await desk.store.head() or None

        await eventually(all_saved, 60)
    assert {owner for owner, _ in started} == {"ann", "bob"}
    assert Counter(event.stream for _, event in started) == Counter(orders), "none twice, and none but orders"
    assert all(held[event.stream.bytes[15] % SHARES] == owner for owner, event in started)


async def test_whoever_takes_a_share_over_goes_on_from_its_place_and_the_one_of_before_moves_it_no_more(
    desk: Desk, admin: Connection, ann: Starter, bob: Starter
) -> None:
    first = [await desk.place() for _ in range(5)]
    await ann.keeper.renew()
    await ann.turns()
    saved = await checkpoint(admin)
    assert {event.stream for event in ann.seen} == set(first)
    assert saved == await desk.store.head()
    second = [await desk.place() for _ in range(5)]
    ann.lets_go.clear()
    frozen = asyncio.create_task(ann.turns())  # it has read them, and then stands still
    await eventually(lambda: asyncio.sleep(0, len(ann.seen) == 10 or None), 60)
    await freeze(admin, "ann")
    await bob.keeper.renew()
    assert len(bob.keeper.held) == SHARES
    await bob.turns()
    assert {event.stream for event in bob.seen} == set(second), "what ann had saved is not read again"
    third = [await desk.place() for _ in range(5)]
    places = {share.number: share.position for share in await ann.shares.read(READER)}
    await admin.execute("UPDATE reader_shares SET position = 0")  # as if bob were far behind
    ann.lets_go.set()
    await frozen
    assert {share.position for share in await ann.shares.read(READER)} == {0}, "ann has lost them, and saves nothing"
    assert ann.starting.position is None
    await ann.turns()
    assert {event.stream for event in ann.seen} == {*first, *second}, "it reads nothing more either"
    for number, place in places.items():
        await admin.execute("UPDATE reader_shares SET position = $2 WHERE share = $1", number, place)
    await bob.turns()
    assert {event.stream for event in bob.seen} == {*second, *third}


async def test_when_an_older_log_is_put_in_place_sagas_are_started_from_its_beginning(
    desk: Desk, admin: Connection, ann: Starter
) -> None:
    orders = [await desk.place() for _ in range(4)]
    await ann.keeper.renew()
    await ann.turns()
    await admin.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    await admin.execute("DELETE FROM events WHERE position > 2")
    with pytest.raises(start_sagas.LogShorter):
        await ann.turns()
    await ann.turns()
    assert [event.stream for event in ann.seen[4:]] == orders[:2]
    assert await checkpoint(admin) == 2


async def test_a_batch_that_cannot_be_started_is_read_again_and_a_long_log_is_read_in_parts(
    desk: Desk, ann: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_sagas, "BATCH", 2)
    orders = [await desk.place() for _ in range(5)]
    await ann.keeper.renew()
    ann.lets_go.clear()
    turn = asyncio.create_task(ann.turns(1))
    while len(ann.seen) < 2:
        await asyncio.sleep(0.01)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    ann.lets_go.set()
    await ann.turns(3)
    assert [event.stream for event in ann.seen] == [*orders[:2], *orders]
