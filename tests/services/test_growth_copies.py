"""The copies of orders with which the bench makes a log large: as many as asked for, and none in another's place."""

from __future__ import annotations

import asyncpg

from bench.growth_copies import copy_orders
from tests.support.order_desk import Desk
from tests.support.saga_cases import available

SHAPES = """
SELECT count(*) AS events, max(position) AS head, count(DISTINCT event_id) AS ids,
       count(DISTINCT (stream_id, version)) AS places, count(DISTINCT correlation_id) AS orders,
       count(*) FILTER (WHERE payload::text LIKE '%«%') AS marked
  FROM events
"""


async def test_copies_of_orders_fill_a_log_without_gaps_and_are_orders_of_their_own(desk: Desk, dsn: str) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=2)
        await desk.ended(order)
    owner = await asyncpg.connect(dsn)
    before = await owner.fetchrow(SHAPES)
    copies = await copy_orders(dsn, 60)
    after = await owner.fetchrow(SHAPES)
    each = len(await desk.timeline(order))
    assert copies == 60 // each - 1
    assert after["events"] == before["events"] + copies * each == after["head"] == after["ids"] == after["places"]
    assert (after["orders"], after["marked"]) == (before["orders"] + copies, 0)
    assert await owner.fetchval("SELECT count(DISTINCT order_id) FROM sagas WHERE status = 'COMPLETED'") == 1 + copies
    await owner.close()
    assert await available(desk, "A") == (8 - 2 * copies, 2 * (1 + copies))
