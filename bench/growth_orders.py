"""Real orders for the bench of growth: confirmed, declined, cancelled, shipped, delivered and refunded over HTTP."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from bench.http_load import Load, drive, request

CLIENTS = 16
CUSTOMERS = 0.6  # of the number of orders: many order again
DECLINED, CANCELLED, REFUNDED = 0.04, 0.04, 0.03  # shares of the orders; all others are delivered and paid
SKUS = ["LAPTOP-001", *(f"SKU-{n:03}" for n in range(1, 51))]
STREETS = (
    "123 Main St",
    "4 Rue des Petites Écuries, Bâtiment B",
    "Lange Straße 178",
    "77 Mission Street, Apartment 1204",
)
CITIES = (("San Francisco", "CA", "94105", "US"), ("Paris", "", "75010", "FR"), ("Stuttgart", "BW", "70173", "DE"))
OPEN = "SELECT count(*) FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING')"
STARTED = "SELECT count(*) < $1 FROM sagas WHERE name = 'fulfil_order'"
CONFIRMED = "SELECT stream_id FROM events WHERE event_type = 'OrderConfirmed' ORDER BY position"


async def place_orders(dsn: str, port: int, count: int) -> None:
    """Place the orders and take each to its end."""
    rng = random.Random(11)
    connection = await asyncpg.connect(dsn)
    customers = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(int(CUSTOMERS * count) or 1)]
    await _send(port, [_order(rng, customers) for _ in range(count)])
    while await connection.fetchval(STARTED, count):
        await asyncio.sleep(0.1)
    await _settled(connection)
    confirmed = [row[0] for row in await connection.fetch(CONFIRMED)]
    cancelled, refunded = round(CANCELLED * count), round(REFUNDED * count)
    await _send(port, [_on("PUT", order, "cancel", {"reason": "ordered twice"}) for order in confirmed[:cancelled]])
    shipped = confirmed[cancelled:]
    parcels = [f"1Z999AA1{rng.randrange(10**10):010}" for _ in shipped]
    await _send(
        port,
        [
            _on("PUT", order, "ship", {"tracking_number": parcel, "carrier": "UPS"})
            for order, parcel in zip(shipped, parcels, strict=True)
        ],
    )
    await _settled(connection)
    await _send(port, [_on("PUT", order, "deliver", {}) for order in shipped])
    await _send(port, [_on("POST", order, "refund", {"amount": 1, "reason": "late"}) for order in shipped[:refunded]])
    await _settled(connection)
    await connection.close()


def _order(rng: random.Random, customers: Sequence[str]) -> bytes:
    city, state, code, country = rng.choice(CITIES)
    address = {"street": rng.choice(STREETS), "city": city, "zip": code, "country": country}
    items = [
        {
            "product_id": sku.lower(),
            "sku": sku,
            "quantity": rng.randint(1, 3),
            "unit_price": rng.randint(100, 99_999) / 100,
        }
        for sku in rng.sample(SKUS, rng.choice((1, 1, 1, 2, 2, 3)))
    ]
    body: dict[str, Any] = {"customer_id": rng.choice(customers), "items": items, "shipping_address": address}
    if state:
        address["state"] = state
    if rng.random() < DECLINED:
        body["payment_method"] = "test_card_fail"
    return _request("POST", "/api/v1/orders", body)


def _on(method: str, order: uuid.UUID, what: str, body: dict[str, Any]) -> bytes:
    return _request(method, f"/api/v1/orders/{order}/{what}", body)


def _request(method: str, path: str, body: dict[str, Any]) -> bytes:
    sent = json.dumps(body, ensure_ascii=False).encode()
    return request(method, path, sent, f"Idempotency-Key: {uuid.uuid4()}\r\n")


async def _send(port: int, requests: Sequence[bytes]) -> None:
    left: Iterator[bytes] = iter(requests)
    load: Load = await drive(port, lambda: next(left, None), clients=CLIENTS, seconds=600)
    if wrong := {status: n for status, n in load.statuses.items() if status >= 300}:
        raise SystemExit(f"commands of the bench were refused: {wrong}")


async def _settled(connection: Any) -> None:
    """Wait until no saga is under way, and none has begun a second later."""
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.2)
        quiet = 0 if await connection.fetchval(OPEN) else quiet + 1
