"""One bad saga delays no other: neither who claims it, nor those whose stock is decided together with its own."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from core.domain.message import OrderId, Sku, inventory_stream, saga_of
from core.services.sagas import work
from tests.support.order_desk import Desk
from tests.support.saga_cases import available, cancellation, make_unreadable

ORDER_OF_A_LATER_RELEASE = """
INSERT INTO events
SELECT max(position) + 1, $1, 'order', 1, gen_random_uuid(), 'OrderCreated', 99, '{}',
       jsonb_build_object('correlation_id', $1::uuid), $1, now()
  FROM events
"""

SET_ASIDE = "SELECT status, claims, last_error FROM sagas WHERE order_id = $1 AND owner IS NULL AND due_at > now()"


async def saga(dsn: str, order: OrderId) -> asyncpg.Record:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchrow(
            "SELECT status, last_error FROM sagas WHERE saga_id = $1", saga_of(order, "fulfil_order")
        )
    finally:
        await connection.close()


async def a_started_saga_that_cannot_be_read(
    desk: Desk, dsn: str, *, claims: int = 0, damaged: bool = False
) -> OrderId:
    """Its order has an event of a later release, or one that nobody can read, and it is due."""
    order = await desk.place("test_card_flaky")
    async with desk.running("earlier"):
        async with asyncio.timeout(60):
            while "SagaStepFailed" not in [e.event_type for e in await desk.timeline(order)]:
                await asyncio.sleep(0.005)
    await make_unreadable(dsn, order, damaged=damaged)
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE sagas SET due_at = now(), claims = $1", claims)
    await connection.close()
    return order


async def is_set_aside(connection: asyncpg.Connection, order: OrderId) -> asyncpg.Record:
    async with asyncio.timeout(60):
        while not (waits := await connection.fetchrow(SET_ASIDE, order)):
            await asyncio.sleep(0.01)
    return waits


async def failed(desk: Desk, dsn: str, order: OrderId) -> None:
    async with asyncio.timeout(60):
        while (await saga(dsn, order))["status"] != "FAILED":
            await asyncio.sleep(0.01)
    assert (await desk.timeline(order))[-1].event_type == "SagaFailed"


async def test_a_saga_that_cannot_be_read_stops_no_runner(desk: Desk, dsn: str) -> None:
    await desk.stock(A=10)
    bad = await a_started_saga_that_cannot_be_read(desk, dsn)
    async with desk.running():
        async with asyncio.timeout(60):
            while "later release" not in ((await saga(dsn, bad))["last_error"] or ""):
                await asyncio.sleep(0.01)
        assert await desk.ended(await desk.place()) == "SagaCompleted"


async def test_an_order_of_a_later_release_waits_for_that_release_and_delays_no_other(desk: Desk, dsn: str) -> None:
    await desk.stock(A=10)
    bad = OrderId(uuid7())
    connection = await asyncpg.connect(dsn)
    await connection.execute(ORDER_OF_A_LATER_RELEASE, bad)
    good = await desk.place()
    async with desk.running():
        assert await desk.ended(good) == "SagaCompleted"
        await is_set_aside(connection, bad)
        await connection.execute("UPDATE sagas SET due_at = now(), claims = 19 WHERE order_id = $1", bad)
        waits = await is_set_aside(connection, bad)
    assert (waits["status"], waits["claims"]) == ("RUNNING", 19), "no claim is used up, so no release gives it up"
    assert waits["last_error"] == (
        "waits for a later release: this release does not know event OrderCreated in schema 99"
    )
    await connection.close()


async def test_a_cancelled_order_is_unwound_although_its_fulfilment_cannot_be_read(desk: Desk, dsn: str) -> None:
    await desk.stock(A=10)
    async with desk.running():
        bad = await desk.place()
        assert await desk.ended(bad) == "SagaCompleted"
        await make_unreadable(dsn, saga_of(bad, "fulfil_order"))
        await desk.do(cancellation(bad))
        assert await desk.ended(bad, "unwind_order") == "SagaCompleted"
        assert await desk.ended(await desk.place()) == "SagaCompleted"
    assert await available(desk, "A") == (9, 1)


async def test_stock_that_cannot_be_read_stops_only_the_orders_for_it(
    desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LEASE", timedelta(minutes=10))  # whoever waits for a lease ends too late
    await desk.stock(A=100, B=100)
    await make_unreadable(dsn, inventory_stream(Sku("B")))
    orders = [await (desk.place(B=1) if n == 3 else desk.place(A=1)) for n in range(9)]
    async with desk.running():  # all start with one batch of the log, so their stock is decided together
        for n, order in enumerate(orders):
            if n != 3:
                assert await desk.ended(order) == "SagaCompleted"
