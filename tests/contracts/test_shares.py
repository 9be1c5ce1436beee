"""Shares of a reader: each is held by one process at a time, whoever comes, goes, freezes or is cut off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.shares import PostgresShares
from core.errors import ShareLost, SharesDivided, Unavailable
from core.services.shares import ShareKeeper
from tests.support.opener import Opener
from tests.support.orders import Sample, write

LEASE = timedelta(seconds=30)
READER = "painter"


@pytest.fixture
async def shares(opener: Opener) -> AsyncIterator[PostgresShares]:
    link = Link(opener)
    yield PostgresShares(link)
    link.close()


async def run_out(admin: Connection, owner: str) -> None:
    """Let the leases of this owner end now, as if it had been frozen for their time."""
    await admin.execute("UPDATE reader_shares SET lease_until = now() - interval '1 s' WHERE owner = $1", owner)
    await admin.execute("UPDATE reader_members SET until = now() - interval '1 s' WHERE owner = $1", owner)


async def settle(shares: PostgresShares, owners: list[str], count: int) -> dict[str, dict[int, int]]:
    """What each holds after all have looked twice: one may only take what another has given up."""
    held: dict[str, dict[int, int]] = {}
    for _ in range(2):
        held = {owner: dict(await shares.keep(READER, owner, count=count, lease=LEASE)) for owner in owners}
    return held


@pytest.mark.parametrize(("count", "owners"), [(12, 1), (12, 2), (12, 5), (2, 3), (1, 2)])
async def test_all_shares_are_held_and_nobody_has_two_more_than_another(
    shares: PostgresShares, count: int, owners: int
) -> None:
    held = await settle(shares, [f"p{n}" for n in range(owners)], count)
    assert sorted(number for mine in held.values() for number in mine) == list(range(count))
    sizes = [len(mine) for mine in held.values()]
    assert max(sizes) - min(sizes) <= 1


async def test_whoever_holds_the_only_share_keeps_it_when_others_come(shares: PostgresShares) -> None:
    assert await shares.keep(READER, "zoe", count=1, lease=LEASE) == {0: 1}
    assert await settle(shares, ["ann", "zoe", "bob"], 1) == {"ann": {}, "zoe": {0: 1}, "bob": {}}


async def test_a_frozen_owner_is_replaced_and_saves_nothing_when_it_wakes(
    shares: PostgresShares, admin: Connection, dsn: str
) -> None:
    await write(dsn, Sample(10).events())
    old = await shares.keep(READER, "ann", count=2, lease=LEASE)
    await shares.reach(READER, {0: 5, 1: 7}, old)
    await run_out(admin, "ann")
    new = await shares.keep(READER, "bob", count=2, lease=LEASE)
    assert new == {0: 2, 1: 2}
    with pytest.raises(ShareLost, match="shares 0, 1 of painter"):
        await shares.reach(READER, {0: 90, 1: 90}, old)
    assert [share.position for share in await shares.read(READER)] == [5, 7]
    assert await shares.keep(READER, "ann", count=2, lease=LEASE) == {}  # nothing is free, and bob has to give up one
    assert len(await shares.keep(READER, "bob", count=2, lease=LEASE)) == 1
    assert len(await shares.keep(READER, "ann", count=2, lease=LEASE)) == 1


async def test_who_leaves_is_followed_at_once(shares: PostgresShares) -> None:
    await shares.keep(READER, "ann", count=3, lease=LEASE)
    assert await shares.keep(READER, "bob", count=3, lease=LEASE) == {}
    await shares.leave(READER, ["ann"])
    assert await shares.owners(READER) == ["bob"]
    assert await shares.keep(READER, "bob", count=3, lease=LEASE) == {0: 2, 1: 2, 2: 2}


async def test_the_checkpoint_is_the_lowest_of_all_shares_and_never_goes_back(
    shares: PostgresShares, admin: Connection
) -> None:
    async def checkpoint() -> int | None:
        return await admin.fetchval("SELECT position FROM checkpoints WHERE reader = $1", READER)

    ann = await shares.keep(READER, "ann", count=3, lease=LEASE)
    await shares.reach(READER, {0: 10, 1: 20}, ann)
    assert await checkpoint() == 0
    await shares.reach(READER, {2: 15}, ann)
    assert await checkpoint() == 10
    await shares.reach(READER, {0: 3}, ann)
    assert await checkpoint() == 10
    await shares.rewind(READER)  # the log is empty, so none of this can have been read from it
    assert await checkpoint() == 0
    assert {share.position for share in await shares.read(READER)} == {0}


async def test_who_holds_a_share_may_start_over_and_who_has_lost_it_may_not(
    shares: PostgresShares, admin: Connection
) -> None:
    epochs = await shares.keep(READER, "ann", count=1, lease=LEASE)
    await shares.reach(READER, {0: 70}, epochs)
    await run_out(admin, "ann")
    newer = await shares.keep(READER, "bob", count=1, lease=LEASE)
    with pytest.raises(ShareLost):
        await shares.start_over(READER, epochs)
    query = "SELECT position FROM checkpoints WHERE reader = $1"
    assert await admin.fetchval(query, READER) == 70
    await shares.start_over(READER, newer)
    assert [share.position for share in await shares.read(READER)] == [await admin.fetchval(query, READER)] == [0]


async def test_another_count_waits_until_the_others_stop_and_goes_on_from_the_checkpoint(
    shares: PostgresShares, dsn: str
) -> None:
    await write(dsn, Sample(30).events())
    ann = await shares.keep(READER, "ann", count=1, lease=LEASE)
    await shares.reach(READER, {0: 40}, ann)
    with pytest.raises(SharesDivided, match="ann has divided the work of painter"):
        await shares.keep(READER, "bob", count=12, lease=LEASE)
    assert await shares.owners(READER) == ["ann"]  # who cannot take part is no member, so that it takes nobody's part
    await shares.leave(READER, ["ann"])
    bob = await shares.keep(READER, "bob", count=4, lease=LEASE)
    assert len(bob) == 4
    assert min(bob.values()) > max(ann.values())
    assert {share.position for share in await shares.read(READER)} == {40}
    with pytest.raises(ShareLost):
        await shares.reach(READER, {0: 50}, ann)


async def test_no_share_is_ever_held_twice_while_members_come_and_go_at_random(opener: Opener) -> None:
    rng = random.Random(11)
    links = [Link(opener) for _ in range(5)]
    highest = dict.fromkeys(range(7), 0)

    async def member(n: int) -> None:
        mine = PostgresShares(links[n])
        for _ in range(15):
            held = await mine.keep(READER, f"p{n}", count=7, lease=LEASE)
            for number, epoch in held.items():
                highest[number] = max(highest[number], epoch)
            if rng.random() < 0.3:
                await mine.leave(READER, [f"p{n}"])
            elif held:
                try:
                    await mine.reach(READER, dict.fromkeys(held, 1), held)
                except ShareLost:
                    pytest.fail("a share was taken from an owner whose lease had not run out")

    await asyncio.gather(*(member(n) for n in range(5)))
    found = await PostgresShares(links[0]).read(READER)
    assert {share.number: share.epoch for share in found} == highest
    for link in links:
        link.close()


class SharesOfOne:
    """Gives out share 0 until the database is away."""

    def __init__(self) -> None:
        self.away = False
        self.known = ["here", "ended"]

    async def keep(self, *_: object, **__: object) -> dict[int, int]:
        if self.away:
            raise Unavailable("away")
        return {0: 3}

    async def owners(self, _reader: str) -> list[str]:
        return self.known

    async def leave(self, _reader: str, owners: list[str]) -> None:
        self.known = [name for name in self.known if name not in owners]


async def test_a_keeper_holds_on_through_an_outage_until_its_leases_have_run_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = SharesOfOne()
    keeper = ShareKeeper(shares, READER, "here", count=1, gone=lambda name: name == "ended")  # pyright: ignore[reportArgumentType]
    now = 1_000.0
    monkeypatch.setattr("core.services.shares.time.monotonic", lambda: now)
    await keeper.renew()
    assert keeper.held == {0: 3}
    assert shares.known == ["here"]  # whoever has ended on this machine was made to leave
    shares.away = True
    now += 8
    await keeper.renew()
    assert keeper.held == {0: 3}
    assert keeper.trouble == "away"
    now += 1
    assert keeper.held == {}
    assert keeper.lost(0, 3)
    shares.away = False
    await keeper.renew()
    assert keeper.held == {0: 3}
    assert keeper.trouble is None


async def test_a_keeper_tells_each_change_and_leaves_at_the_end(shares: PostgresShares) -> None:
    stop = asyncio.Event()
    keeper = ShareKeeper(shares, READER, "here", count=2)
    keeping = asyncio.create_task(keeper.keep(stop))
    seen: list[list[int]] = []
    async for held in keeper.changes(stop):
        seen.append(sorted(held))
        if held == {}:
            continue
        if len(held) == 2:
            await shares.keep(READER, "there", count=2, lease=LEASE)  # stands by, so one share has to be given up
        else:
            stop.set()
    await keeping
    assert seen in ([[], [0, 1], [0]], [[0, 1], [0]])
    assert await shares.owners(READER) == ["there"]


async def test_the_shares_of_a_process_that_is_killed_are_taken_over_at_the_next_look(
    shares: PostgresShares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.shares.LOOK_EVERY", 0.05)
    assert await shares.keep(READER, "killed", count=1, lease=LEASE) == {0: 1}
    ended, stop = set[str](), asyncio.Event()
    keeper = ShareKeeper(shares, READER, "here", count=1, gone=lambda name: name in ended)
    keeping = asyncio.create_task(keeper.keep(stop))
    async with asyncio.timeout(10):
        while not keeper.stands_by or await shares.owners(READER) == ["killed"]:
            await asyncio.sleep(0.01)
        ended.add("killed")  # long after the keeper has begun, and long before the lease has run out
        while not keeper.held:
            await asyncio.sleep(0.01)
    assert keeper.held == {0: 2}
    stop.set()
    await keeping


async def test_the_checkpoint_follows_two_processes_that_reach_their_positions_at_the_same_time(
    shares: PostgresShares, admin: Connection, opener: Opener
) -> None:
    """Without the lock, each would see the share of the other where it was, and the checkpoint would stay behind."""
    epochs = await shares.keep(READER, "ann", count=2, lease=LEASE)
    other = await opener()
    for position in (10, 20, 30):
        async with admin.transaction():
            await admin.execute("SELECT reach_shares($1, '{0}', $2, $3)", READER, [epochs[0]], [position])
            second = asyncio.create_task(
                other.execute("SELECT reach_shares($1, '{1}', $2, $3)", READER, [epochs[1]], [position])
            )
            await asyncio.wait([second], timeout=0.05)
        await second
        assert await admin.fetchval("SELECT position FROM checkpoints WHERE reader = $1", READER) == position
    await other.close()
