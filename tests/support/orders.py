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
from core.domain.message import Event, OrderId, Sku
from core.domain.order import (
    Address,
    Item,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderDelivered,
    OrderShipped,
)
from core.projections import GROUPS
from tests.support.stored_events import stored_events

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
ADDRESS = Address(street="1 Market St", city="San Francisco", state="CA", zip="94105", country="US")


@dataclass(frozen=True)
class Sample:
    """`order_id(n)` is the n-th order's; its customer, SKUs, amounts and path follow from n and the seed."""

    orders: int
    seed: int = 1
    open_at_once: int = 20

    def events(self) -> Sequence[StoredEvent]:
        rng = random.Random(self.seed)
        waiting = [list(path(n, rng)) for n in range(1, self.orders + 1)]
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
        payment_method="card",
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
