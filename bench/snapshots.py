"""Measures how fast a SKU of a million events is loaded without and with its snapshot, beside a SKU of ten events."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import asyncpg
import psutil
import uvloop

from bench.ground import Ground
from bench.report import Row
from core.adapters.postgres.connection import connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.inventory import INVENTORY
from core.domain.message import Sku, inventory_stream
from core.services.load import load_state
from core.services.snapshots import spacing

SHORT, LONG = Sku("SHORT"), Sku("LONG")
FEW = 10  # events
LOADS = 1_000
OPEN = 20  # reservations not yet shipped
REACH = 1.5

# A receipt, then in turns a reservation and the shipment of the reservation 20 before it.
FILL = """
INSERT INTO events
SELECT coalesce((SELECT max(position) FROM events), 0) + row_number() OVER (ORDER BY n), $1, 'inventory', n,
       gen_random_uuid(), e.type, 1,
       jsonb_build_object('sku', $2::text, 'quantity', 1000000, 'order_id', e.id, 'reservation_id', e.id) ||
           CASE WHEN n > 1 THEN '{"quantity": 1}' ELSE '{}' END::jsonb,
       jsonb_build_object('correlation_id', e.id), e.id, clock_timestamp()
  FROM generate_series($3::int, $4::int) AS n
 CROSS JOIN LATERAL (
       SELECT CASE WHEN n % 2 = 0 THEN 'InventoryReserved' WHEN n > 39 THEN 'InventoryShipped'
                   ELSE 'StockReplenished' END AS type,
              md5(CASE WHEN n % 2 = 0 THEN n ELSE n - 39 END::text)::uuid AS id) AS e
"""


def measure(ground: Ground, events: float) -> list[Row]:
    return uvloop.run(_measure(ground.database(samples=False), int(events)))


async def _measure(dsn: str, events: int) -> list[Row]:
    admin = await asyncpg.connect(dsn)
    await _fill(admin, SHORT, 1, FEW)
    for first in range(1, events, 100_000):
        await _fill(admin, LONG, first, min(events, first + 99_999))
    await admin.execute("VACUUM ANALYZE events")
    seconds, grown = await _first_load(dsn, events)
    at_it = await _later_loads(dsn)
    state = str(await admin.fetchval("SELECT state FROM snapshots"))
    most = spacing(state) - 1  # events that may lie after a snapshot before the next one is due
    await _fill(admin, LONG, events + 1, events + most)
    after_it = await _later_loads(dsn)
    await admin.close()
    data = {
        "events": events,
        "first_s": seconds,
        "grown_mb": grown,
        "bytes": len(state),
        "at": at_it,
        "after": after_it,
    }
    return [
        Row(
            f"SKU of {events:,} events, the first load", f"{seconds:.1f} s, {events / seconds:,.0f} events/s", data=data
        ),
        Row("  memory it took", f"{grown:.0f} MB"),
        _row(f"  later loads, beside a SKU of {FEW}", *at_it),
        _row(f"  with {most} events after its snapshot", *after_it),
    ]


def _row(what: str, long: float, short: float) -> Row:
    ratio = long / short
    return Row(what, f"{1000 * long:.2f} and {1000 * short:.2f} ms", ratio, f"<= {REACH}x", ratio <= REACH)


async def _fill(admin: asyncpg.Connection, sku: Sku, first: int, last: int) -> None:
    await admin.execute(FILL, inventory_stream(sku), sku, first, last)


async def _first_load(dsn: str, events: int) -> tuple[float, float]:
    """Load without a snapshot, and keep one; return the seconds, and by how many MB the process grew meanwhile."""
    store = PostgresEventStore(lambda: connect(dsn, name="bench"))
    await load_state(store, INVENTORY, inventory_stream(SHORT))
    process = psutil.Process()
    before = most = process.memory_info().rss
    began = time.perf_counter()
    loading = asyncio.create_task(load_state(store, INVENTORY, inventory_stream(LONG)))
    while not loading.done():
        await asyncio.wait([loading], timeout=0.1)
        most = max(most, process.memory_info().rss)
    loaded, seconds = await loading, time.perf_counter() - began
    if (loaded.version, len(loaded.state.held)) != (events, OPEN):
        raise AssertionError(loaded)
    await store.close()
    return seconds, (most - before) / 1e6


async def _later_loads(dsn: str) -> tuple[float, float]:
    """Median seconds of loads of the long SKU and of the short one, in turns, each as if by a process just started."""
    store = PostgresEventStore(lambda: connect(dsn, name="bench"))
    took: dict[Sku, list[float]] = {LONG: [], SHORT: []}
    for n in range(LOADS + 20):
        for sku, times in took.items():
            began = time.perf_counter()
            await load_state(store, INVENTORY, inventory_stream(sku))
            if n >= 20:  # the first ones prepare statements and fill the server's cache
                times.append(time.perf_counter() - began)
    await store.close()
    return median(took[LONG]), median(took[SHORT])
