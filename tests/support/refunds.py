"""What tests of refunds do again and again: ship and pay an order, ask for a refund, wait until its saga has ended."""

from __future__ import annotations

from decimal import Decimal

from core.domain.message import OrderId, Sku, StreamId, payment_of
from core.domain.payment import PAYMENT, Payment
from core.domain.refunds import Returned
from core.ports.log import Result
from core.sagas.refund_order import REFUND_ORDER
from core.sagas.settle_order import SETTLE_ORDER
from core.services.execute import Outcome, Terms
from core.services.load import load_state
from core.services.refund import WantedRefund, refund
from tests.support.order_desk import Desk, now
from tests.support.saga_cases import shipment

REFUND, SETTLE = REFUND_ORDER.name, SETTLE_ORDER.name


async def shipped_order(desk: Desk, units: int = 4) -> OrderId:
    """An order of so many A, at 12.50 each, that is shipped and paid."""
    await desk.stock(A=10)
    order = await desk.place(A=units)
    assert await desk.ended(order) == "SagaCompleted"
    await desk.do(shipment(order))
    assert await desk.ended(order, SETTLE) == "SagaCompleted"
    return order


async def ask_for_refund(
    desk: Desk, order: OrderId, amount: str, refund_id: str = "r-1", restock: tuple[Returned, ...] | None = ()
) -> Outcome:
    wanted = WantedRefund(order, refund_id, Decimal(amount), "it was broken", restock, now())
    return await refund(desk.store, wanted, Terms(), lambda _: (Result.DONE, {}))


async def refund_ended(desk: Desk, order: OrderId, refund_id: str = "r-1") -> str:
    return await desk.ended(order, REFUND, about=refund_id)


async def paid(desk: Desk, order: OrderId) -> Payment:
    return (await load_state(desk.store, PAYMENT, StreamId(payment_of(order)))).state


def units(quantity: int, sku: str = "A") -> tuple[Returned, ...]:
    return (Returned(sku=Sku(sku), quantity=quantity),)
