"""Measures rebuilds that are switched in: how fast they are alone and under load, and what readers notice of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import asyncpg
import uvloop

from bench.commands import orders
from bench.ground import Ground, cpu_seconds, daemons
from bench.http_load import Load, offer, percentile, request
from bench.rebuild import POSITION, REACH, filled, watch
from bench.report import Row
from bench.visible import answer_of, is_listed

OFFERED = 100.0  # orders a second
READS = 200.0  # lists a second
WATCHED = 10.0  # orders a second whose list is read until they appear, and again all the time
REACH_UNDER_LOAD = 30_000  # events a second
LOOK_EVERY = 0.01  # seconds between two looks whether such an order is in its list; each look is one list more
QUIET = 6.0  # seconds of the same load without a rebuild
PROGRAMS = ("payment-sandbox", "command-api", "query-api", "projector", "saga-runner")
REBUILT = """
SELECT count(*) FILTER (WHERE state = 'live') AS live, count(*) FILTER (WHERE state = 'failed') AS failed,
       max(extract(epoch FROM ended_at - started_at))::float8 AS seconds
  FROM generations WHERE id > $1 AND requested_by = 'bench'
"""
# The orders of the log that was written have no sagas, and get none.
NO_SAGAS = "INSERT INTO checkpoints (reader, position, revision) VALUES ('saga-runner', $1, '')"


class Watched:
    """Orders that were placed, how long each took to appear in its list, and lists that lacked one later."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.shown: list[bytes] = []  # customers whose only order has been in their list
        self.lacking = 0
        self.failed = 0
        self.reads = 0
        self.cores: dict[str, float] = {}  # by program


def measure(ground: Ground, events: float) -> list[Row]:
    dsn, count = filled(ground, int(events), samples=True)
    uvloop.run(_no_sagas(dsn, count))
    with daemons(ground, dsn, *PROGRAMS) as running:
        commands, queries = running.ports["command-api"], running.ports["query-api"]
        uvloop.run(watch(dsn, count, POSITION))
        alone, _ = uvloop.run(_rebuild(dsn, commands, count))
        pids = {name: process.pid for name, process in running.processes.items()}
        pids |= {"postgres": ground.server_pid}
        quiet, beside, rate = uvloop.run(_beside(dsn, commands, queries, count, pids))
    p99, p99_beside = percentile(quiet.took, 0.99), percentile(beside.took, 0.99)
    wrong = beside.lacking + beside.failed
    data = {"alone": alone, "beside": rate, "p99_ms": p99, "p99_beside_ms": p99_beside, "reads": beside.reads}
    return [
        Row(f"rebuild --all of {count:,} events, switched in", f"{alone:,.0f} events/s alone", data=data),
        Row(f"  of {REACH:,} events/s", "", alone / REACH, ">= 1x", alone >= REACH),
        Row(f"  beside {OFFERED:.0f} orders/s and {READS:.0f} lists/s", f"{rate:,.0f} events/s"),
        Row(f"  of {REACH_UNDER_LOAD:,} events/s", "", rate / REACH_UNDER_LOAD, ">= 1x", rate >= REACH_UNDER_LOAD),
        *[
            Row(
                f"  cores used {when}",
                "  ".join(f"{name} {each:.2f}" for name, each in watched.cores.items()),
                data=watched.cores,
            )
            for when, watched in (("by the load alone", quiet), ("meanwhile", beside))
        ],
        Row("  placed to visible, p99", f"{p99_beside:.1f} ms; without it {p99:.1f} ms"),
        Row("  of that without it", "", p99_beside / p99, "<= 2x", p99_beside <= 2 * p99),
        Row(f"  of {beside.reads:,} reads, failed or without an order shown before", f"{wrong}", met=not wrong),
    ]


async def _no_sagas(dsn: str, count: int) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(NO_SAGAS, count)
    await connection.close()


