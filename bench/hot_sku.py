"""Compares many orders for one SKU, with stock for three quarters of them, with as many orders spread over 500 SKUs."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import uvloop
from uuid_utils.compat import uuid7

from bench.commands import ORDER
from bench.flow import ALL
from bench.ground import Ground, daemons
from bench.http_load import Load, drive, request
from bench.report import Row
from core.adapters.postgres.connection import connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.inventory import INVENTORY, InventoryEvent, InventoryReserved, ReceiveStock
from core.domain.message import Metadata, Sku, inventory_stream
from core.ports.log import Append, Entry, NewEvent

REACH = 2  # at most so many times as long as the spread orders
CLIENTS = 64
LONGEST = 120.0  # seconds for one load and its sagas
SPREAD = [Sku(f"SPREAD-{n:03}") for n in range(500)]
PLENTY = 1_000_000

OPEN = """
SELECT (SELECT count(*) FROM sagas WHERE name = 'fulfil_order') < $1
    OR EXISTS (SELECT FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING'))
"""
LAST_END = "SELECT max(recorded_at) FROM events WHERE event_type IN ('SagaCompleted', 'SagaCompensated')"
ENDED = """
SELECT e.event_type, e.payload ->> 'reason', count(*) FROM events e
  JOIN events o ON o.stream_id = e.stream_id AND o.event_type = 'OrderCreated'
 WHERE e.event_type IN ('OrderConfirmed', 'OrderCancelled') AND o.payload -> 'items' -> 0 ->> 'sku' = ANY ($1)
 GROUP BY 1, 2
"""


@dataclass
class LoadResult:
    """How the orders of one load ended, and how many seconds passed from the first POST to the last saga's end."""

    seconds: float
    load: Load
    ends: dict[str, int]


def measure(ground: Ground, orders: float) -> list[Row]:
    """Measure the spread orders before and after those for one SKU, so that both meet an equally busy machine."""
    count, stock = int(orders), 3 * int(orders) // 4
    dsn, hot = ground.database(samples=False), Sku("HOT-001")
    uvloop.run(_receive(dsn, {hot: stock} | dict.fromkeys([*SPREAD, Sku("WARM-001")], PLENTY)))
    with daemons(ground, dsn, *ALL) as running:
        port = running.ports["command-api"]
        uvloop.run(_load(dsn, port, [Sku("WARM-001")], 200))  # warms up: makes plans and fills caches
        before = uvloop.run(_load(dsn, port, SPREAD, count))
        one_sku = uvloop.run(_load(dsn, port, [hot], count))
        after = uvloop.run(_load(dsn, port, SPREAD, count))
    lowest, reserved = uvloop.run(_fold(dsn, hot))
    out_of_stock = f"OrderCancelled: {hot}: out of stock"
    right = one_sku.ends == {"OrderConfirmed": stock, out_of_stock: count - stock} and reserved == stock
    spread = (before.seconds + after.seconds) / 2
    return [
        _row(f"{count:,} orders over {len(SPREAD)} SKUs, {CLIENTS} clients", count, spread, after),
        _row(f"{count:,} orders for one SKU with {stock:,} in stock", count, one_sku.seconds, one_sku),
        Row("  time, one SKU / spread", "", one_sku.seconds / spread, f"<= {REACH}x",
            one_sku.seconds <= REACH * spread),
        Row("  confirmed, cancelled as out of stock", _ends(one_sku), reach=f"{stock:,}, {count - stock:,}", met=right),
        Row("  least in stock at any version", f"{lowest}", reach=">= 0", met=lowest >= 0),
    ]  # fmt: skip


def _row(what: str, count: int, seconds: float, result: LoadResult) -> Row:
    wrong = {status: n for status, n in result.load.statuses.items() if status != 201}
    figures = f"{count / seconds:,.0f}/s to their end  POST p99 {result.load.percentile(0.99):.0f} ms"
    data = {"seconds": seconds, "ends": result.ends, "statuses": dict(result.load.statuses)}
    return Row(what, figures + (f"  NOT 201: {wrong}" if wrong else ""), data=data)


def _ends(result: LoadResult) -> str:
    return "  ".join(f"{end} {n:,}" for end, n in sorted(result.ends.items(), reverse=True))


async def _load(dsn: str, port: int, skus: Sequence[Sku], count: int) -> LoadResult:
    connection = await asyncpg.connect(dsn)
    sagas = await connection.fetchval("SELECT count(*) FROM sagas WHERE name = 'fulfil_order'")
    earlier = Counter(await _ended(connection, skus))
    began = time.time()
    load = await drive(port, _orders(skus, count), clients=CLIENTS, seconds=LONGEST)
    async with asyncio.timeout(LONGEST):
        while await connection.fetchval(OPEN, sagas + count):
            await asyncio.sleep(0.05)
    seconds = (await connection.fetchval(LAST_END)).timestamp() - began
    ends = Counter(await _ended(connection, skus)) - earlier
    await connection.close()
    return LoadResult(seconds, load, dict(ends))


async def _ended(connection: asyncpg.Connection, skus: Sequence[Sku]) -> dict[str, int]:
    rows = await connection.fetch(ENDED, skus)
    return {kind if reason is None else f"{kind}: {reason}": count for kind, reason, count in rows}


def _orders(skus: Sequence[Sku], count: int) -> Callable[[], bytes | None]:
    run, numbers, next_sku = uuid.uuid4().hex, iter(range(count)), itertools.cycle(skus)

    def make() -> bytes | None:
        if (number := next(numbers, None)) is None:
            return None
        body = ORDER.replace(b'"LAPTOP-001"', b'"' + next(next_sku).encode() + b'"')
        return request("POST", "/api/v1/orders", body, f"Idempotency-Key: {run}-{number}\r\n")

    return make


async def _receive(dsn: str, quantities: dict[Sku, int]) -> None:
    store = PostgresEventStore(lambda: connect(dsn, name="bench"))
    entries: list[Entry] = []
    for sku, quantity in quantities.items():
        stream = inventory_stream(sku)
        command = ReceiveStock(now=datetime.now(UTC), sku=sku, quantity=quantity)
        events = INVENTORY.decide(command, INVENTORY.initial)
        new = [NewEvent(uuid7(), event, Metadata(correlation_id=stream)) for event in events]
        entries.append(Entry(stream, INVENTORY.category, 0, new))
    await store.append(Append(entries))
    await store.close()


async def _fold(dsn: str, sku: Sku) -> tuple[int, int]:
    """The lowest available quantity at any version of a SKU's stream, and how much was reserved in all."""
    store = PostgresEventStore(lambda: connect(dsn, name="bench"))
    stock, lowest, reserved = INVENTORY.initial, PLENTY, 0
    for recorded in await store.load(inventory_stream(sku)):
        event = recorded.event
        if not isinstance(event, InventoryEvent):
            raise TypeError(f"{event} in the stream of {sku}")
        stock = INVENTORY.fold([event], stock)
        lowest = min(lowest, stock.available)
        reserved += event.quantity if isinstance(event, InventoryReserved) else 0
    await store.close()
    return lowest, reserved
