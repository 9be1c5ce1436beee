"""Measures one log that grows: how large everything becomes, and what becomes slower."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field
from statistics import median

import asyncpg
import uvloop

from bench.flow import ALL
from bench.ground import Ground, cpu_seconds, daemons
from bench.growth_copies import Copies
from bench.growth_orders import place_orders
from bench.growth_pairs import Pair, measure_pairs
from bench.growth_sizes import markdown, rows_of, size_of
from bench.rebuild import POSITION
from bench.report import Measured, Row, table
from bench.verify import check

ORDERS = 470  # real ones, taken to their ends: 10 000 events
MILLION = 1_000_000
REACH = 1.3  # at most so many times what the same takes with the real orders alone
SECONDS = 1.5  # of each thing that is asked by turns
WHAT = {
    "append_us": "an order appended to the log, in process",
    "post_us": "POST of an order",
    "load_us": "an order's stream loaded, in process",
    "get_us": "GET of an order",
    "list_us": "first page of the orders",
    "customer_us": "first page of a customer's orders",
    "claim_us": "claim of 16 sagas",
    "deck_ms": "start of the deck until it shows its first page",
    "fold_us": "an event folded into all read models",
    "verify_us": "an event verified",
}
FORGET = """
TRUNCATE order_views, customer_summaries, daily_sales, inventory_levels, product_demand;
DELETE FROM checkpoints WHERE reader LIKE 'projector.%'
"""


@dataclass
class Work:
    """What was done with a part of the log: events, seconds, and seconds of CPU with PostgreSQL's."""

    events: int
    seconds: float
    cpu: float

    def __sub__(self, start: Work) -> Work:
        return Work(self.events, max(0.001, self.seconds - start.seconds), max(0.0, self.cpu - start.cpu))

    @property
    def each(self) -> float:
        """Microseconds of CPU for an event."""
        return 1e6 * self.cpu / max(1, self.events)

    def __str__(self) -> str:
        return f"{self.events / self.seconds:,.0f} events/s, CPU {self.each:.1f} us each"


@dataclass
class Curves:
    """A point for each size of the log, for plots; `times` has the ratios to a small log that was asked by turns."""

    events: list[int] = field(default_factory=list)
    points: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    times: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, events: int, pairs: dict[str, Pair]) -> None:
        for name, (few, many) in pairs.items():
            self.points.setdefault(name, [few]).append(many)
            self.times.setdefault(name, [1.0]).append(many / few)
        self.events.append(events)


def measure(ground: Ground, events: float) -> list[Row]:
    few, began = ground.database(), time.perf_counter()
    with daemons(ground, few, *ALL) as running:
        before = uvloop.run(_wal(few))
        uvloop.run(place_orders(few, running.ports["command-api"], ORDERS))
        uvloop.run(_read(few))
    many, copies = ground.copy_of(few), Copies()
    real = uvloop.run(size_of(few))
    uvloop.run(copies.take(few))
    start = _median([_fold(ground, few) for _ in range(3)])
    folded = _median([_fold(ground, few, anew=True) - start for _ in range(3)])
    checked = _median([_verify(ground, few) for _ in range(3)])
    wal = f"{(real.wal - before) / real.orders:,.0f} bytes of WAL an order"
    rows = [
        Row(f"{real.orders:,} real orders, {real.events:,} events", wal, data={"size": asdict(real)}),
        Row(f"  {WHAT['fold_us']}", f"CPU {folded.each:.1f} us"),
        Row(f"  {WHAT['verify_us']}", f"CPU {checked.each:.1f} us"),
    ]
    curves, size = Curves([real.events]), real
    for goal in sorted({min(MILLION, int(events)), int(events)}):
        filled, anew = _fill(ground, many, copies, goal), _fold(ground, many) - start
        books, size = _verify(ground, many), uvloop.run(size_of(many))
        asked = many if goal == int(events) else ground.copy_of(many)  # what is asked appends, too
        pairs = measure_pairs(ground, few, asked, SECONDS)
        pairs |= {"fold_us": (folded.each, anew.each), "verify_us": (checked.each, books.each)}
        curves.add(size.events, pairs)
        rows.append(Row(f"{size.events:,} events of {size.orders:,} orders", f"copied: {filled}"))
        compared = _compared(pairs, {"fold_us": anew, "verify_us": books})
        print(
            table([Measured(f"growth to {size.events:,}", events, time.perf_counter() - began, compared)]), flush=True
        )
        rows += compared
    print(markdown(real, size))
    plot = {"events": curves.events, **curves.points, "times": curves.times}
    return [*rows, *rows_of(real, size, plot)]


def _compared(pairs: dict[str, Pair], works: dict[str, Work]) -> list[Row]:
    rows: list[Row] = []
    for name, what in WHAT.items():
        few, many = pairs[name]
        unit = name.rpartition("_")[2]
        figures = str(works[name]) if name in works else f"{many:,.0f} {unit} (the real orders alone: {few:,.0f})"
        rows.append(Row(f"  {what}", figures, many / few, f"<= {REACH}x", many <= REACH * few))
    return rows


def _fill(ground: Ground, dsn: str, copies: Copies, events: int) -> Work:
    began, before = time.perf_counter(), _cpu(ground)
    added = uvloop.run(copies.fill(dsn, events))
    return Work(added * copies.events_each, time.perf_counter() - began, _cpu(ground) - before)


def _fold(ground: Ground, dsn: str, *, anew: bool = False) -> Work:
    """Have a projector fold what it has not read, or all of it; its start is in the figures."""
    began, before = time.perf_counter(), cpu_seconds(ground.server_pid)
    unread = uvloop.run(_unread(dsn, anew=anew))
    with daemons(ground, dsn, "projector") as running:
        uvloop.run(_read(dsn))
        seconds = time.perf_counter() - began
        used = sum(cpu_seconds(process.pid) for process in running.processes.values())
    return Work(unread, seconds, used + cpu_seconds(ground.server_pid) - before)


def _verify(ground: Ground, dsn: str) -> Work:
    began, before = time.perf_counter(), _cpu(ground)
    report = uvloop.run(check(dsn))
    if report.violated:
        raise SystemExit(f"the copies of orders are wrong: {report.violations[:3]}")
    return Work(report.events, time.perf_counter() - began, _cpu(ground) - before)


def _cpu(ground: Ground) -> float:
    return time.process_time() + cpu_seconds(ground.server_pid)


def _median(works: list[Work]) -> Work:
    return Work(works[0].events, median(each.seconds for each in works), median(each.cpu for each in works))


async def _unread(dsn: str, *, anew: bool) -> int:
    connection = await asyncpg.connect(dsn)
    if anew:
        await connection.execute(FORGET)
    unread = await connection.fetchval(f"SELECT max(position) - coalesce(({POSITION}), 0) FROM events")
    await connection.close()
    return int(unread)


async def _wal(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    at = int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'"))
    await connection.close()
    return at


async def _read(dsn: str) -> None:
    """Wait until the read models have every event."""
    connection = await asyncpg.connect(dsn)
    behind = f"SELECT (SELECT max(position) FROM events) > coalesce(({POSITION}), 0)"
    while await connection.fetchval(behind):
        await asyncio.sleep(0.02)
    await connection.close()
