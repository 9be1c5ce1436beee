"""Measures 1, 2 and 4 saga runners: how fast they confirm a backlog, and how soon orders that come at a steady rate."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import asyncpg
import uvloop

from bench.appends import new_order
from bench.commands import orders
from bench.ground import Daemons, Ground, cpu_seconds, daemons
from bench.http_load import offer, percentile
from bench.many import COUNTS
from bench.report import Row
from core.adapters.postgres.connection import connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.message import Sku

SKUS = [Sku(f"SKU-{n:03}") for n in range(1, 51)]
WARM_UP = 200  # orders
REACH = 0.7  # of the best rate of any number of runners
OFFERED_FOR = 2.0  # seconds
RATES = (100, 775)  # orders a second that are offered
LONGEST = 60.0  # seconds until all orders of one load are confirmed

WAITING = """
SELECT count(*) FROM events o
 WHERE o.event_type = 'OrderCreated' AND o.position > $1 AND NOT EXISTS (
       SELECT FROM events c WHERE c.stream_id = o.stream_id AND c.event_type = 'OrderConfirmed')
"""
TOOK = """
SELECT extract(epoch FROM c.recorded_at - o.recorded_at)::float8 AS seconds, c.recorded_at AS at
  FROM events o JOIN events c ON c.stream_id = o.stream_id AND c.event_type = 'OrderConfirmed'
 WHERE o.event_type = 'OrderCreated' AND o.position > $1
"""
FIRST = "SELECT min(recorded_at) FROM events WHERE event_type = 'OrderCreated' AND position > $1"


@dataclass(frozen=True)
class Confirmed:
    """The orders of one load: the seconds until each was confirmed, how many a second were, ms of CPU for each."""

    took: list[float]
    rate: float
    cpu: Mapping[str, float]


def measure(ground: Ground, backlog: float) -> list[Row]:
    rows: list[Row] = []
    rates: dict[int, float] = {}
    for count in COUNTS:
        dsn = ground.database()
        names = ("payment-sandbox", "command-api", "saga-runner")
        with daemons(ground, dsn, *names, counts={"saga-runner": count}) as running:
            uvloop.run(_backlog(dsn, WARM_UP, ground, running))
            done = uvloop.run(_backlog(dsn, int(backlog), ground, running))
            rates[count] = done.rate
            rows.append(_row(f"{count} saga runners, a backlog of {backlog:,.0f}", count, done))
            for rate in RATES:
                offered = uvloop.run(_offered(dsn, rate, ground, running))
                rows.append(_row(f"  {rate} orders/s offered", count, offered))
    best = max(rates.values())
    for count in COUNTS:
        share = rates[count] / best
        rows.append(Row(f"  {count} saga runners / the best", "", share, f">= {REACH}x", share >= REACH))
    return rows


def _row(what: str, count: int, done: Confirmed) -> Row:
    p50, p99, most = (percentile(done.took, share) for share in (0.5, 0.99, 1.0))
    figures = (
        f"{done.rate:,.0f} confirmed/s  placed to confirmed p50 {p50:.0f} ms p99 {p99:.0f} ms most {most:.0f} ms  "
        "CPU an order: " + "  ".join(f"{name} {cost:.2f}" for name, cost in done.cpu.items()) + " ms"
    )
    data = {
        "saga_runners": count, "confirmed_per_s": done.rate, "p50_ms": p50, "p99_ms": p99, "most_ms": most,
        "cpu_ms_per_order": {name: round(cost, 3) for name, cost in done.cpu.items()},
    }  # fmt: skip
    return Row(what, figures, data=data)


async def _backlog(dsn: str, count: int, ground: Ground, running: Daemons) -> Confirmed:
    """Append so many orders at once, without the command API, and wait until all are confirmed."""

    async def place() -> None:
        store = PostgresEventStore(lambda: connect(dsn, name="bench"))
        skus = itertools.cycle(SKUS)
        await asyncio.gather(*(store.append(new_order(next(skus))) for _ in range(count)))
        await store.close()

    return await _watch(dsn, place, ground, running)


async def _offered(dsn: str, rate: int, ground: Ground, running: Daemons) -> Confirmed:
    async def place() -> None:
        load = await offer(running.ports["command-api"], orders(), rate=rate, seconds=OFFERED_FOR)
        if set(load.statuses) != {201}:
            raise SystemExit(f"orders were refused: {load.statuses}")

    return await _watch(dsn, place, ground, running)


async def _watch(dsn: str, place: Callable[[], Awaitable[None]], ground: Ground, running: Daemons) -> Confirmed:
    """Place orders, wait until all are confirmed, and tell how that went by the times in the log."""
    connection = await asyncpg.connect(dsn)
    head = await connection.fetchval("SELECT coalesce(max(position), 0) FROM events")
    before = _spent(ground, running)
    await place()
    async with asyncio.timeout(LONGEST):
        while await connection.fetchval(WAITING, head):
            await asyncio.sleep(0.2)
    spent = {name: seconds - before[name] for name, seconds in _spent(ground, running).items()}
    rows = await connection.fetch(TOOK, head)
    first = await connection.fetchval(FIRST, head)
    await connection.close()
    seconds = (max(row["at"] for row in rows) - first).total_seconds()
    cpu = {name: 1000 * each / len(rows) for name, each in spent.items()}
    return Confirmed([row["seconds"] for row in rows], len(rows) / seconds, cpu)


def _spent(ground: Ground, running: Daemons) -> dict[str, float]:
    runners = [process.pid for name, process in running.processes.items() if name.startswith("saga-runner")]
    return {"runners": sum(map(cpu_seconds, runners)), "postgres": cpu_seconds(ground.server_pid)}
