"""Measures what a fresh order costs while 100 to 100 000 sagas are parked, and while some of those come due."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
import uvloop
from uuid_utils.compat import uuid7

from bench.ground import Ground
from bench.report import Row
from bench.saga_desk import closed_loop, desk
from bench.saga_task import Meter, Run
from core.adapters.memory.payments import MemoryPaymentGateway
from core.domain.message import OrderId, saga_of
from core.domain.provider import PaymentAnswer
from core.errors import GatewayUnavailable

REACH = 1.3  # at most so many times the cost with the fewest open sagas
AT_ONCE = 64
ROUNDS = 3
SECONDS = 1.0

# Copies one real saga that waits, and its order, under new ids. The stock's events are not copied: what many orders for
# one SKU cost is measured by hot_sku.
COPY = """
INSERT INTO events
SELECT $1 + row_number() OVER (ORDER BY c.n, e.position), CASE e.stream_id WHEN $2 THEN c.order_id ELSE c.saga_id END,
       e.category, e.version, gen_random_uuid(), e.event_type, e.schema_version,
       replace(replace(e.payload::text, $2::uuid::text, c.order_id::text), $3::uuid::text, c.saga_id::text)::jsonb,
       replace(e.metadata::text, $2::uuid::text, c.order_id::text)::jsonb, c.order_id, e.recorded_at
  FROM unnest($4::uuid[], $5::uuid[]) WITH ORDINALITY AS c(order_id, saga_id, n)
 CROSS JOIN events e WHERE e.stream_id IN ($2, $3)
"""
COPY_ROWS = """
INSERT INTO sagas
SELECT c.saga_id, s.name, s.definition, c.order_id, s.status, s.step, s.attempts, s.last_error, s.epoch, NULL, 0,
       now() + interval '1 hour', s.started_at, s.updated_at
  FROM unnest($2::uuid[], $3::uuid[]) AS c(order_id, saga_id) CROSS JOIN sagas s WHERE s.saga_id = $1
"""
WAITS = "UPDATE sagas SET due_at = now() + interval '1 hour', owner = NULL WHERE saga_id = $1 AND attempts > 0"
COME_DUE = """
UPDATE sagas SET due_at = now() + random() * $2 * interval '1 second'
 WHERE saga_id IN (SELECT saga_id FROM sagas WHERE due_at > now() + interval '10 minutes' LIMIT $1)
"""
STILL_OPEN = "SELECT count(*) FROM sagas WHERE status = 'RUNNING' AND due_at < now() + interval '10 minutes'"


class AwayGateway(MemoryPaymentGateway):
    async def authorise(self, *_: object, **__: object) -> PaymentAnswer:
        raise GatewayUnavailable("the payment provider answered 503", 60.0)


def measure(ground: Ground, most: float) -> list[Row]:
    sizes = [max(100, int(most) // share) for share in (1000, 100, 10, 1)]
    dsns = {size: ground.database() for size in sizes}
    for size, dsn in dsns.items():
        uvloop.run(_park(dsn, size))
    fresh = _rounds(ground, dsns)
    few, many = sizes[1], sizes[-1]
    come_due = few // 5  # in each round
    due = _rounds(ground, {size: dsns[size] for size in (few, many)}, come_due)
    return [
        *(_row(size, fresh[size]) for size in sizes),
        _growth(f"  {many:,} / {sizes[0]:,} open", fresh[sizes[0]], fresh[many]),
        _growth(f"  {many:,} / {few:,} open, while {come_due} of them come due", due[few], due[many]),
    ]


def _rounds(ground: Ground, dsns: Mapping[int, str], due: int = 0) -> dict[int, list[Run]]:
    """Measure all databases several times in turns, so that all meet an equally busy machine."""
    runs: dict[int, list[Run]] = {size: [] for size in dsns}
    for _ in range(ROUNDS):
        for size, dsn in dsns.items():
            runs[size].append(uvloop.run(_run(dsn, ground.server_pid, due)))
    return runs


def _row(size: int, runs: Sequence[Run]) -> Row:
    rate = statistics.median(run.rate for run in runs)
    figures = f"{_cost(runs):.2f} ms of CPU, PostgreSQL's in it  {rate:,.0f}/s"
    return Row(
        f"a fresh order with {size:,} sagas open", figures, data={"open": size, "cpu_ms": _cost(runs), "rate": rate}
    )


def _cost(runs: Sequence[Run]) -> float:
    return statistics.median(run.cpu + run.server_cpu for run in runs)


def _growth(what: str, few: Sequence[Run], many: Sequence[Run]) -> Row:
    """The row that compares CPU times: other programs on the machine disturb them less than the rate."""
    times = _cost(many) / _cost(few)
    return Row(what, f"{_cost(many):.2f} / {_cost(few):.2f} ms", times, f"<= {REACH}x", times <= REACH)


async def _run(dsn: str, server: int, due: int) -> Run:
    """Place and confirm fresh orders while `due` parked sagas come due; the CPU is divided by the number of both."""
    connection = await asyncpg.connect(dsn)
    async with desk(dsn, MemoryPaymentGateway()) as ours:
        await closed_loop(ours, AT_ONCE, 0.3, server)  # warms up: makes plans and fills caches
        await connection.execute(COME_DUE, due, SECONDS)
        meter = Meter(server)
        fresh = await closed_loop(ours, AT_ONCE, SECONDS, server)
        while await connection.fetchval(STILL_OPEN):
            await asyncio.sleep(0.05)
        run = meter.run(fresh.count + due)
    await connection.close()
    return run


async def _park(dsn: str, count: int) -> None:
    connection = await asyncpg.connect(dsn)
    async with desk(dsn, AwayGateway()) as ours:
        placing = asyncio.create_task(ours.fulfil())
        while (order := next(iter(ours.confirmed), None)) is None:
            await asyncio.sleep(0.01)
        first = saga_of(order, "fulfil_order")
        while await connection.execute(WAITS, first) != "UPDATE 1":
            await asyncio.sleep(0.01)
        placing.cancel()
    for begun in range(1, count, 5_000):
        orders: list[UUID] = [uuid7() for _ in range(min(5_000, count - begun))]
        ids = [saga_of(OrderId(each), "fulfil_order") for each in orders]
        head = await connection.fetchval("SELECT max(position) FROM events")
        await connection.execute(COPY, head, order, first, orders, ids)
        await connection.execute(COPY_ROWS, first, orders, ids)
    await connection.execute("VACUUM ANALYZE events")
    await connection.execute("VACUUM ANALYZE sagas")
    await connection.close()
