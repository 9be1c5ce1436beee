"""The cache of orders while projectors and readers use it at once and Redis loses keys: nobody reads what is stale."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any, cast

from core.ports.queries import Queries
from core.ports.reading import Changes, ReadModels
from core.projections.order_view import OrderView
from tests.support.cached_orders import CachedOrders, assert_reads, key, new_order, order_view, until
from tests.support.redis_server import RedisServer


async def test_whatever_happens_to_redis_no_reader_sees_an_order_older_than_the_database_had_it_before(
    redis_server: RedisServer,
) -> None:
    """Two readers and a projector at once, while keys are evicted, everything is flushed, and Redis is frozen."""
    orders = CachedOrders(redis_server.url)
    rng, known = random.Random(4), [new_order() for _ in range(5)]
    ends = time.monotonic() + 2.5
    outcomes: dict[str, int] = {}
    stale: list[tuple[int, int]] = []

    async def pause() -> None:
        if rng.random() < 0.5:
            await asyncio.sleep(rng.random() * 0.004)

    orders.rows.before_save = orders.rows.after_save = orders.rows.after_read = pause

    async def change(projector: ReadModels) -> None:
        version = 0
        while time.monotonic() < ends:
            version += 1
            views = [order_view(order, version) for order in rng.sample(known, 2)]
            await orders.save(projector, *views) if rng.random() < 0.5 else await save_only(projector, views)
            await pause()

    async def save_only(projector: ReadModels, views: Sequence[OrderView]) -> None:
        await projector.save(Changes(after=0, position=1, views=views, sums={}))

    async def read(reader: Queries) -> None:
        while time.monotonic() < ends:
            order = rng.choice(known)
            saved = orders.rows.views.get(order)
            found = await reader.order(order)
            if saved is not None and (found is None or found.version < saved.version):
                stale.append((saved.version, 0 if found is None else found.version))
            if found is not None:
                outcomes[found.cache] = outcomes.get(found.cache, 0) + 1
            await asyncio.sleep(0)

    async def harm(board: str) -> None:
        with redis_server.client() as client:
            while time.monotonic() < ends:
                await asyncio.sleep(0.02)
                client.delete(*(key(order) for order in rng.sample(known, 3)))
                if rng.random() < 0.05:
                    client.flushall()
                if rng.random() < 0.05:
                    client.delete(board)

    async with orders.projector() as projector, orders.reader() as one, orders.reader() as two:
        await until(lambda: cast("Any", projector)._writer._promised)
        board = cast("Any", one)._board
        await asyncio.gather(change(projector), harm(board), *(read(reader) for reader in [one, one, two, two]))
    assert stale == []
    assert min(outcomes[outcome] for outcome in ("hit", "miss", "bypass")) > 20, outcomes


async def test_whoever_lost_its_share_without_knowing_it_cannot_take_away_the_marks_of_the_new_holder(
    redis_server: RedisServer,
) -> None:
    orders, order = CachedOrders(redis_server.url), new_order()
    async with orders.reader() as reader, orders.projector() as old, orders.projector() as new:
        await orders.save(old, order_view(order, 1))
        cast("Any", new)._writer.opened(
            {0: 50}, 1
        )  # as the database gave it the share; the old one still believes in its own

        async def old_one_begins_anew() -> None:
            writer = cast("Any", old)._writer
            await writer._renew()
            await writer._promise()
            assert not writer._promised
            await assert_reads(reader, order, 1, cache="bypass")  # marked, so nobody may store what was read

        orders.rows.before_save = old_one_begins_anew
        await orders.save(new, order_view(order, 2))
        orders.rows.before_save = None
        await assert_reads(reader, order, 2)


async def test_a_projector_whose_lease_is_nearly_over_promises_nothing_and_takes_away_nobodys_marks(
    redis_server: RedisServer,
) -> None:
    """Only the lease can prevent that: the new one divides the work otherwise, and so has epochs of another kind."""
    orders, order = CachedOrders(redis_server.url), new_order()
    held_until = time.monotonic() + 60

    def holds(seconds: float) -> bool:
        return time.monotonic() + seconds < held_until

    async with orders.reader() as reader, orders.projector() as new, orders.projector(holds=holds) as old:
        await until(lambda: cast("Any", old)._writer._promised)
        await orders.save(old, order_view(order, 1))
        cast("Any", new)._writer.opened({0: 1, 1: 1}, 2)
        await until(lambda: cast("Any", new)._writer._promised)

        async def old_one_wakes() -> None:
            nonlocal held_until
            held_until = time.monotonic() + 1  # when it looked last, and then it was frozen
            writer = cast("Any", old)._writer
            writer._promised = False
            assert await writer._mark_now([order]) is None
            await assert_reads(reader, order, 1, cache="bypass")  # the mark of the new one is still there

        orders.rows.before_save = old_one_wakes
        await orders.save(new, order_view(order, 2))
        orders.rows.before_save = None
        await assert_reads(reader, order, 2)
