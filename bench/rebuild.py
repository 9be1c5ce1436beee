"""Measures a rebuild: the real projector fills every read model from the first event of a log of four-event orders."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import uvloop
from uuid_utils.compat import uuid7

from bench.ground import Ground, daemons
from bench.report import Row
from core import codec
from core.domain.inventory import InventoryReserved
from core.domain.message import Event, OrderId, Sku, inventory_stream, payment_of, reservation_of
from core.domain.order import CARD, Address, Item, OrderConfirmed, OrderCreated
from core.domain.payment import PaymentAuthorized

REACH = 60_000  # events a second
SKUS, CUSTOMERS = 50, 100_000
COLUMNS = [
    "position", "stream_id", "category", "version", "event_id", "event_type", "schema_version", "payload",
    "metadata", "correlation_id", "recorded_at",
]  # fmt: skip
ADDRESS = Address(street="123 Main St", city="San Francisco", state="CA", zip="94105", country="US")
POSITION = "SELECT min(position) FROM checkpoints WHERE reader LIKE 'projector.%'"
HOUSE = UUID("6f72642d-6265-6e63-8000-000000000001")


def measure(ground: Ground, events: float) -> list[Row]:
    dsn, count = filled(ground, int(events))
    with daemons(ground, dsn, "projector"):
        rate, seconds = uvloop.run(watch(dsn, count, POSITION))
    figures = f"{rate:,.0f} events/s ({count:,} events in {seconds:.1f} s, five read models)"
    data = {"events": count, "rate": rate, "seconds": seconds}
    return [
        Row("rebuild", figures, data=data),
        Row("  of 60 000 events/s", "", rate / REACH, ">= 1x", rate >= REACH),
    ]


def filled(ground: Ground, events: int, *, samples: bool = False) -> tuple[str, int]:
    """A database with a log of so many events, that no reader has read; returns its address and its last position."""
    return ground.filled(f"a log of {events}", lambda dsn: uvloop.run(fill(dsn, events)), samples=samples)


async def fill(dsn: str, events: int) -> int:
    connection = await asyncpg.connect(dsn)
    begun = int(await connection.fetchval("SELECT coalesce(max(position), 0) FROM events"))  # the sample catalogue
    events, rng, position = events + begun, random.Random(7), begun
    versions: dict[UUID, int] = dict(await connection.fetch("SELECT stream_id, max(version) FROM events GROUP BY 1"))
    for _ in range(0, (events - begun) // 4, 5_000):
        rows = [row for _ in range(min(5_000, (events - position) // 4)) for row in order_events(rng, versions)]
        numbered = [(position + n, *row) for n, row in enumerate(rows, 1)]
        position += len(rows)
        await connection.copy_records_to_table("events", records=numbered, columns=COLUMNS)
    await connection.execute("VACUUM ANALYZE events")
    await connection.close()
    return position


def order_events(rng: random.Random, versions: dict[UUID, int]) -> Iterator[tuple[Any, ...]]:
    order_id, at = OrderId(uuid7()), datetime.now(UTC) - timedelta(days=rng.randrange(90))
    sku, quantity = Sku(f"SKU-{rng.randrange(SKUS):03}"), rng.randint(1, 3)
    price = Decimal(rng.randint(100, 99_999)) / 100
    total = price * quantity
    item = Item(product_id=sku.lower(), sku=sku, quantity=quantity, unit_price=price)
    customer = str(uuid5(HOUSE, str(rng.randrange(CUSTOMERS))))
    payment = payment_of(order_id)
    yield stored_row(order_id, "order", versions, order_id, at, OrderCreated(
        order_id=order_id, customer_id=customer, order_number=f"ORD-{order_id.hex[-10:].upper()}", items=(item,),
        total_amount=total, currency="USD", shipping_address=ADDRESS, payment_method=CARD, created_at=at,
    ))  # fmt: skip
    yield stored_row(inventory_stream(sku), "inventory", versions, order_id, at, InventoryReserved(
        sku=sku, reservation_id=reservation_of(order_id, sku), order_id=order_id, quantity=quantity,
    ))  # fmt: skip
    yield stored_row(payment, "payment", versions, order_id, at, PaymentAuthorized(
        payment_id=payment, order_id=order_id, amount=total, currency="USD", payment_method="card",
        authorization_code="auth",
    ))  # fmt: skip
    yield stored_row(order_id, "order", versions, order_id, at, OrderConfirmed(order_id=order_id, confirmed_at=at))


def stored_row(
    stream: UUID, category: str, versions: dict[UUID, int], order: UUID, at: datetime, event: Event
) -> tuple[Any, ...]:
    version = versions[stream] = versions.get(stream, 0) + 1
    metadata = json.dumps({"correlation_id": str(order)})
    name, payload = codec.event_type(type(event)), codec.encode(event).decode()
    return (stream, category, version, uuid7(), name, type(event).schema_version, payload, metadata, order, at)


async def watch(dsn: str, count: int, query: str) -> tuple[float, float]:
    """Events a second, and seconds, from when the query first gave a position until it gives that of the last event."""
    connection = await asyncpg.connect(dsn)
    first: tuple[float, int] | None = None
    while True:
        position = await connection.fetchval(query) or 0
        now = time.perf_counter()
        if position and first is None:
            first = (now, position)
        if position >= count:
            break
        await asyncio.sleep(0.01)
    await connection.close()
    began, start = first or (now, 0)
    seconds = now - began  # 0 if the first position that was seen is the last one
    return (count - start) / max(seconds, 0.001), seconds
