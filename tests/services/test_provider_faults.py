"""The provider misbehaves as a whole: orders wait, nothing is charged twice, and none is cancelled for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.adapters.payments.http import HttpPaymentGateway
from core.domain.message import StreamId, saga_of
from tests.support.order_desk import Desk
from tests.support.saga_cases import available, cancellation, switch
from tests.support.sandbox_process import SandboxProcess


@pytest.fixture
async def provider(tmp_path: Path, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A real provider, which the desk's gateway calls."""
    with SandboxProcess(tmp_path) as sandbox:
        async with (
            httpx.AsyncClient(base_url=sandbox.url) as client,
            HttpPaymentGateway(sandbox.url, timeout=2.0) as gateway,
        ):
            desk.gateway = gateway  # pyright: ignore[reportAttributeAccessIssue]
            yield client


async def ledger(provider: httpx.AsyncClient) -> Counter[str]:
    return Counter(charge["state"] for charge in (await provider.get("/ledger")).json()["charges"])


async def test_an_outage_of_the_provider_parks_sagas_uses_up_no_tries_and_cancels_no_order(
    desk: Desk, provider: httpx.AsyncClient
) -> None:
    await desk.stock(A=100)
    desk.scale = 0.001  # a third of a second for an authorisation, which the outage outlasts
    await switch(provider, outage=True)
    async with desk.running():
        orders = [await desk.place() for _ in range(10)]

        async def waiting() -> int:
            connection = await desk.open()
            n = await connection.fetchval("SELECT count(*) FROM sagas WHERE last_error LIKE '%is not being called%'")
            await connection.close()
            return int(n)

        async with asyncio.timeout(60):
            while not await waiting():
                await asyncio.sleep(0.05)
            orders += [await desk.place() for _ in range(30)]
            while await waiting() < 25:
                await asyncio.sleep(0.05)
        sagas = [StreamId(saga_of(order, "fulfil_order")) for order in orders]
        tried = [e for s in sagas for e in await desk.store.load(s) if type(e.event).__name__ == "SagaStepFailed"]
        assert len(tried) < 40, "the breaker lets nobody through"
        await switch(provider)
        ends = [await desk.ended(order, within=120) for order in orders]
    assert ends == ["SagaCompleted"] * 40
    assert await ledger(provider) == {"AUTHORISED": 40}


async def test_a_charge_whose_answer_was_dropped_is_found_by_its_key(desk: Desk, provider: httpx.AsyncClient) -> None:
    await desk.stock(A=100)
    await switch(provider, drop_rate=1.0)
    async with desk.running():
        order = await desk.place()
        assert await desk.ended(order) == "SagaCompleted"
        assert await ledger(provider) == {"AUTHORISED": 1}
        await desk.do(cancellation(order))
        assert await desk.ended(order, "unwind_order") == "SagaCompleted"
    assert await ledger(provider) == {"VOIDED": 1}
    assert await available(desk, "A") == (100, 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"latency_ms": -1}, "latency_ms"),
        ({"error_rate": 1.1}, "error_rate"),
        ({"drop_rate": "x"}, "drop_rate"),
        ({"outage": 1}, "outage"),
        ({"seconds": 1e9}, "seconds"),
        ({"latncy_ms": 1}, "latncy_ms"),
    ],
)
async def test_the_sandbox_refuses_a_wrong_fault_and_names_it(
    provider: httpx.AsyncClient, body: Any, field: str
) -> None:
    answer = await provider.post("/faults", json=body)
    assert answer.status_code == 400
    assert field in answer.text
    assert (await provider.get("/faults")).json()["outage"] is False


async def test_the_faults_of_the_sandbox_end_by_themselves(provider: httpx.AsyncClient) -> None:
    answer = await provider.post("/faults", json={"outage": True, "seconds": 0.5})
    assert answer.json()["outage"] is True
    async with asyncio.timeout(60):
        while (await provider.get("/api/v1/operations/k")).status_code != 404:
            await asyncio.sleep(0.02)
