"""The cache of orders: what it answers is never staler than the read model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from core.ports.queries import Queries
from core.ports.reading import ReadModels
from tests.support.cached_orders import CachedOrders, be_patient, key, new_order, order_view, settled, until
from tests.support.redis_server import RedisServer


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture
def orders(redis_server: RedisServer) -> CachedOrders:
    return CachedOrders(redis_server.url)


@pytest.fixture
async def reader(orders: CachedOrders) -> AsyncIterator[Queries]:
    async with orders.reader() as reader:
        yield reader


@pytest.fixture
async def projector(orders: CachedOrders) -> AsyncIterator[ReadModels]:
    async with orders.projector() as projector:
        await until(lambda: cast("Any", projector)._writer._promised)
        yield projector


async def test_an_order_is_read_from_the_database_once_and_then_from_the_cache(
    orders: CachedOrders, projector: ReadModels, reader: Queries
) -> None:
    order = new_order()
    orders.rows.views[order] = order_view(order, 1)
    first = await reader.order(order)
    await settled(reader)
    second = await reader.order(order)
    assert first is not None
    assert second is not None
    assert (first.cache, second.cache) == ("miss", "hit")
    assert (second.version, second.payment_version, second.json) == (1, 0, first.json)
    assert orders.rows.reads == 1


async def test_what_a_projector_saves_is_in_the_cache_for_the_next_reader(
    orders: CachedOrders, projector: ReadModels, reader: Queries
) -> None:
    order = new_order()
    for version in (1, 2, 3):
        await orders.save(projector, order_view(order, version))
        read = await reader.order(order)
        assert read is not None
        assert (read.cache, read.version) == ("hit", version)
    assert orders.rows.reads == 0


async def test_while_an_order_is_being_saved_it_is_read_from_the_database(
    orders: CachedOrders, projector: ReadModels, reader: Queries
) -> None:
    """Only the mark can do that: the cache has version 1 until version 2 is stored there, which is after the commit."""
    order = new_order()
    await orders.save(projector, order_view(order, 1))
    committed, goes_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        committed.set()
        await goes_on.wait()

    orders.rows.after_save = hold
    saving = asyncio.create_task(orders.save(projector, order_view(order, 2)))
    await committed.wait()
    for _ in range(2):
        read = await reader.order(order)
        assert read is not None
        assert (read.cache, read.version) == ("bypass", 2)
    goes_on.set()
    await saving
    read = await reader.order(order)
    assert read is not None
    assert (read.cache, read.version) == ("hit", 2)


async def test_an_older_version_of_an_order_does_not_replace_a_newer_one(
    orders: CachedOrders, projector: ReadModels, reader: Queries
) -> None:
    """Only the comparison of versions can prevent that: both are stored in the same generation."""
    order = new_order()
    await orders.save(projector, order_view(order, 1))
    writer = cast("Any", projector)._writer
    late = await writer._mark_now([order])
    await orders.save(projector, order_view(order, 3))
    await writer._write(late, [order_view(order, 2)])
    read = await reader.order(order)
    assert read is not None
    assert (read.cache, read.version) == ("hit", 3)


async def test_what_a_slow_reader_has_read_is_not_stored_after_the_order_has_changed(
    orders: CachedOrders, projector: ReadModels, reader: Queries, redis_server: RedisServer
) -> None:
    order = new_order()
    orders.rows.views[order] = order_view(order, 1)
    has_read, goes_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        has_read.set()
        await goes_on.wait()

    orders.rows.after_read = hold
    slow = asyncio.ensure_future(reader.order(order))
    await has_read.wait()
    await orders.save(projector, order_view(order, 2))
    with redis_server.client() as client:
        client.delete(key(order))  # as if Redis had evicted it: there is no newer version to compare with
    goes_on.set()
    assert (await slow).version == 1  # type: ignore[union-attr]
    orders.rows.after_read = None
    await settled(reader)
    read = await reader.order(order)
    assert read is not None
    assert (read.cache, read.version) == ("miss", 2)


async def test_many_readers_of_one_order_at_once_read_it_from_the_database_once_for_the_cache(
    orders: CachedOrders, projector: ReadModels, reader: Queries, redis_server: RedisServer
) -> None:
    order = new_order()
    orders.rows.views[order] = order_view(order, 1)
    async with orders.reader() as another_process:
        read = await asyncio.gather(*(one.order(order) for one in [reader, another_process] * 20))
    assert [one.cache for one in read if one is not None].count("miss") == 1
    assert len(read) == 40


async def test_the_cache_remembers_for_a_while_that_there_is_no_such_order_until_there_is_one(
    orders: CachedOrders, projector: ReadModels, reader: Queries, redis_server: RedisServer
) -> None:
    order = new_order()
    assert await reader.order(order) is None
    await settled(reader)
    assert await reader.order(order) is None
    assert orders.rows.reads == 1
    with redis_server.client() as client:
        assert 0 < client.pttl(key(order)) <= 5_000  # type: ignore[operator]
    await orders.save(projector, order_view(order, 1))
    assert (await reader.order(order)) is not None


async def test_an_order_stays_in_the_cache_for_the_time_of_the_setting(
    orders: CachedOrders, projector: ReadModels, redis_server: RedisServer
) -> None:
    order = new_order()
    await orders.save(projector, order_view(order, 1))
    with redis_server.client() as client:
        assert 290_000 < client.pttl(key(order)) <= 300_000  # type: ignore[operator]


async def test_a_projector_that_catches_up_does_not_fill_the_cache_and_no_old_entry_is_trusted_meanwhile(
    orders: CachedOrders, projector: ReadModels, reader: Queries, redis_server: RedisServer
) -> None:
    order = new_order()
    await orders.save(projector, order_view(order, 1))
    many = [order_view(new_order(), 1) for _ in range(300)]
    await orders.save(projector, order_view(order, 2), *many)
    read = await reader.order(order)
    assert read is not None
    assert (read.cache, read.version) == ("bypass", 2)
    with redis_server.client() as client:
        assert not client.exists(key(many[0].order_id))
    await orders.save(projector, order_view(order, 3))
    read = await reader.order(order)
    assert read is not None
    assert (read.cache, read.version) == ("hit", 3)


async def test_a_projector_that_has_caught_up_and_is_idle_vouches_for_the_cache_again(
    orders: CachedOrders, projector: ReadModels, reader: Queries
) -> None:
    await orders.save(projector, *[order_view(new_order(), 1) for _ in range(300)])
    await until(lambda: cast("Any", projector)._writer._promised)


RUBBISH = (
    b"",
    b"\x00\xff",
    b"1 ",
    b"t ",
    b"1 %b 1 0 7 5 {}",
    b"1 %b 99999999999999999999 0 0 0 {}",
    b"1 %b",
    b"{" * 100,
)


@pytest.mark.parametrize("rubbish", RUBBISH)
async def test_what_other_programs_have_put_under_our_keys_is_not_answered(
    orders: CachedOrders, projector: ReadModels, reader: Queries, redis_server: RedisServer, rubbish: bytes
) -> None:
    order = new_order()
    await orders.save(projector, order_view(order, 1))
    with redis_server.client() as client:
        generation = bytes(cast("Any", client).get(key(order))).split()[1]
        client.set(key(order), rubbish.replace(b"%b", generation))
    read = await reader.order(order)
    assert read is not None
    assert (read.version, read.cache == "hit") == (1, False)
    await orders.save(projector, order_view(order, 2))
    read = await reader.order(order)
    assert read is not None
    assert (read.version, read.cache) == (2, "hit")


async def test_an_entry_that_was_cut_off_or_copied_from_another_order_is_not_answered(
    orders: CachedOrders, projector: ReadModels, reader: Queries, redis_server: RedisServer
) -> None:
    one, other = new_order(), new_order()
    await orders.save(projector, order_view(one, 1, "ann"), order_view(other, 1, "bob"))
    with redis_server.client() as client:
        client.copy(key(one), key(other), replace=True)
        client.set(key(one), client.get(key(one))[:-1])  # type: ignore[index]
    for order, customer in ((one, b'"ann"'), (other, b'"bob"')):
        read = await reader.order(order)
        assert read is not None
        assert read.cache == "bypass"
        assert customer in read.json


async def test_keys_of_another_type_under_our_names_are_replaced(
    orders: CachedOrders, projector: ReadModels, reader: Queries, redis_server: RedisServer
) -> None:
    read_first, saved_first = new_order(), new_order()
    orders.rows.views[read_first] = order_view(read_first, 1)
    with redis_server.client() as client:
        client.rpush(key(read_first), "a list")
        client.hset(key(saved_first), "a", "hash")
    assert (await reader.order(read_first)).version == 1  # type: ignore[union-attr]
    await orders.save(projector, order_view(saved_first, 1))
    read = await reader.order(saved_first)
    assert read is not None
    assert (read.version, read.cache) == (1, "hit")


@pytest.mark.parametrize("customer", ["\x00", "1 t 1 0", "é\u202e𝄞", '"}\\', "a" * 100_000])
async def test_documents_come_out_of_the_cache_as_they_were_put_in(
    orders: CachedOrders, projector: ReadModels, reader: Queries, customer: str
) -> None:
    order = new_order()
    await orders.save(projector, order_view(order, 1, customer))
    cached, stored_ = await reader.order(order), await orders.rows.order(order)
    assert cached is not None
    assert stored_ is not None
    assert (cached.cache, cached.json) == ("hit", stored_.json)
