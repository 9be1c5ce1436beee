"""Several runners that reserve the same SKUs at once: each order gets its stock, and few decisions are made in vain."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from core.adapters.memory.payments import MemoryPaymentGateway
from core.adapters.postgres.connection import Link
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.adapters.postgres.stock_turns import PostgresStockTurns
from core.domain.inventory import INVENTORY
from core.domain.message import Sku, inventory_stream
from core.sagas import SAGAS
from core.services.load import load_state
from core.services.sagas.advance import World
from core.services.sagas.runner import SagaRunner
from core.services.sagas.stock import StockDesk
from tests.support.opener import Opener
from tests.support.order_desk import Desk, RealClock

RUNNERS = 4
ORDERS = 48  # of each runner
AT_ONCE = 12
SKUS = ("A", "B", "C", "D")


async def test_four_runners_take_turns_at_the_stock_that_all_of_them_reserve(desk: Desk, opener: Opener) -> None:
    await desk.stock(**dict.fromkeys(SKUS, 1000))
    orders = [await desk.place("card", **{SKUS[n % len(SKUS)]: 1}) for n in range(RUNNERS * ORDERS)]
    created = [event for event in await desk.log() if event.event_type == "OrderCreated"]
    stock_desks: list[StockDesk] = []
    async with AsyncExitStack() as stack:

        async def run(number: int) -> None:
            """As a runner of its own process does: with connections of its own."""
            store, link, turns = PostgresEventStore(opener), Link(opener), PostgresStockTurns(opener)
            for close in (link.close, turns.close):
                stack.callback(close)
            stack.push_async_callback(store.close)
            stock_desk = StockDesk(store, turns)
            stock_desks.append(stock_desk)
            world = World(store, stock_desk, MemoryPaymentGateway(), RealClock())
            runner = SagaRunner(world, PostgresSagaLog(link), SAGAS, f"runner-{number}")
            ours = created[number * ORDERS : (number + 1) * ORDERS]
            for n in range(0, ORDERS, AT_ONCE):
                await runner.start(ours[n : n + AT_ONCE])
                await runner.drain(60)

        await asyncio.gather(*map(run, range(RUNNERS)))
    ends = {await desk.ended(order) for order in orders}
    assert ends == {"SagaCompleted"}
    for sku in SKUS:
        stock = (await load_state(desk.store, INVENTORY, inventory_stream(Sku(sku)))).state
        assert (stock.available, sum(stock.held.plain().values())) == (
            1000 - RUNNERS * ORDERS // len(SKUS),
            RUNNERS * ORDERS // len(SKUS),
        )
    assert sum(each.turns_taken for each in stock_desks) > 0
    assert sum(each.conflicts for each in stock_desks) <= 2 * RUNNERS, "without turns there are twice as many"
