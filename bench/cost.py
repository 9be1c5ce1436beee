"""What an order costs on its way to CONFIRMED: CPU by program and by backend of PostgreSQL, WAL, and transactions."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import asyncpg
import psutil
import uvloop

from bench.commands import orders
from bench.flow import ALL, LAGS
from bench.ground import Daemons, Ground, cpu_seconds, daemons
from bench.http_load import offer
from bench.report import Row

RATES = (100.0, 300.0)  # orders a second; with more, appends share more of their costs
REACH = 2.5  # milliseconds of CPU for an order, all programs together
WARM_UP = 2.0  # seconds in which plans are made and caches filled
DRAINED_WITHIN = 30.0  # seconds

BACKENDS = "SELECT pid, coalesce(nullif(application_name, ''), backend_type) AS kind FROM pg_stat_activity"

SO_FAR = """
SELECT (SELECT coalesce(max(position), 0) FROM events) AS events,
       (SELECT count(*) FROM sagas WHERE status = 'COMPLETED') AS orders,
       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS transactions,
       pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal_bytes
"""


Costs = dict[str, float]


@dataclass
class Spent:
    """CPU seconds of each program and of each kind of backend, and what the log has so far."""

    programs: Costs
    backends: Costs
    so_far: Costs

    def since(self, before: Spent) -> Spent:
        return Spent(
            _more(self.programs, before.programs),
            _more(self.backends, before.backends),
            _more(self.so_far, before.so_far),
        )


def _more(now: Costs, before: Costs) -> Costs:
    """The differences, the largest first."""
    differences = {name: each - before.get(name, 0.0) for name, each in now.items()}
    return dict(sorted(differences.items(), key=lambda item: -item[1]))


def measure(ground: Ground, seconds: float) -> list[Row]:
    rows: list[Row] = []
    for rate in RATES:
        dsn = ground.database()
        with daemons(ground, dsn, *ALL) as running:
            rows += _rows(rate, uvloop.run(_run(ground, dsn, running, rate, seconds)))
    return rows


async def _run(ground: Ground, dsn: str, running: Daemons, rate: float, seconds: float) -> Spent:
    connection = await asyncpg.connect(dsn)
    port = running.ports["command-api"]
    await offer(port, orders(), rate=rate, seconds=WARM_UP)
    await _drained(connection)
    before = await _spent(ground, connection, running)
    await offer(port, orders(), rate=rate, seconds=seconds)
    await _drained(connection)
    spent = (await _spent(ground, connection, running)).since(before)
    await connection.close()
    return spent


async def _drained(connection: asyncpg.Connection) -> None:
    """Wait until no saga is open and every reader has read all."""
    until = time.monotonic() + DRAINED_WITHIN
    while time.monotonic() < until:
        [row] = await connection.fetch(LAGS)
        if row["open"] == 0 and row["events"] == 0:
            return
        await asyncio.sleep(0.1)
    raise SystemExit(f"the orders were not confirmed within {DRAINED_WITHIN:.0f} s")


async def _spent(ground: Ground, connection: asyncpg.Connection, running: Daemons) -> Spent:
    programs = {name: cpu_seconds(process.pid) for name, process in running.processes.items()}
    programs["postgres"] = cpu_seconds(ground.server_pid)
    backends: Costs = {}
    for pid, kind in await connection.fetch(BACKENDS):
        times = psutil.Process(pid).cpu_times()
        backends[kind] = backends.get(kind, 0.0) + times.user + times.system
    [so_far] = await connection.fetch(SO_FAR)
    return Spent(programs, backends, {name: float(n) for name, n in so_far.items()})


def _rows(rate: float, spent: Spent) -> list[Row]:
    count, events = max(1.0, spent.so_far["orders"]), max(1.0, spent.so_far["events"])
    programs = {name: 1000 * each / count for name, each in spent.programs.items()}
    backends = {kind: 1000 * each / count for kind, each in spent.backends.items()}
    total = sum(programs.values())
    wal, transactions = spent.so_far["wal_bytes"] / events, spent.so_far["transactions"] / count
    data = {
        "offered": rate, "orders": count, "events_per_order": events / count, "cpu_ms_per_order": programs,
        "cpu_ms_per_order_of_backends": backends, "wal_bytes_per_event": wal, "transactions_per_order": transactions,
    }  # fmt: skip
    return [
        Row(f"CPU an order, {rate:.0f}/s", f"{total:.2f} ms: {_listed(programs)}", reach=f"<= {REACH} ms",
            met=total <= REACH, data=data),
        Row("  of PostgreSQL, by whom it serves", _listed(backends)),
        Row("  log", f"{events / count:.1f} events and {transactions:.1f} transactions an order; an event takes "
            f"{1000 * programs['postgres'] * count / events:.0f} us of PostgreSQL and {wal:,.0f} bytes of WAL"),
    ]  # fmt: skip


def _listed(costs: Costs) -> str:
    return ", ".join(f"{name} {each:.2f}" for name, each in costs.items() if each >= 0.005)
