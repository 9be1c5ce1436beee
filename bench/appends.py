"""Orders appended to the log in process: what the command API does for a POST, without HTTP."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from decimal import Decimal

from uuid_utils.compat import uuid7

from bench.http_load import Load
from bench.rebuild import ADDRESS
from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.message import Metadata, OrderId, Sku, StreamId
from core.domain.order import CARD, ORDER, CreateOrder, Item
from core.ports.log import Append, Entry, NewEvent

FIRST_SKU = Sku("SKU-001")


def new_order(sku: Sku = FIRST_SKU) -> Append:
    order_id = OrderId(uuid7())
    item = Item(product_id="bench", sku=sku, quantity=1, unit_price=Decimal("12.50"))
    command = CreateOrder(
        now=datetime.now(UTC), order_id=order_id, customer_id="bench", order_number=f"ORD-{order_id.hex[-10:]}",
        items=(item,), shipping_address=ADDRESS, payment_method=CARD,
    )  # fmt: skip
    events = [NewEvent(uuid7(), e, Metadata(correlation_id=order_id)) for e in ORDER.decide(command, ORDER.initial)]
    return Append([Entry(StreamId(order_id), ORDER.category, 0, events)])


async def append_orders(dsn: str, *, at_once: int, seconds: float) -> Load:
    """Append new orders for so long, each client its next one when its last one is recorded."""

    async def open_connection() -> Connection:
        return await connect(dsn, name="bench")

    store, load = PostgresEventStore(open_connection), Load()
    await store.append(new_order())  # connects
    start = time.perf_counter()

    async def client() -> None:
        now = start
        while now < start + seconds:
            await store.append(new_order())
            end = time.perf_counter()
            load.latencies.append(end - now)
            now = end

    await asyncio.gather(*(client() for _ in range(at_once)))
    load.seconds = time.perf_counter() - start
    await store.close()
    return load
