"""Measures our sagas: runs the real store, subscription and runner in one process, as the daemon sets them up.

This process also places the orders, so its rate contains that. An order counts as confirmed when this process has read
its OrderConfirmed in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import uvloop
from uuid_utils.compat import uuid7

from bench.rebuild import ADDRESS
from bench.saga_task import Meter, Run, SagaFigures, Task, fastest, figures_of, read_task, send
from core.adapters.memory.payments import MemoryPaymentGateway
from core.adapters.payments.http import HttpPaymentGateway
from core.adapters.postgres.clock import DatabaseClock
from core.adapters.postgres.connection import Connection, Link, connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.adapters.postgres.saga_starts import PostgresSagaStarts
from core.adapters.postgres.shares import PostgresShares
from core.adapters.postgres.subscription import PostgresSubscription
from core.domain.message import Metadata, OrderId, Sku, StreamId
from core.domain.order import CARD, ORDER, CreateOrder, Item
from core.ports.log import Append, Entry, NewEvent
from core.ports.payments import PaymentGateway
from core.ports.sagas import READER, SHARES, STARTS_ON
from core.sagas import SAGAS
from core.services.sagas.advance import World
from core.services.sagas.runner import SagaRunner
from core.services.sagas.starting import Starting
from core.services.sagas.stock import StockDesk
from core.services.shares import ShareKeeper
from daemons.process.vitals import OFTEN, settle_down
from daemons.saga_runner.work import LOOK_EVERY

BATCH = 2_000
SKUS = [Sku(f"SKU-{n:03}") for n in range(1, 51)]


@dataclass
class Desk:
    """Places orders: each call of `fulfil` places one, and returns when it is confirmed."""

    store: PostgresEventStore
    confirmed: dict[OrderId, asyncio.Future[None]] = field(default_factory=dict[OrderId, "asyncio.Future[None]"])
    skus: itertools.cycle[Sku] = field(default_factory=lambda: itertools.cycle(SKUS))

    async def fulfil(self) -> None:
        order_id = OrderId(uuid7())
        item = Item(product_id="bench", sku=next(self.skus), quantity=1, unit_price=Decimal("12.50"))
        command = CreateOrder(
            now=datetime.now(UTC), order_id=order_id, customer_id="bench", order_number=f"ORD-{order_id.hex[-10:]}",
            items=(item,), shipping_address=ADDRESS, payment_method=CARD,
        )  # fmt: skip
        events = [NewEvent(uuid7(), e, Metadata(correlation_id=order_id)) for e in ORDER.decide(command, ORDER.initial)]
        done = self.confirmed[order_id] = asyncio.get_running_loop().create_future()
        await self.store.append(Append([Entry(StreamId(order_id), ORDER.category, 0, events)]))
        await done


@contextlib.asynccontextmanager
async def desk(dsn: str, gateway: PaymentGateway) -> AsyncIterator[Desk]:
    """A desk, and beside it a saga runner that starts sagas for all events after the present head of the log."""

    async def open_connection() -> Connection:
        return await connect(dsn, name="bench")

    store, link = PostgresEventStore(open_connection), Link(open_connection)
    clock, shares, feed = DatabaseClock(link), PostgresShares(link), PostgresSagaStarts(open_connection)
    await clock.look()
    runner = SagaRunner(World(store, StockDesk(store), gateway, clock), PostgresSagaLog(link), SAGAS, "bench")
    keeper = ShareKeeper(shares, READER, "bench", count=SHARES)
    starting = Starting(feed, shares, keeper, STARTS_ON, runner.start)
    placing, stop = Desk(store), asyncio.Event()

    async def follow(after: int) -> None:
        async for batch in PostgresSubscription(open_connection).batches(stop, after=after, limit=BATCH):
            for event in batch:
                if event.event_type == "OrderConfirmed" and (
                    done := placing.confirmed.pop(OrderId(event.stream), None)
                ):
                    done.set_result(None)

    async def claim() -> None:
        while not stop.is_set():
            await runner.claim()
            room = asyncio.ensure_future(runner.has_room.wait())
            await asyncio.wait([stopping, room], timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
            room.cancel()

    stopping = asyncio.ensure_future(stop.wait())
    head = await store.head()
    await keeper.renew()
    await shares.reach(READER, dict.fromkeys(keeper.held, head), keeper.held)
    settle_down(OFTEN)
    async with asyncio.TaskGroup() as group:
        group.create_task(keeper.keep(stop))
        group.create_task(starting.run(stop))
        group.create_task(follow(head))
        group.create_task(claim())
        yield placing
        stop.set()
        await runner.drain(5.0)
    await store.close()
    link.close()
    feed.close()


async def closed_loop(desk: Desk, at_once: int, seconds: float, server: int) -> Run:
    """Place orders for a time, so many at once: each client places its next order when its last one is confirmed."""
    start, meter, count = time.perf_counter(), Meter(server), 0

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < start + seconds:
            await desk.fulfil()
            count += 1

    await asyncio.gather(*(client() for _ in range(at_once)))
    return meter.run(count)


async def steady_load(desk: Desk, rate: float, seconds: float) -> list[float]:
    """Place orders at a steady rate; return for each the seconds from when it was due to its confirmation."""
    took: list[float] = []
    start = time.perf_counter()

    async def one(due: float) -> None:
        await desk.fulfil()
        took.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for n in range(round(rate * seconds)):
            due = start + n / rate
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            group.create_task(one(due))
    return took


async def _measure(task: Task) -> SagaFigures:
    async with contextlib.AsyncExitStack() as stack:
        gateway: PaymentGateway = MemoryPaymentGateway()
        if task.provider:
            gateway = await stack.enter_async_context(HttpPaymentGateway(task.provider))
        ours = await stack.enter_async_context(desk(task.dsn, gateway))
        await closed_loop(ours, 8, 0.5, task.server)  # warms up: makes plans and fills caches
        runs = {level: await closed_loop(ours, level, task.seconds, task.server) for level in task.levels}
        return figures_of(runs, await steady_load(ours, runs[fastest(runs)].rate / 2, task.seconds))


if __name__ == "__main__":
    send(uvloop.run(_measure(read_task())))
