"""A program works on a share while it holds it, and one stretch of work begins after the one before it has ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from core.adapters.postgres.connection import Link
from core.adapters.postgres.shares import PostgresShares
from core.services.shares import ShareKeeper
from daemons.process.share_work import ShareWork
from tests.support.notifying import until
from tests.support.opener import Opener

READER, SHARE = "painter", 1
LEASE = timedelta(seconds=30)


async def test_work_begins_with_each_new_epoch_after_that_of_the_last_one_has_ended(opener: Opener) -> None:
    link = Link(opener)
    shares = PostgresShares(link)
    keeper = ShareKeeper(shares, READER, "here", count=2)
    begun, ended, stop, may_end = list[int](), list[int](), asyncio.Event(), asyncio.Event()

    async def work(epoch: int, lost: asyncio.Event) -> None:
        assert begun == ended
        begun.append(epoch)
        await lost.wait()
        await may_end.wait()
        ended.append(epoch)

    async def taken_and_given_back() -> None:
        await shares.leave(READER, ["here"])
        await shares.keep(READER, "there", count=2, lease=LEASE)
        await shares.leave(READER, ["there"])
        await keeper.renew()

    mine = ShareWork(SHARE, work)
    following = asyncio.create_task(mine.follow(keeper, stop))
    assert mine.epoch is None
    await keeper.renew()
    await until(lambda: (begun, mine.epoch) == ([1], 1))
    await taken_and_given_back()
    await until(lambda: mine.epoch == 3)
    assert begun == [1], "the first stretch has lost the share, and has not ended"
    may_end.set()
    await until(lambda: (begun, ended) == ([1, 3], [1]))
    await shares.keep(READER, "there", count=2, lease=LEASE)  # one of the two shares has to be given up
    await keeper.renew()
    assert set(keeper.held) == {0}
    await until(lambda: (mine.epoch, ended) == (None, [1, 3]))
    await shares.leave(READER, ["there"])
    await keeper.renew()
    await until(lambda: len(begun) == 3)
    stop.set()
    await following
    assert ended == begun
    link.close()
