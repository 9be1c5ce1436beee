"""Sagas wait only for what they must: not for a pause that a cancellation made pointless, nor for their own leases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from core.adapters.postgres.connection import Link
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.adapters.postgres.shares import PostgresShares
from core.domain.message import OrderId, StreamId, saga_of
from core.domain.order import CancelOrder
from core.domain.provider import PaymentAnswer
from core.domain.saga import SagaStepFailed
from core.errors import DatabaseFault, GatewayUnavailable, Unavailable
from core.fault_board import FaultBoard
from core.ports.log import Append, Verdict
from core.ports.sagas import READER
from core.sagas import SAGAS
from core.services.sagas import advance, work
from core.services.sagas import runner as run_sagas
from core.services.sagas.advance import World
from core.services.sagas.runner import SagaRunner
from core.services.sagas.stock import StockDesk
from tests.support.order_desk import Desk, RealClock, now
from tests.support.saga_cases import happened

LONGER_THAN_A_TEST = timedelta(minutes=10)


class Overloaded:
    """A provider whose authorisation fails as unavailable, and not before the test lets it answer."""

    def __init__(self, desk: Desk, retry_after: float) -> None:
        self._real = desk.gateway
        self._retry_after = retry_after
        self.called, self.may_answer = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def authorise(self, _key: str, **_: Any) -> PaymentAnswer:
        self.called.set()
        await self.may_answer.wait()
        raise GatewayUnavailable("overloaded", self._retry_after)


def cancellation(order_id: OrderId) -> CancelOrder:
    return CancelOrder(now=now(), order_id=order_id, reason="changed my mind")


async def read_by_the_runner(desk: Desk) -> None:
    head, link = await desk.store.head(), Link(desk.open)
    async with asyncio.timeout(60):
        while min([share.position for share in await PostgresShares(link).read(READER)], default=0) < head:
            await asyncio.sleep(0.005)
    link.close()


async def ended_before_its_next_try(desk: Desk, order: OrderId) -> bool:
    history = await desk.store.load(StreamId(saga_of(order, "fulfil_order")))
    (retry_at,) = [each.event.retry_at for each in history if isinstance(each.event, SagaStepFailed)]
    return retry_at is not None and history[-1].recorded_at < retry_at


async def owner(dsn: str, order: OrderId) -> str | None:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT owner FROM sagas WHERE saga_id = $1", saga_of(order, "fulfil_order"))
    finally:
        await connection.close()


@pytest.mark.parametrize("seconds", [29.0, 30.0, 45.0])
async def test_a_parked_saga_of_a_cancelled_order_compensates_at_once(desk: Desk, dsn: str, seconds: float) -> None:
    await desk.stock(A=10)
    gateway = desk.gateway = Overloaded(desk, seconds)  # type: ignore[assignment]
    gateway.may_answer.set()
    async with desk.running():
        order = await desk.place()
        await happened(desk, order, "SagaStepFailed")
        assert await owner(dsn, order) is None
        await desk.do(cancellation(order))
        assert await desk.ended(order) == "SagaCompensated"
    assert await ended_before_its_next_try(desk, order)


@pytest.mark.parametrize(("wanted", "least"), [(90.0, 90), (86_400.0, 900)])
async def test_a_saga_does_not_call_the_provider_before_the_time_that_its_retry_after_says(
    desk: Desk, wanted: float, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, _: low)
    await desk.stock(A=10)
    gateway = desk.gateway = Overloaded(desk, wanted)  # type: ignore[assignment]
    gateway.may_answer.set()
    async with desk.running():
        order = await desk.place()
        await happened(desk, order, "SagaStepFailed")
    connection = await desk.open()
    due_in = await connection.fetchval("SELECT extract(epoch FROM due_at - updated_at)::float FROM sagas")
    await connection.close()
    assert due_in == pytest.approx(least)


def test_the_pause_between_tries_doubles_up_to_a_minute_at_any_number_of_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(0 <= advance.backoff(3) <= 4 for _ in range(100))
    assert len({advance.backoff(3) for _ in range(100)}) > 50, "full jitter: from nothing to all of it"
    monkeypatch.setattr("random.uniform", lambda _, high: high)
    assert [advance.backoff(n) for n in (0, 1, 2, 6, 7, 5_000)] == [0.5, 1.0, 2.0, 32.0, 60.0, 60.0]


async def test_a_saga_whose_order_is_cancelled_during_a_failing_call_compensates_at_once_instead_of_being_parked(
    desk: Desk,
) -> None:
    await desk.stock(A=10)
    gateway = desk.gateway = Overloaded(desk, 600.0)  # type: ignore[assignment]
    async with desk.running():
        order = await desk.place()
        await gateway.called.wait()
        await desk.do(cancellation(order))
        await read_by_the_runner(desk)  # and it found nothing parked that it could wake
        gateway.may_answer.set()
        assert await desk.ended(order) == "SagaCompensated"


async def test_a_saga_whose_step_has_no_time_left_compensates_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.stock(A=10)
    desk.scale = 0.0  # so the third try is the last
    gateway = desk.gateway = Overloaded(desk, 0.01)  # type: ignore[assignment]
    gateway.may_answer.set()
    monkeypatch.setattr("random.uniform", lambda _, high: 600.0 if high > 1.5 else 0.0)
    async with desk.running():
        order = await desk.place()
        assert await desk.ended(order) == "SagaCompensated"


async def test_a_claimed_saga_that_cannot_be_loaded_yet_does_not_wait_for_its_lease(
    desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.stock(A=10)
    real, failures = run_sagas.load_work, [Unavailable("the database is away")] * 2

    async def load_work(*args: Any, **named: Any) -> Any:
        if failures:
            raise failures.pop()
        return await real(*args, **named)

    order = await desk.place("test_card_flaky")
    async with desk.running("earlier"):
        await happened(desk, order, "SagaStepFailed")
    monkeypatch.setattr(run_sagas, "load_work", load_work)
    monkeypatch.setattr(run_sagas, "LEASE", LONGER_THAN_A_TEST)
    try:
        async with desk.running():
            assert await desk.ended(order) == "SagaCompleted"
    except* Unavailable:
        pytest.fail("the runner ended")
    assert not failures


async def test_a_started_saga_that_cannot_be_read_yet_does_not_wait_for_its_lease(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.stock(A=10)
    real, failures = run_sagas.refresh, [Unavailable("the database is away")] * 2

    async def refresh(*args: Any) -> None:
        if failures:
            raise failures.pop()
        await real(*args)

    async with desk.running():
        order = await desk.place()
        await desk.ended(order)
        monkeypatch.setattr(run_sagas, "refresh", refresh)
        monkeypatch.setattr(work, "LEASE", LONGER_THAN_A_TEST)
        await desk.do(cancellation(order))
        assert await desk.ended(order, "unwind_order") == "SagaCompleted"
    assert not failures


async def test_a_fault_of_the_database_ends_a_claim_and_says_so_and_uses_up_none_of_the_sagas_tries(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_sagas, "MOST_CLAIMS", 2)
    await desk.stock(A=10)
    order = await desk.place("test_card_flaky")
    async with desk.running("earlier"):
        await happened(desk, order, "SagaStepFailed")
    connection, link = await desk.open(), Link(desk.open)
    fault, real = DatabaseFault("undefined column", "42703"), run_sagas.load_work
    board = FaultBoard()
    world = World(desk.store, StockDesk(desk.store), desk.gateway, RealClock())
    runner = SagaRunner(world, PostgresSagaLog(link), SAGAS, "later", board)

    async def broken(*_: Any, **__: Any) -> Any:
        raise fault

    monkeypatch.setattr(run_sagas, "load_work", broken)
    with capture_logs() as logs:
        for _ in range(4):
            await connection.execute("UPDATE sagas SET due_at = now()")
            assert await runner.claim() == 1
            await runner.drain(60)
    assert [(entry["event"], entry["part"]) for entry in logs] == [
        ("meets a fault", f"saga {saga_of(order, 'fulfil_order')}")
    ]
    assert "undefined column (42703)" in (board.reason or "")
    monkeypatch.setattr(run_sagas, "load_work", real)
    await connection.execute("UPDATE sagas SET due_at = now()")
    assert await runner.claim() == 1
    await runner.drain(60)
    assert board.reason is None
    assert (await desk.domain(order))[-1] != "SagaFailed"
    await connection.execute("UPDATE sagas SET due_at = now() WHERE status = 'RUNNING'")
    async with desk.running():
        assert await desk.ended(order) == "SagaCompleted"
    await connection.close()
    link.close()


async def test_a_runner_knows_how_long_its_sagas_have_waited_for_the_database(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.stock(A=10)
    away = True

    append = desk.store.append

    async def append_when_it_is_back(batch: Append) -> Verdict:
        if away and batch.sagas:
            raise Unavailable("the database is away")
        return await append(batch)

    async with desk.running() as runner:
        monkeypatch.setattr(desk.store, "append", append_when_it_is_back)
        assert runner.waits_for_database() == 0
        order = await desk.place()
        async with asyncio.timeout(60):
            while not runner.waits_for_database():
                await asyncio.sleep(0.005)
        away = False
        await desk.ended(order)
        async with asyncio.timeout(60):
            while runner.waits_for_database():
                await asyncio.sleep(0.005)


async def test_one_claim_takes_as_many_due_sagas_as_the_runner_has_room_for(desk: Desk) -> None:
    await desk.stock(A=1000)
    orders = [await desk.place() for _ in range(100)]
    async with desk.running():
        for order in orders:
            await desk.ended(order)
    connection = await desk.open()
    await connection.execute("UPDATE sagas SET status = 'RUNNING', due_at = now()")
    await connection.close()
    link = Link(desk.open)
    world = World(desk.store, StockDesk(desk.store), desk.gateway, RealClock())
    runner = SagaRunner(world, PostgresSagaLog(link), SAGAS, "after")
    assert await runner.claim() == 100
    await runner.drain(60)
    link.close()


async def test_a_runner_drives_no_more_sagas_of_one_batch_of_the_log_than_it_has_room_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_sagas, "MOST_AT_ONCE", 5)
    await desk.stock(A=1000)
    gateway = desk.gateway = Overloaded(desk, 60.0)  # type: ignore[assignment]
    for _ in range(30):
        await desk.place()
    link = Link(desk.open)
    world = World(desk.store, StockDesk(desk.store), gateway, RealClock())  # type: ignore[arg-type]
    runner = SagaRunner(world, PostgresSagaLog(link), SAGAS, "one")
    await runner.start(await desk.log())
    connection = await desk.open()
    assert await connection.fetchval("SELECT count(*) FROM sagas") == 30
    assert await connection.fetchval("SELECT count(*) FROM sagas WHERE owner IS NOT NULL") == 5
    await connection.close()
    await runner.drain(0)
    link.close()
