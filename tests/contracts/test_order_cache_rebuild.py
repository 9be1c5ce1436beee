"""The cache of orders across a switch of the read models: nothing of before is answered from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from core.adapters.redis.opening import cached_generations
from core.ports.generations import Generations
from tests.support.cached_orders import CachedOrders, be_patient, new_order, order_view, settled, until
from tests.support.redis_server import RedisServer

NOW = timedelta(0)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


class Switch:
    """Stands for the generations in PostgreSQL: its switch is what the test wants to happen at that moment."""

    def __init__(self, happens: Any) -> None:
        self._happens = happens

    async def switch(self, *_: Any, **__: Any) -> str:
        return await self._happens()


async def test_no_order_of_the_tables_of_before_is_answered_from_the_cache_after_a_switch(
    redis_server: RedisServer,
) -> None:
    orders = CachedOrders(redis_server.url)
    first, second = new_order(), new_order()
    async with orders.reader() as reader, orders.projector() as projector:
        await until(lambda: cast("Any", projector)._writer._promised)
        await orders.save(projector, order_view(first, 1, "before"))
        assert (read := await reader.order(first)) is not None
        assert read.cache == "hit"

        async def switch() -> str:
            # While it lasts, nothing is answered from the cache, and nothing that is saved or read gets into it.
            await orders.save(projector, order_view(second, 1, "before"))
            for order in (first, second):
                assert (read := await reader.order(order)) is not None
                assert read.cache != "hit"
            await settled(reader)
            orders.rows.views |= {order: order_view(order, 1, "after") for order in (first, second)}
            return ""

        async with cached_generations(cast("Generations", Switch(switch)), orders.cache()) as generations:
            link = cast("Any", generations)._link
            await until(lambda: link.away is None)
            assert await generations.switch(1, within=NOW, keep=NOW) == ""
        for order in (first, second):
            assert (read := await reader.order(order)) is not None
            assert b'"after"' in read.json

        async def is_cached() -> bool:
            await settled(reader)
            return (read := await reader.order(first)) is not None and read.cache == "hit"

        async def until_cached() -> None:
            while not await is_cached():
                pass

        await until_cached()  # the cache works again
        assert (read := await reader.order(first)) is not None
        assert b'"after"' in read.json


async def test_without_redis_a_switch_waits(redis_server: RedisServer) -> None:
    async def never() -> str:
        raise AssertionError("it must not be switched")

    orders = CachedOrders("redis://127.0.0.1:1")
    async with cached_generations(cast("Generations", Switch(never)), orders.cache()) as generations:
        assert "the cache cannot be told" in await generations.switch(1, within=NOW, keep=NOW)
