"""The copies of orders with which the bench makes a log large: as many as asked for, and each of them a right order."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from bench.growth_copies import Copies
from core.adapters.postgres.connection import connect
from core.adapters.postgres.evidence import open_evidence
from core.audit.verification import Report, Verification
from core.domain.order import CancelOrder, DeliverOrder, ShipOrder
from core.sagas import SAGAS
from tests.support.opener import Opener
from tests.support.order_desk import Desk
from tests.support.projecting import project

SHAPES = """
SELECT count(*) AS events, max(position) AS head, count(DISTINCT event_id) AS ids,
       count(DISTINCT (stream_id, version)) AS places,
       count(*) FILTER (WHERE concat(payload, metadata) LIKE '%«%') AS marked
  FROM events
"""

KEYS = """
INSERT INTO idempotency_keys
SELECT 'POST /api/v1/orders ', gen_random_uuid()::text, '\\x00', 201, stream_id, version, position,
       jsonb_build_object('order_id', stream_id, 'order_number', payload::jsonb->'order_number'), recorded_at
  FROM events WHERE event_type = 'OrderCreated'
"""


async def orders_of_every_fate(desk: Desk) -> int:
    await desk.stock(A=10, B=10)
    async with desk.running():
        confirmed, delivered, cancelled = await desk.place(A=2, B=1), await desk.place(A=1), await desk.place(B=3)
        declined = await desk.place("test_card_fail", A=1)
        for order in (confirmed, delivered, cancelled, declined):
            await desk.ended(order)
        now = datetime.now(UTC)
        await desk.do(ShipOrder(now=now, order_id=delivered, tracking_number="1Z999AA10000000001", carrier="UPS"))
        await desk.do(CancelOrder(now=now, order_id=cancelled, reason="ordered twice"))
        await desk.ended(delivered, "settle_order")
        await desk.ended(cancelled, "unwind_order")
        await desk.do(DeliverOrder(now=datetime.now(UTC), order_id=delivered))
    return sum([len(await desk.timeline(order)) for order in (confirmed, delivered, cancelled, declined)])


async def verify(dsn: str) -> Report:
    async with open_evidence(lambda: connect(dsn, name="verify", role=None, limits=False), wait=0) as evidence:
        return await Verification(evidence, SAGAS, None, lambda _done, _of: None).run()


async def test_copies_of_orders_fill_a_log_without_gaps_and_verify_finds_nothing_wrong_in_them(
    desk: Desk, dsn: str, opener: Opener
) -> None:
    each = await orders_of_every_fate(desk) + 2  # each copy of all orders replenishes both SKUs first
    owner = await asyncpg.connect(dsn)
    await owner.execute(KEYS)
    before = await owner.fetchrow(SHAPES)
    filler = Copies()
    await filler.take(dsn)
    copies = await filler.fill(dsn, 300) + await filler.fill(dsn, 400)
    after = await owner.fetchrow(SHAPES)
    assert await owner.fetchval("SELECT count(*) FROM idempotency_keys") == 4 * (1 + copies)
    await owner.close()
    assert copies == (400 - before["head"]) // each > 3
    assert after["events"] == before["events"] + copies * each == after["head"] == after["ids"] == after["places"]
    assert after["marked"] == 0
    await project(opener)
    report = await verify(dsn)
    assert (report.violations, report.notes) == ([], [])
    assert (report.orders, report.skus, report.sagas) == (4 * (1 + copies), 2, 6 * (1 + copies))
    assert (report.unfinished, report.failed, report.unpaid) == (0, 0, 0)
