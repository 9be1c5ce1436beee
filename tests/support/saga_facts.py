"""What the tests of sagas start from: the facts of one order, and how far a saga has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

from core.domain import saga as e
from core.domain.held import Held
from core.domain.inventory import Stock
from core.domain.message import OrderId, Sku, payment_of, reservation_of, saga_of
from core.domain.order import ORDER, Order, OrderEvent
from core.domain.payment import PAYMENT, Payment, PaymentEvent
from core.domain.saga import SagaEvent
from core.sagas.progress import Progress, SagaStatus, StepStatus, evolve
from core.sagas.saga import Facts, Saga
from tests.support.sample_saga import BUYS
from tests.support.samples import ITEMS, NOW, ORDER_ID, created

SAGA_ID = saga_of(ORDER_ID, BUYS.name)
WANTED = {Sku("LAPTOP-001"): 2, Sku("SKU-007"): 3}
PLENTY = {sku: Stock(known=True, available=10) for sku in WANTED}
HELD = {
    sku: Stock(known=True, available=10 - units, held=Held({reservation_of(ORDER_ID, sku): units}))
    for sku, units in WANTED.items()
}
PAYMENT_ID = payment_of(ORDER_ID)
SECOND = timedelta(seconds=1)
PENDING, RUNNING, COMPLETED, FAILED, COMPENSATING, COMPENSATED, COMPENSATION_FAILED, SKIPPED = StepStatus

assert {item.sku: item.quantity for item in ITEMS} == WANTED


def order(*more: OrderEvent) -> Order:
    return ORDER.fold([created, *more])


def payment(*events: PaymentEvent) -> Payment:
    return PAYMENT.fold(events)


def facts(
    the_order: Order | None = None,
    paid: Payment | None = None,
    stock: Mapping[Sku, Stock] = PLENTY,
    reason: str = "because",
) -> Facts:
    return Facts(
        order_id=OrderId(ORDER_ID), order=the_order or order(), payment=paid or Payment(), stock=stock, reason=reason,
        now=NOW,
    )  # fmt: skip


def progress_after(*events: SagaEvent, at: datetime = NOW) -> Progress:
    """How far a saga has come that was started, and then recorded these events."""
    first = e.SagaStarted(saga_id=SAGA_ID, name="any", definition=1, order_id=OrderId(ORDER_ID))
    found = reduce(lambda progress, event: evolve(progress, event, at), (first, *events), None)
    assert found is not None
    return found


def progress_at(saga: Saga, status: SagaStatus, *steps: StepStatus, **other: Any) -> Progress:
    """How far a saga has come whose steps have these statuses, from the first step on."""
    names = [step.name for step in saga.steps]
    return Progress(status=status, since=NOW, steps=dict(zip(names, steps, strict=False)), **other)


def types(events: Sequence[SagaEvent]) -> list[str]:
    """A line for each event: `SagaStepCompleted(reserve)` is `StepCompleted reserve`."""
    return [
        " ".join(filter(None, [type(event).__name__.removeprefix("Saga"), getattr(event, "step", None)]))
        for event in events
    ]
