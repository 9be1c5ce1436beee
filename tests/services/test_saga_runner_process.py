"""The saga runner as a process: what it held when it was killed goes on as soon as it is started again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.domain.message import OrderId
from core.settings import load_settings
from daemons.process.vitals import Vitals
from daemons.saga_runner import work as saga_runner
from tests.support.daemon_process import DaemonProcess
from tests.support.logins import of_daemons
from tests.support.order_desk import Desk
from tests.support.saga_cases import switch
from tests.support.sandbox_process import SandboxProcess


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    with SandboxProcess(tmp_path) as sandbox:
        async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
            yield client


@pytest.fixture
async def runners(
    desk: Desk, dsn: str, tmp_path: Path, provider: httpx.AsyncClient
) -> AsyncIterator[list[DaemonProcess]]:
    settings = {"ORDERDECK_PAYMENT_URL": str(provider.base_url)}
    runners = [DaemonProcess("saga_runner", dsn, tmp_path, settings) for _ in range(2)]
    await desk.stock(A=100)
    yield runners
    for runner in runners:
        runner.kill()


async def owners_of_waiting_sagas(desk: Desk, orders: int) -> set[str]:
    """Wait until so many sagas wait for the provider, and return their owners."""
    connection = await desk.open()
    query = "SELECT owner FROM sagas WHERE owner IS NOT NULL AND step = 'authorize_payment' AND due_at > now()"
    async with asyncio.timeout(60):
        while len(rows := await connection.fetch(query)) < orders:
            await asyncio.sleep(0.02)
    await connection.close()
    return {row["owner"] for row in rows}


async def lengthen_leases(desk: Desk) -> None:
    """Make every lease longer, so that none runs out while a process starts on a busy machine."""
    connection = await desk.open()
    await connection.execute("UPDATE sagas SET due_at = due_at + interval '10 minutes'")
    await connection.close()


async def place_waiting_orders(desk: Desk, provider: httpx.AsyncClient, orders: int = 5) -> list[OrderId]:
    await switch(provider, latency_ms=60_000)
    return [await desk.place() for _ in range(orders)]


async def wait_until_ready(runner: DaemonProcess) -> None:
    async with asyncio.timeout(60):
        while (await runner.ready())[0] != 200:
            await asyncio.sleep(0.05)


async def test_the_sagas_of_a_killed_runner_go_on_before_their_leases_run_out(
    desk: Desk, runners: list[DaemonProcess], provider: httpx.AsyncClient
) -> None:
    runner, _ = runners
    orders = await place_waiting_orders(desk, provider)
    runner.start()
    (first,) = await owners_of_waiting_sagas(desk, 5)
    runner.kill()
    await lengthen_leases(desk)
    await switch(provider)
    runner.start()
    assert [await desk.ended(order) for order in orders] == ["SagaCompleted"] * 5
    assert first.count(":") == 2


async def test_a_frozen_runner_keeps_its_sagas(
    desk: Desk, runners: list[DaemonProcess], provider: httpx.AsyncClient
) -> None:
    frozen, other = runners
    await place_waiting_orders(desk, provider)
    frozen.start()
    before = await owners_of_waiting_sagas(desk, 5)
    assert frozen.process
    frozen.process.send_signal(signal.SIGSTOP)
    await lengthen_leases(desk)
    other.start()
    await wait_until_ready(other)
    assert await owners_of_waiting_sagas(desk, 5) == before
    frozen.process.send_signal(signal.SIGCONT)


async def test_a_runner_that_is_stopped_lets_go_of_the_sagas_that_it_cannot_finish(
    desk: Desk, dsn: str, provider: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saga_runner, "DRAIN", 0.1)
    await desk.stock(A=100)
    await place_waiting_orders(desk, provider)
    vitals = Vitals("saga-runner")
    settings = load_settings(database_url=of_daemons(dsn), payment_url=str(provider.base_url))
    working = asyncio.create_task(saga_runner.work(settings, vitals))
    await owners_of_waiting_sagas(desk, 5)
    vitals.stop.set()
    await working
    connection = await desk.open()
    assert await connection.fetchval("SELECT count(*) FROM sagas WHERE owner IS NULL AND due_at <= now()") == 5
    await connection.close()
