"""One bad saga delays no other: neither who claims it, nor those whose stock is decided together with its own."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg

from core.domain.message import OrderId, Sku, inventory_stream, saga_of
from core.services import run_sagas
from tests.services.conftest import Desk

FROM_A_LATER_RELEASE = """
INSERT INTO events
SELECT (SELECT max(position) FROM events) + 1, stream_id, category, version + 1, gen_random_uuid(),
       'FromALaterRelease', 1, '{}', metadata, correlation_id, recorded_at
  FROM events WHERE stream_id = $1 ORDER BY version DESC LIMIT 1
"""


async def make_unreadable(dsn: str, stream: UUID) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(FROM_A_LATER_RELEASE, stream)
    await connection.close()


async def saga(dsn: str, order: OrderId) -> asyncpg.Record:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchrow(
            "SELECT status, claims FROM sagas WHERE saga_id = $1", saga_of(order, "fulfil_order")
        )
    finally:
        await connection.close()


async def a_started_saga_that_cannot_be_read(desk: Desk, dsn: str, *, claims: int = 0) -> OrderId:
    """Its order has an event of a later release, and it is due."""
    order = await desk.place("test_card_flaky")
    async with desk.running("earlier"):
        async with asyncio.timeout(10):
            while "SagaStepFailed" not in [e.event_type for e in await desk.timeline(order)]:
                await asyncio.sleep(0.005)
    await make_unreadable(dsn, order)
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE sagas SET due_at = now(), claims = $1", claims)
    await connection.close()
    return order


async def test_a_saga_that_cannot_be_read_stops_no_runner(desk: Desk, dsn: str) -> None:
    await desk.stock(A=10)
    bad = await a_started_saga_that_cannot_be_read(desk, dsn)
    async with desk.running():
        async with asyncio.timeout(10):
            while not (await saga(dsn, bad))["claims"]:
                await asyncio.sleep(0.01)
        assert await desk.ended(await desk.place()) == "SagaCompleted"


async def test_a_saga_that_can_never_be_read_is_handed_to_a_person_at_last(desk: Desk, dsn: str) -> None:
    await desk.stock(A=10)
    bad = await a_started_saga_that_cannot_be_read(desk, dsn, claims=run_sagas.MOST_CLAIMS)
    async with desk.running():
        async with asyncio.timeout(10):
            while (await saga(dsn, bad))["status"] != "FAILED":
                await asyncio.sleep(0.01)


async def test_stock_that_cannot_be_read_stops_only_those_who_want_it(desk: Desk, dsn: str) -> None:
    await desk.stock(A=100, B=100)
    await make_unreadable(dsn, inventory_stream(Sku("B")))
    orders = [await desk.place(**{"B" if n == 3 else "A": 1}) for n in range(9)]
    async with desk.running():  # all start with one batch of the log, so their stock is decided together
        for n, order in enumerate(orders):
            if n != 3:
                assert await desk.ended(order, within=5) == "SagaCompleted"
