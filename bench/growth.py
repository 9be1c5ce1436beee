"""Measures how large everything becomes: bytes an order of each table and index, of real orders and of their copies."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import asyncpg
import uvloop

from bench.commands import orders
from bench.flow import ALL
from bench.ground import Ground, daemons
from bench.growth_copies import copy_orders
from bench.growth_orders import place_orders
from bench.http_load import drive, percentile, request
from bench.rebuild import POSITION
from bench.report import Row

ORDERS = 2_000
A_YEAR = 100 * 365 * 86_400  # orders, at 100 a second
SHOWN = 1.0  # bytes an order; tables and indexes that are smaller are shown together
SIZES = """
SELECT t.relname AS table, coalesce(i.relname, '') AS index,
       CASE WHEN i.oid IS NULL THEN pg_table_size(t.oid) ELSE pg_relation_size(i.oid) END AS bytes
  FROM pg_class t
 CROSS JOIN LATERAL (SELECT t.oid AS of, NULL::oid AS oid, NULL::name AS relname
                      UNION ALL SELECT x.indrelid, x.indexrelid, c.relname
                        FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = t.oid) AS i
 WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace
 ORDER BY 1, 2
"""
COUNTS = """
SELECT (SELECT count(*) FROM order_views) AS orders, (SELECT max(position) FROM events) AS events,
       pg_current_wal_lsn() - '0/0' AS wal
"""
SOME = "SELECT order_id::text FROM order_views TABLESAMPLE SYSTEM (1) LIMIT 500"


@dataclass(frozen=True)
class Size:
    """`bytes` of each table, and of each index under its table's name, a dot and its own."""

    orders: int
    events: int
    wal: int
    bytes: Mapping[str, int]

    def each(self, name: str) -> float:
        return self.bytes.get(name, 0) / self.orders


def measure(ground: Ground, events: float) -> list[Row]:
    dsn = ground.database()
    with daemons(ground, dsn, *ALL) as running:
        before = uvloop.run(_wal(dsn))
        uvloop.run(place_orders(dsn, running.ports["command-api"], ORDERS))
        uvloop.run(_read(dsn))
    few = uvloop.run(_size(dsn))
    with daemons(ground, dsn, "projector"):
        began = time.perf_counter()
        copies = uvloop.run(copy_orders(dsn, int(events)))
        uvloop.run(_read(dsn))
        seconds = time.perf_counter() - began
    many = uvloop.run(_size(dsn))
    rows = [
        Row(
            f"{few.orders:,} real orders and {copies} copies of each",
            f"{many.events:,} events, {many.events / many.orders:.1f} an order, written and read in {seconds:.0f} s",
            data={"few": vars(few), "many": vars(many), "wal_each": (few.wal - before) / few.orders},
        ),
        Row("  WAL that real orders write", f"{(few.wal - before) / few.orders:,.0f} bytes an order"),
        *_tables(few, many),
        *_speeds(ground, dsn),
    ]
    print("\n".join(markdown(few, many)))
    return rows


def _tables(few: Size, many: Size) -> list[Row]:
    small = [name for name in many.bytes if many.each(name) < SHOWN]
    rows = [
        Row(f"  {name}", f"{many.each(name):8,.0f} bytes an order; of the real ones {few.each(name):,.0f}")
        for name in many.bytes
        if name not in small
    ]
    total, real = (sum(map(size.each, many.bytes)) for size in (many, few))
    return [
        *rows,
        Row("  all others", f"{sum(map(many.each, small)):8,.1f} bytes an order"),
        Row("  in all", f"{total:8,.0f} bytes an order; of the real ones {real:,.0f}"),
        Row("  a year at 100 orders/s", f"{total * A_YEAR / 1e12:,.1f} TB, if nothing were cleaned"),
    ]


def markdown(few: Size, many: Size) -> list[str]:
    """The same as a table of the documentation."""
    lines = ["| table or index | bytes an order | of the real orders | a year at 100 orders/s |", "|---|---|---|---|"]
    for name in many.bytes:
        if many.each(name) >= SHOWN:
            year = many.each(name) * A_YEAR / 1e12
            lines.append(f"| `{name}` | {many.each(name):,.0f} | {few.each(name):,.0f} | {year:.2f} TB |")
    return lines


def _speeds(ground: Ground, dsn: str) -> list[Row]:
    """What may become slower as the log grows: to start, to append, and to read an order or the first page."""
    began = time.perf_counter()
    with daemons(ground, dsn, "command-api", "query-api", "projector") as running:
        started = time.perf_counter() - began
        commands, queries = running.ports["command-api"], running.ports["query-api"]
        found = uvloop.run(_ids(dsn))
        random.Random(3).shuffle(found)
        ids = iter(found)

        def by_id() -> bytes | None:
            order = next(ids, None)
            return None if order is None else request("GET", f"/api/v1/orders/{order}")

        figures: dict[str, Any] = {
            "  POST of an order, one after another": drive(commands, orders(), clients=1, seconds=5),
            "  GET of an order that nobody has read lately": drive(queries, by_id, clients=1, seconds=5),
            "  the first page of the orders": drive(
                queries, lambda: request("GET", "/api/v1/orders"), clients=1, seconds=3
            ),
        }
        rows = [Row("  command-api, query-api and projector ready", f"{started:.1f} s")]
        for what, driving in figures.items():
            load = uvloop.run(driving)
            half, p99 = 1000 * median(load.latencies), percentile(load.latencies, 0.99)
            rows.append(Row(what, f"half within {half:.1f} ms, 99 % within {p99:.1f} ms", data=dict(load.statuses)))
    return rows


async def _size(dsn: str) -> Size:
    connection = await asyncpg.connect(dsn)
    await connection.execute("VACUUM ANALYZE")
    counts = await connection.fetchrow(COUNTS)
    rows = await connection.fetch(SIZES)
    await connection.close()
    sizes = {f"{row['table']}.{row['index']}".rstrip("."): row["bytes"] for row in rows}
    return Size(counts["orders"], counts["events"], int(counts["wal"]), sizes)


async def _ids(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    ids = [row[0] for row in await connection.fetch(SOME)]
    await connection.close()
    return ids


async def _wal(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    at = int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'"))
    await connection.close()
    return at


async def _read(dsn: str) -> None:
    """Wait until the read models have every event."""
    connection = await asyncpg.connect(dsn)
    while await connection.fetchval(f"SELECT (SELECT max(position) FROM events) > ({POSITION})"):
        await asyncio.sleep(0.1)
    await connection.close()
