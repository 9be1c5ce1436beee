"""Cards that the provider answers 503 for do not stop the other orders, and an outage of it is still noticed."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from core.adapters.payments.http import HttpPaymentGateway
from core.services.sagas.runner import SagaRunner
from tests.support.order_desk import Desk
from tests.support.saga_cases import switch
from tests.support.sandbox_process import SandboxProcess

ORDERS = int(os.environ.get("FLAKY_ORDERS", "200"))


@pytest.fixture
async def provider(tmp_path: Path, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A real provider, which the desk's gateway calls."""
    with SandboxProcess(tmp_path) as sandbox:
        async with (
            httpx.AsyncClient(base_url=sandbox.url) as client,
            HttpPaymentGateway(sandbox.url, timeout=8.0) as gateway,
        ):
            desk.gateway = gateway  # pyright: ignore[reportAttributeAccessIssue]
            yield client


async def sagas(desk: Desk, columns: str) -> list[Any]:
    connection = await desk.open()
    try:
        return await connection.fetch(f"SELECT {columns} FROM sagas")
    finally:
        await connection.close()


async def all_ended(desk: Desk, orders: int) -> None:
    async with asyncio.timeout(max(60, orders / 10)):
        while Counter(row[0] for row in await sagas(desk, "status")) != {"COMPLETED": orders}:
            await asyncio.sleep(0.1)


def breaker_logs(logs: Any) -> list[str]:
    return [each["event"] for each in logs if each["event"].startswith("the payment provider is")]


@pytest.mark.parametrize("flaky", [0.3, 1.0])
async def test_cards_that_are_answered_503_twice_do_not_open_the_breaker(
    desk: Desk, provider: httpx.AsyncClient, flaky: float
) -> None:
    await desk.stock(A=10_000)
    for n in range(ORDERS):
        await desk.place("test_card_flaky" if n % 10 < 10 * flaky else "card")
    with capture_logs() as logs:
        async with desk.running():
            await all_ended(desk, ORDERS)
    assert breaker_logs(logs) == []
    assert len((await provider.get("/ledger")).json()["charges"]) == min(ORDERS, 1000)
    failed = Counter(e.correlation_id for e in await desk.log() if e.event_type == "SagaStepFailed")
    assert set(failed.values()) == {2}
    assert len(failed) == ORDERS * flaky
    for epoch, claims in await sagas(desk, "epoch, claims"):
        assert epoch <= 4, "started, and claimed for two more tries; one claim more if it found no room"
        assert claims == 0


async def test_during_an_outage_waiting_sagas_are_not_claimed_again_and_all_go_on_after_one_probe(
    desk: Desk, provider: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.sagas.waiting.LEAST_AHEAD", 19.0)  # so that they are put off meanwhile
    await desk.stock(A=10_000)
    await switch(provider, outage=True)
    with capture_logs() as logs:
        async with desk.running() as runner:
            for n in range(ORDERS):
                await desk.place("test_card_flaky" if n % 10 < 3 else "card")
            await most_wait(runner, ORDERS - 25)
            before = {row[0]: row[1:] for row in await sagas(desk, "saga_id, epoch, attempts, due_at")}
            await one_is_due(runner, desk)
            await switch(provider)
            after = {row[0]: row[1:] for row in await sagas(desk, "saga_id, epoch, attempts, due_at")}
            same = [each for each in before if before[each][:2] == after[each][:2]]
            assert len(same) >= ORDERS - 25, "five seconds later they have not been claimed"
            assert sum(after[each][2] > before[each][2] for each in same) >= ORDERS - 25, "but put off"
            await all_ended(desk, ORDERS)
    *away, back = breaker_logs(logs)
    assert set(away) == {"the payment provider is away: it is not called for a while"}
    assert back == "the payment provider is back"
    assert len(away) < 5, "with 200 orders it is one; with 3 000 some probes fail before all are placed"
    assert len((await provider.get("/ledger")).json()["charges"]) == min(ORDERS, 1000)


async def most_wait(runner: SagaRunner, count: int) -> None:
    async with asyncio.timeout(60):
        while len(runner._waiting_sagas) < count:
            await asyncio.sleep(0.02)


async def one_is_due(runner: SagaRunner, desk: Desk) -> None:
    """The breaker would let a probe through in the next moment."""
    gateway: Any = desk.gateway
    breaker = gateway._breaker
    async with asyncio.timeout(60):
        while breaker._until - breaker._clock() > 0.3:
            await asyncio.sleep(0.02)
    assert len(runner._waiting_sagas)