async def _rebuild(dsn: str, commands: int, count: int) -> tuple[float, float]:
    """Rebuild everything; returns events a second, and seconds."""
    connection = await asyncpg.connect(dsn)
    before = await connection.fetchval("SELECT coalesce(max(id), 0) FROM generations")
    for group in ("orders", "stock"):
        body = json.dumps({"group": group}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", commands)
        writer.write(request("POST", "/api/v1/admin/rebuilds", body, "Orderdeck-Actor: bench\r\n"))
        answer = await reader.readuntil(b"\r\n")
        if b" 200 " not in answer:
            raise SystemExit(f"no rebuild was begun: {answer.decode()}")
        writer.close()
    while (row := await connection.fetchrow(REBUILT, before))["live"] < 2:
        if row["failed"]:
            raise SystemExit("a rebuild failed")
        await asyncio.sleep(0.05)
    await connection.close()
    return count / row["seconds"], row["seconds"]


async def _beside(
    dsn: str, commands: int, queries: int, count: int, pids: Mapping[str, int]
) -> tuple[Watched, Watched, float]:
    quiet, beside = Watched(), Watched()
    with _cores_of(pids, quiet):
        await _loaded(commands, queries, asyncio.sleep(QUIET), quiet)
    rebuilding = asyncio.create_task(_rebuild(dsn, commands, count))
    with _cores_of(pids, beside):
        await _loaded(commands, queries, rebuilding, beside)
    return quiet, beside, rebuilding.result()[0]


@contextmanager
def _cores_of(pids: Mapping[str, int], watched: Watched) -> Generator[None]:
    before, own, began = (
        {name: cpu_seconds(pid) for name, pid in pids.items()},
        time.process_time(),
        time.perf_counter(),
    )
    yield
    seconds = time.perf_counter() - began
    watched.cores = {name: (cpu_seconds(pid) - before[name]) / seconds for name, pid in pids.items()}
    watched.cores["the load itself"] = (time.process_time() - own) / seconds


async def _loaded(commands: int, queries: int, work: asyncio.Future[object] | object, watched: Watched) -> None:
    """Place orders and read lists until the work is done, and a second longer."""
    working = asyncio.ensure_future(work)  # type: ignore[arg-type]
    others = [
        asyncio.create_task(_go_on(working, lambda: offer(commands, orders(), rate=OFFERED - WATCHED, seconds=1.0))),
        asyncio.create_task(_go_on(working, lambda: _read(queries, watched))),
    ]
    following: list[asyncio.Task[None]] = []
    while not working.done():
        following.append(asyncio.create_task(_follow(commands, queries, watched)))
        await asyncio.sleep(1 / WATCHED)
    await asyncio.gather(*others, *following)


async def _go_on(working: asyncio.Future[object], second: object) -> None:
    while not working.done():
        await second()  # type: ignore[operator]


async def _read(queries: int, watched: Watched) -> None:
    """A second of lists: the newest orders, and those of customers whose order has been shown."""
    shown = itertools.cycle(watched.shown[-500:] or [b""])
    turns = itertools.count()

    def make() -> bytes:
        customer = next(shown)
        newest = not customer or next(turns) % 2
        return request("GET", "/api/v1/orders" if newest else f"/api/v1/customers/{customer.decode()}/orders")

    load: Load = await offer(queries, make, rate=READS, seconds=1.0)
    watched.reads += len(load.latencies)
    watched.failed += sum(n for status, n in load.statuses.items() if status != 200)
    for customer in watched.shown[-20:]:
        watched.lacking += await _list(queries, customer) == 0


async def _list(queries: int, customer: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", queries)
    writer.write(request("GET", f"/api/v1/customers/{customer.decode()}/orders"))
    total = json.loads(await answer_of(reader))["total"]
    writer.close()
    return total


async def _follow(commands: int, queries: int, watched: Watched) -> None:
    customer = str(uuid.uuid4()).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", queries)
    poster, post = await asyncio.open_connection("127.0.0.1", commands)
    post.write(orders(customer)())
    await answer_of(poster)
    answered = time.perf_counter()
    if await is_listed(reader, writer, customer.decode(), LOOK_EVERY):
        watched.took.append(time.perf_counter() - answered)
        watched.shown.append(customer)
    post.close()
    writer.close()
