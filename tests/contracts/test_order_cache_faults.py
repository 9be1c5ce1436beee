"""The cache of orders when Redis, or a projector, fails: that costs time and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from core.adapters.redis import writer
from core.domain.message import OrderId
from core.ports.queries import Queries
from tests.support.cached_orders import (
    SOON,
    CachedOrders,
    assert_reads,
    be_patient,
    new_order,
    order_view,
    settled,
    until,
)
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.tcp_link import TcpLink

A_PROMISE_ENDS = 4.0  # seconds, on a busy machine


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limits as they are."""
    monkeypatch.undo()


@pytest.fixture
def orders(redis_server: RedisServer) -> CachedOrders:
    return CachedOrders(redis_server.url)


@pytest.fixture
async def reader(orders: CachedOrders) -> AsyncIterator[Queries]:
    async with orders.reader() as reader:
        yield reader


async def until_hit(reader: Queries, order: OrderId) -> None:
    """Read until it comes from the cache: a busy machine may be slower than the time limits at first."""
    while (read := await reader.order(order)) is None or read.cache != "hit":
        await asyncio.sleep(0.02)


async def test_a_projector_that_was_killed_between_its_mark_and_its_commit_leaves_nothing_that_is_stale(
    orders: CachedOrders, reader: Queries
) -> None:
    order = new_order()
    killed = contextlib.AsyncExitStack()
    projector = await killed.enter_async_context(orders.projector())
    await orders.save(projector, order_view(order, 1))
    cast("Any", projector)._writer._withdraw = nothing  # one that is killed takes nothing back

    async def die() -> None:
        raise asyncio.CancelledError

    orders.rows.after_save = die
    with pytest.raises(asyncio.CancelledError):
        await orders.save(projector, order_view(order, 2))
    await killed.aclose()
    orders.rows.after_save = None
    await assert_reads(reader, order, 2, cache="bypass")
    async with orders.projector() as next_one:
        await until(lambda: cast("Any", next_one)._writer._promised)
        await assert_reads(reader, order, 2)
        await settled(reader)
        await assert_reads(reader, order, 2, cache="hit")


async def test_no_entry_is_trusted_after_a_projector_has_stopped_to_promise(
    orders: CachedOrders, quick: None, reader: Queries
) -> None:
    order = new_order()
    async with orders.projector() as projector:
        await orders.save(projector, order_view(order, 1))
        await until_hit(reader, order)
        cast("Any", projector)._writer._renew = nothing  # as if it were frozen
        await asyncio.sleep(writer.LASTS + 0.05)
        await assert_reads(reader, order, 1, cache="bypass")


async def test_a_frozen_projector_that_wakes_after_another_has_taken_over_stores_nothing(
    orders: CachedOrders, reader: Queries
) -> None:
    order = new_order()
    async with orders.projector() as frozen:
        await orders.save(frozen, order_view(order, 1))
        old = cast("Any", frozen)._writer
        mark = await old._mark_now([order])
        old._opened = False  # it does not hold its share any more
        async with orders.projector() as standby:
            await orders.save(standby, order_view(order, 3))
            await old._write(mark, [order_view(order, 4)])
            await assert_reads(reader, order, 3)


async def test_entries_are_trusted_only_while_the_projectors_of_all_shares_promise(
    orders: CachedOrders, reader: Queries
) -> None:
    order, other = new_order(), new_order()
    async with orders.projector() as one:
        async with orders.projector() as two:
            for number, projector in enumerate((one, two)):
                cast("Any", projector)._writer.opened({number: 1}, 2)
            await orders.save(one, order_view(order, 1))
            await orders.save(two, order_view(other, 1))
            await orders.save(one, order_view(order, 2))
            await assert_reads(reader, order, 2, cache="hit")
            await assert_reads(reader, other, 1, cache="hit")
        await assert_reads(reader, order, 2, cache="bypass")


async def test_an_emptied_redis_costs_time_only_also_between_a_mark_and_its_commit(
    orders: CachedOrders, reader: Queries, redis_server: RedisServer
) -> None:
    order = new_order()
    async with orders.projector() as projector:
        await orders.save(projector, order_view(order, 1))

        async def flush() -> None:
            redis_server.flush()
            await assert_reads(reader, order, 1, cache="bypass")

        orders.rows.before_save = flush
        await orders.save(projector, order_view(order, 2))
        orders.rows.before_save = None
        await assert_reads(reader, order, 2)
        await until(lambda: cast("Any", projector)._writer._promised)
        await orders.save(projector, order_view(order, 3))
        await assert_reads(reader, order, 3, cache="hit")


async def test_a_redis_that_lost_marks_but_not_the_promise_is_noticed(
    orders: CachedOrders, reader: Queries, redis_server: RedisServer
) -> None:
    """So does a replica that took over before it had everything."""
    order = new_order()
    async with orders.projector() as projector:
        await orders.save(projector, order_view(order, 1))
        with redis_server.client() as client:
            board = cast("Any", projector)._writer._board
            before = client.hgetall(board)
            await orders.save(projector, order_view(order, 2))
            client.delete(board)
            client.hset(board, mapping=before)  # type: ignore[arg-type]
            first = client.hget(board, "generation")
        await orders.save(projector, order_view(order, 3))
        with redis_server.client() as client:
            assert client.hget(board, "generation") != first
        await assert_reads(reader, order, 3)


