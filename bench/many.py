"""Measures 1, 2 and 4 command APIs, query APIs and projectors; of the first also what their writers wait for."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import asyncpg
import uvloop

from bench.commands import orders
from bench.ground import Ground, cpu_seconds, daemons
from bench.http_load import Load, drive
from bench.many_readers import projectors, query_apis
from bench.report import Row

COUNTS = (1, 2, 4)
CLIENTS = 64
LOOK_EVERY = 0.02  # seconds

# Every append of a batch of orders is one transaction, and the events of one transaction have the same xmin.
APPENDS = (
    "SELECT count(*) AS events, count(DISTINCT xmin::text) AS appends FROM events WHERE event_type = 'OrderCreated'"
)

DOING = """
SELECT CASE WHEN state <> 'active' THEN 'has nothing to append'
            WHEN wait_event_type IS NULL THEN 'appends'
            WHEN wait_event = 'advisory' THEN 'waits for another one''s append'
            ELSE 'waits for ' || wait_event END AS doing
  FROM pg_stat_activity WHERE application_name LIKE '%command-api%' AND query LIKE '%append_events%'
"""


def measure(ground: Ground, seconds: float) -> list[Row]:
    return [*_command_apis(ground, seconds), *query_apis(ground, COUNTS, seconds), *projectors(ground, COUNTS)]


def _command_apis(ground: Ground, seconds: float) -> list[Row]:
    rows: list[Row] = []
    rates: dict[int, float] = {}
    for count in COUNTS:
        dsn = ground.database()
        with daemons(ground, dsn, "command-api", counts={"command-api": count}) as running:
            port = running.ports["command-api"]
            uvloop.run(drive(port, orders(), clients=8, seconds=1))  # warms up
            before_events, before_appends = uvloop.run(_appends(dsn))
            apis = [process.pid for process in running.processes.values()]
            watched = {"command-api": apis, "postgres": [ground.server_pid], "the load": [os.getpid()]}
            before = {name: sum(map(cpu_seconds, pids)) for name, pids in watched.items()}
            load, waits = uvloop.run(_load(dsn, port, seconds))
            spent = {name: sum(map(cpu_seconds, pids)) - before[name] for name, pids in watched.items()}
            events, appends = uvloop.run(_appends(dsn))
        rates[count] = load.rate
        rows.append(_row(count, load, (events - before_events) / max(1, appends - before_appends), spent))
        looked = max(1, sum(waits.values()))
        said = "  ".join(f"{what} {100 * n / looked:.0f} %" for what, n in waits.most_common())
        rows.append(Row("  each of their writers", said, data={"writers": dict(waits)}))
    return rows + [Row(f"  {count} command APIs / 1", "", rates[count] / rates[1]) for count in COUNTS[1:]]


def _row(count: int, load: Load, batch: float, spent: dict[str, float]) -> Row:
    wrong = {status: n for status, n in load.statuses.items() if status != 201}
    placed = max(1, load.statuses[201])
    costs = {name: 1000 * each / placed for name, each in spent.items()}
    busy = sum(spent.values()) / load.seconds
    return Row(
        f"POST /orders, {count} command API{'s' if count > 1 else ''}, {CLIENTS} clients",
        f"{load.rate:,.0f}/s  p99 {load.percentile(0.99):.0f} ms  {batch:.1f} events an append  CPU an order: "
        + "  ".join(f"{name} {cost:.2f}" for name, cost in costs.items())
        + f" ms, {busy:.1f} cores busy"
        + (f"  NOT 201: {wrong}" if wrong else ""),
        data={
            "command_apis": count, "rate": load.rate, "p99_ms": load.percentile(0.99), "events_per_append": batch,
            "cpu_ms_per_order": {name: round(cost, 3) for name, cost in costs.items()}, "cores_busy": round(busy, 2),
        },
    )  # fmt: skip


async def _load(dsn: str, port: int, seconds: float) -> tuple[Load, Counter[str]]:
    """Send the load, and look meanwhile again and again at what each connection that appends is doing."""
    connection, waits = await asyncpg.connect(dsn), Counter[str]()

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            waits.update(row["doing"] for row in await connection.fetch(DOING))

    looking = asyncio.create_task(look())
    load = await drive(port, orders(), clients=CLIENTS, seconds=seconds)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await connection.close()
    return load, waits


async def _appends(dsn: str) -> tuple[int, int]:
    connection = await asyncpg.connect(dsn)
    [row] = await connection.fetch(APPENDS)
    await connection.close()
    return row["events"], row["appends"]
