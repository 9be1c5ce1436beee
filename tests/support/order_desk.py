"""A desk in one process: a real log, the real services, and the payment provider in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from uuid_utils.compat import uuid7

from core.adapters.memory.payments import MemoryPaymentGateway
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.adapters.postgres.saga_starts import PostgresSagaStarts
from core.adapters.postgres.shares import PostgresShares
from core.codec import StoredEvent
from core.domain.inventory import INVENTORY, ReceiveStock
from core.domain.message import OrderId, Sku, StreamId, inventory_stream, saga_of
from core.domain.order import ORDER, Address, CreateOrder, Item, OrderCommand, ShipOrder
from core.domain.payment_method import PaymentMethod
from core.domain.saga import SagaFailed, finished
from core.ports.clock import Clock
from core.ports.log import Result
from core.ports.sagas import READER, SHARES, STARTS_ON
from core.sagas import SAGAS
from core.sagas.saga import Tables
from core.services.execute import Outcome, Terms, execute
from core.services.sagas.advance import World
from core.services.sagas.runner import SagaRunner
from core.services.sagas.starting import Starting
from core.services.sagas.stock import StockDesk
from core.services.shares import ShareKeeper
from core.services.ship import ship

ADDRESS = Address(street="1 Main St", city="San Francisco", state="CA", zip="94105", country="US")


def now() -> datetime:
    return datetime.now(UTC)


class RealClock:
    def now(self) -> datetime:
        return now()


@dataclass
class Desk:
    """Orders go in by commands; `timeline` is what the log says about one."""

    open: Callable[[], Awaitable[Connection]]
    store: PostgresEventStore
    gateway: MemoryPaymentGateway = field(default_factory=MemoryPaymentGateway)
    clock: Clock = field(default_factory=RealClock)
    scale: float = 1.0
    tables: Tables = field(default_factory=lambda: SAGAS)

    async def stock(self, **quantities: int) -> None:
        for sku, quantity in quantities.items():
            name = Sku(sku.replace("_", "-"))
            stream = inventory_stream(name)
            command = ReceiveStock(now=now(), sku=name, quantity=quantity)
            await execute(
                self.store, INVENTORY, stream, command, Terms(), lambda _: (Result.CREATED, {}), correlation_id=stream
            )

    async def place(self, method: str = "card", **lines: int) -> OrderId:
        order_id = OrderId(uuid7())
        items = tuple(
            Item(product_id=sku, sku=Sku(sku.replace("_", "-")), quantity=quantity, unit_price=Decimal("12.50"))
            for sku, quantity in (lines or {"A": 1}).items()
        )
        command = CreateOrder(
            now=now(),
            order_id=order_id,
            customer_id="c-1",
            order_number=f"ORD-{order_id.hex[-10:]}",
            items=items,
            shipping_address=ADDRESS,
            payment_method=PaymentMethod(type=method),
        )
        stream = StreamId(order_id)
        await execute(
            self.store,
            ORDER,
            stream,
            command,
            Terms(),
            lambda _: (Result.CREATED, {}),
            correlation_id=order_id,
            new=True,
        )
        return order_id

    async def do(self, command: OrderCommand) -> Outcome:
        stream = StreamId(command.order_id)

        def describe(order: Any) -> tuple[Result, dict[str, str]]:
            return Result.DONE, {"status": order.status}

        if isinstance(command, ShipOrder):
            return await ship(self.store, command, Terms(), describe)
        return await execute(self.store, ORDER, stream, command, Terms(), describe, correlation_id=stream)

    async def timeline(self, order_id: OrderId) -> list[StoredEvent]:
        return [e for e in await self.log() if e.correlation_id == order_id]

    async def log(self) -> list[StoredEvent]:
        return list(await self.store.read_log(after=0, limit=1_000_000))

    async def domain(self, order_id: OrderId) -> list[str]:
        """The order's timeline beside the sagas' own events."""
        return [e.event_type for e in await self.timeline(order_id) if e.category != "saga"]

    async def ended(self, order_id: OrderId, saga: str = "fulfil_order", within: float = 60.0, about: str = "") -> str:
        """The type of a saga's last event, once it has come to its end."""
        async with asyncio.timeout(within):
            while True:
                events = await self.store.load(StreamId(saga_of(order_id, saga, about)))
                if events and (finished(events[-1].event) or isinstance(events[-1].event, SagaFailed)):
                    return type(events[-1].event).__name__
                await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def running(self, owner: str = "runner-1") -> AsyncIterator[SagaRunner]:
        """A saga runner at work."""
        world = World(self.store, StockDesk(self.store), self.gateway, self.clock, self.scale)
        link, feed = Link(self.open), PostgresSagaStarts(self.open)
        runner = SagaRunner(world, PostgresSagaLog(link), self.tables, owner)
        keeper = ShareKeeper(PostgresShares(link), READER, owner, count=SHARES)
        starting = Starting(feed, PostgresShares(link), keeper, STARTS_ON, runner.start)
        stop = asyncio.Event()

        async def claim() -> None:
            while not stop.is_set():
                await runner.claim()
                await asyncio.wait([stopping], timeout=0.05)

        await keeper.renew()  # as the daemon does, so that it starts each order as it comes
        stopping = asyncio.ensure_future(stop.wait())
        async with asyncio.TaskGroup() as group:
            group.create_task(keeper.keep(stop))
            group.create_task(starting.run(stop))
            group.create_task(claim())
            try:
                yield runner
            finally:
                stop.set()
                await runner.drain(5.0)
        link.close()
        feed.close()
