"""What tests of sagas do again and again: ship and cancel an order, make the provider fail, make a saga fail."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from core.adapters.postgres.connection import Link
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.domain.inventory import INVENTORY
from core.domain.message import OrderId, SagaId, Sku, inventory_stream, saga_of
from core.domain.order import CancelOrder, ShipOrder
from core.domain.provider import PaymentAnswer
from core.errors import GatewayUnavailable
from core.sagas import SAGAS
from core.sagas.wishes import Wish
from core.services.execute import Outcome, Terms
from core.services.load import load_state
from core.services.sagas.steer import Operation, operate
from tests.support.order_desk import Desk, now

HAPPY = ["OrderCreated", "InventoryReserved", "PaymentAuthorized", "OrderConfirmed"]


async def available(desk: Desk, sku: str) -> tuple[int, int]:
    stock = (await load_state(desk.store, INVENTORY, inventory_stream(Sku(sku)))).state
    return stock.available, sum(stock.held.values())


def shipment(order_id: OrderId) -> ShipOrder:
    return ShipOrder(now=now(), order_id=order_id, tracking_number="1Z999", carrier="UPS")


def cancellation(order_id: OrderId) -> CancelOrder:
    return CancelOrder(now=now(), order_id=order_id, reason="changed my mind")


async def happened(desk: Desk, order: OrderId, event_type: str) -> None:
    async with asyncio.timeout(60):
        while event_type not in [e.event_type for e in await desk.timeline(order)]:
            await asyncio.sleep(0.005)


FROM_A_LATER_RELEASE = """
INSERT INTO events
SELECT (SELECT max(position) FROM events) + 1, stream_id, category, version + 1, gen_random_uuid(),
       'FromALaterRelease', 1, '{}', metadata, correlation_id, clock_timestamp()
  FROM events WHERE stream_id = $1 ORDER BY version DESC LIMIT 1
"""


DAMAGED = FROM_A_LATER_RELEASE.replace("'FromALaterRelease'", "'SagaStepFailed'")


async def make_unreadable(dsn: str, stream: UUID, *, damaged: bool = False) -> None:
    """Give the stream an event of a later release, or one that no release can read."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(DAMAGED if damaged else FROM_A_LATER_RELEASE, stream)
    await connection.close()


class Away:
    """A provider of which one operation is away."""

    def __init__(self, desk: Desk, operation: str) -> None:
        self._real = desk.gateway
        self._operation = operation

    def __getattr__(self, name: str) -> Any:
        return self._away if name == self._operation else getattr(self._real, name)

    async def _away(self, *_: Any, **__: Any) -> PaymentAnswer:
        raise GatewayUnavailable("away", 60.0)


async def switch(provider: httpx.AsyncClient, **faults: Any) -> None:
    assert (await provider.post("/faults", json=faults)).status_code == 200


ADA = Terms(user_id="ada", request_id="r-1")


class Operator:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.link = Link(desk.open)

    async def do(self, wish: Wish, saga_id: SagaId, terms: Terms = ADA, reason: str = "because") -> Outcome:
        sagas = PostgresSagaLog(self.link)
        return await operate(self.desk.store, sagas, SAGAS, self.desk.clock, Operation(saga_id, wish, reason), terms)


async def failed(desk: Desk) -> tuple[OrderId, SagaId]:
    """A cancelled order whose payment cannot be voided."""
    await desk.stock(A=10)
    order = await desk.place("test_card_void_never", A=2)
    assert await desk.ended(order) == "SagaCompleted"
    await desk.do(cancellation(order))
    assert await desk.ended(order, "unwind_order") == "SagaFailed"
    return order, saga_of(order, "unwind_order")
