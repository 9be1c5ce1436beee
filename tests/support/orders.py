"""A log of many orders, written as it is: for tests of what reads it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from msgspec.structs import astuple

from core.codec import StoredEvent
from core.domain.message import Event, OrderId, Sku, payment_of
from core.domain.order import (
    CARD,
    Address,
    Item,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderDelivered,
    OrderShipped,
)
from core.domain.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentRefunded,
    PaymentVoided,
)
from core.projections import GROUPS
from tests.support.stored_events import stored_events

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
ADDRESS = Address(street="1 Market St", city="San Francisco", state="CA", zip="94105", country="US")


@dataclass(frozen=True)
class Sample:
    """`order_id(n)` is the n-th order's; its customer, SKUs, amounts and path follow from n and the seed.

    With `payments`, each order has a payment too: one that ends in every way that its order may end with.
    """

    orders: int
    seed: int = 1
    open_at_once: int = 20
    payments: bool = False

    def events(self) -> Sequence[StoredEvent]:
        rng = random.Random(self.seed)
        waiting = [list(path(n, rng)) for n in range(1, self.orders + 1)]
        if self.payments:
            waiting = [list(with_payment(n, events)) for n, events in enumerate(waiting, start=1)]
        events: list[Event] = []
        while waiting:
            one = rng.choice(waiting[: self.open_at_once])
            events.append(one.pop(0))
            waiting = [path for path in waiting if path]
        return stored_events(events)


def order_id(n: int) -> OrderId:
    return OrderId(UUID(int=(7 << 76) + n))


def path(n: int, rng: random.Random) -> Iterable[Event]:
    skus = rng.sample(range(1, 11), rng.randint(1, 3))
    items = tuple(
        Item(
            product_id=f"prod-{k}",
            sku=Sku(f"SKU-{k:03d}"),
            quantity=rng.randint(1, 4),
            unit_price=Decimal(rng.randint(100, 9_999)).scaleb(-2),
        )
        for k in skus
    )
    known: dict[str, Any] = {"order_id": order_id(n)}
    at = NOW + timedelta(minutes=n)
    yield OrderCreated(
        **known,
        customer_id=f"customer-{rng.randint(1, 7)}",
        order_number=f"ORD-{n:010d}",
        items=items,
        total_amount=sum((item.quantity * item.unit_price for item in items), Decimal(0)),
        currency=rng.choice(["USD", "EUR"]),
        shipping_address=ADDRESS,
        payment_method=CARD,
        created_at=at,
    )
    fate = rng.randint(0, 5)
    if fate == 1:
        yield OrderCancelled(**known, reason="changed my mind", cancelled_at=at)
    if fate >= 2:
        yield OrderConfirmed(**known, confirmed_at=at)
    if fate >= 3:
        yield OrderShipped(**known, tracking_number=f"1Z{n:05d}", carrier="UPS", shipped_at=at)
    if fate >= 4:
        yield OrderDelivered(**known, delivered_at=at)


def with_payment(n: int, order: Sequence[Event]) -> Iterable[Event]:
    """The order's events, and those of its payment between them."""
    known: dict[str, Any] = {"order_id": order_id(n), "payment_id": payment_of(order_id(n))}
    for event in order:
        if isinstance(event, OrderCreated):
            known |= {"amount": event.total_amount, "currency": event.currency}
        if isinstance(event, OrderConfirmed) or (isinstance(event, OrderCancelled) and n % 2):
            yield PaymentAuthorized(**known, payment_method="card", authorization_code=f"auth-{n}")
        yield event
        if isinstance(event, OrderCancelled) and n % 2:
            yield PaymentVoided(payment_id=known["payment_id"], order_id=order_id(n), reason="cancelled")
        elif isinstance(event, OrderShipped) and n % 5 == 0:
            yield PaymentCaptureFailed(**known, reason="the card was closed")
        elif isinstance(event, OrderShipped):
            yield PaymentCaptured(**known, transaction_id=f"tx-{n}")
        elif isinstance(event, OrderDelivered) and n % 5:
            part = (known["amount"] * (n % 4) / 3).quantize(Decimal("0.01"))  # nothing, one or two thirds, or all
            if part:
                yield PaymentRefunded(**known | {"amount": part}, refund_id=f"re-{n}", reason="sent back")


async def write(dsn: str, events: Sequence[StoredEvent]) -> None:
    """Put events into the log as they are."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.copy_records_to_table("events", records=[astuple(event) for event in events])
    finally:
        await connection.close()


READ_MODELS = tuple(model.name for group in GROUPS for model in group.models)


async def contents(dsn: str) -> dict[str, Any]:
    """Every read model, whole."""
    connection = await asyncpg.connect(dsn)
    try:
        return {name: await connection.fetch(f"SELECT * FROM {name} ORDER BY 1, 2") for name in READ_MODELS}
    finally:
        await connection.close()