async def test_a_redis_that_is_killed_and_comes_back_empty_costs_time_only(
    orders: CachedOrders, quick: None, reader: Queries, redis_server: RedisServer
) -> None:
    order = new_order()
    async with orders.projector() as projector:
        await orders.save(projector, order_view(order, 1))
        redis_server.kill()
        try:
            await assert_reads(reader, order, 1)
            began = time.monotonic()
            await orders.save(projector, order_view(order, 2))
            assert time.monotonic() - began < A_PROMISE_ENDS
            began = time.monotonic()
            await orders.save(projector, order_view(order, 3))
            assert time.monotonic() - began < SOON
            await assert_reads(reader, order, 3, cache="bypass")
            assert "cannot be reached" in cast("Any", reader).report.wrong
        finally:
            redis_server.start()
        await until(lambda: cast("Any", projector)._writer._promised, within=20)
        await until(lambda: cast("Any", reader)._link.away is None, within=20)
        await orders.save(projector, order_view(order, 4))
        await until_hit(reader, order)
        await assert_reads(reader, order, 4)


async def test_a_redis_that_stops_answering_or_answers_late_is_left_alone(
    orders: CachedOrders, quick: None, redis_server: RedisServer
) -> None:
    order = new_order()
    with TcpLink(redis_server.port, free_port()) as link:
        url = f"redis://{link.address}"
        async with orders.projector(url) as projector, orders.reader(url) as reader:
            await orders.save(projector, order_view(order, 1))
            await until_hit(reader, order)
            link.slow(0.2)
            await assert_reads(reader, order, 1, cache="bypass")
            for version in range(2, 6):  # at most one of them waits, until the promise has ended
                await orders.save(projector, order_view(order, version))
                await assert_reads(reader, order, version, cache="bypass")
            assert cast("Any", reader).report.errors <= 10
            assert "does not answer in time" in cast("Any", reader).report.wrong
            link.mend()
            await until(lambda: cast("Any", reader)._link.away is None, within=20)
            link.freeze()
            for _ in range(5):
                await assert_reads(reader, order, 5, cache="bypass")
            link.mend()


async def test_a_projector_that_alone_is_cut_off_from_redis_makes_all_readers_bypass_the_cache_before_it_commits(
    orders: CachedOrders, quick: None, reader: Queries, redis_server: RedisServer
) -> None:
    order = new_order()
    with TcpLink(redis_server.port, free_port()) as link:
        async with orders.projector(f"redis://{link.address}") as projector:
            await orders.save(projector, order_view(order, 1))
            await until_hit(reader, order)
            link.freeze()
            await orders.save(projector, order_view(order, 2))
            await assert_reads(reader, order, 2, cache="bypass")
            link.mend()


async def test_a_full_redis_that_evicts_nothing_costs_time_only(
    orders: CachedOrders, reader: Queries, redis_server: RedisServer
) -> None:
    order = new_order()
    with redis_server.client() as client:
        async with orders.projector() as projector:
            await orders.save(projector, order_view(order, 1))
            client.config_set("maxmemory", 1)
            try:
                for version in range(2, 5):
                    await orders.save(projector, order_view(order, version))
                    await assert_reads(reader, order, version)
                    await settled(reader)
                    await assert_reads(reader, order, version)
            finally:
                client.config_set("maxmemory", 0)
            await orders.save(projector, order_view(order, 5))
            await assert_reads(reader, order, 5, cache="hit")


async def test_a_read_only_replica_is_not_used_and_said_to_be_one(
    orders: CachedOrders, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SURELY_OVER", 0.2)
    order = new_order()
    with redis_server.client() as client:
        client.replicaof("127.0.0.1", str(free_port()))
        try:
            async with orders.projector() as projector, orders.reader() as reader:
                await orders.save(projector, order_view(order, 1))
                await assert_reads(reader, order, 1, cache="bypass")
                assert "is a replica" in cast("Any", reader).report.wrong
        finally:
            client.replicaof("NO", "ONE")


async def test_a_promise_that_is_not_renewed_is_not_believed_when_somebody_sets_back_the_clock_of_redis(
    orders: CachedOrders, reader: Queries, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.redis.queries.SAME_PROMISE", 0.1)
    order = new_order()
    async with orders.projector() as projector:
        await orders.save(projector, order_view(order, 1))
        cast("Any", projector)._writer._renew = nothing
        with redis_server.client() as client:
            client.hset(cast("Any", reader)._board, "until", str(10**15))
        await assert_reads(reader, order, 1, cache="hit")
        await asyncio.sleep(0.11)
        await assert_reads(reader, order, 1, cache="bypass")


async def nothing() -> None:
    pass
