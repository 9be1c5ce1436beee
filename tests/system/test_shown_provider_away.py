"""The provider is away under load: the breaker opens, orders wait, none is cancelled, and all go on later."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import pytest

from daemons.saga_runner.work import PROVIDER_AWAY
from tests.support.command_api import ITEM, ORDER
from tests.support.customers import Customers, eventually, open_customers
from tests.support.ends import end_of
from tests.support.stack import Stack

log = logging.getLogger(__name__)  # `--log-cli-level=INFO` shows the figures

LONG = os.environ.get("LONG_TESTS") == "1"
CUSTOMERS = 8
PAUSE = 1.0 if LONG else 0.2  # seconds between two orders of a customer
SLOWLY = 1.0  # likewise, once the breaker is open
NOT_CALLED = "the payment provider is away and is not being called"


# --- how it is away -----------------------------------------------------------------------------------------
@asynccontextmanager
async def provider_answers_503(_: Stack, customers: Customers) -> AsyncGenerator[None]:
    """The provider answers 503 to every request."""
    await customers.provider.post("/faults", json={"outage": True})
    try:
        yield
    finally:
        await customers.provider.post("/faults", json={})


@asynccontextmanager
async def provider_is_frozen(stack: Stack, _: Customers) -> AsyncGenerator[None]:
    """The provider accepts connections and never answers: each call lasts until its timeout."""
    pid = await asyncio.to_thread(stack.pid_of, "payment-sandbox")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def provider_is_stopped(stack: Stack, _: Customers) -> AsyncGenerator[None]:
    """The provider does not run, and nothing listens on its port."""
    await asyncio.to_thread(stack.orderdeck, "ctl", "stop", "payment-sandbox")
    try:
        yield
    finally:
        await asyncio.to_thread(stack.orderdeck, "ctl", "start", "payment-sandbox")


Away = Callable[[Stack, Customers], AbstractAsyncContextManager[None]]


# --- what becomes of the orders -----------------------------------------------------------------------------
WAYS = (
    [(provider_answers_503, 120), (provider_is_frozen, 120), (provider_is_stopped, 120)]
    if LONG
    else [(provider_answers_503, 2), (provider_is_frozen, 10)]
)  # with seconds


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("away", "seconds"), WAYS, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_orders_wait_while_the_provider_is_away_and_then_all_end_by_themselves(
    stack: Stack, away: Away, seconds: float
) -> None:
    sku = f"AWAY-{uuid4().hex[:8]}"
    async with open_customers(stack) as customers:
        await customers.receive(sku, 10_000)
        orders: list[str] = []

        async def keep_ordering(until: asyncio.Event) -> None:
            order = {**ORDER, "items": [{**ITEM, "sku": sku, "unit_price": "10.01"}]}
            while not until.is_set():
                orders.append(await customers.place(order))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), SLOWLY if breaker_is_open.is_set() else PAUSE)

        enough, breaker_is_open = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CUSTOMERS):
                group.create_task(keep_ordering(enough))
            async with away(stack, customers):
                began = time.monotonic()
                await eventually(lambda: a_saga_is_parked(customers, orders), 60)
                opened = time.monotonic()
                breaker_is_open.set()
                await eventually(lambda: what_the_runner_lacks(customers), 30)
                await asyncio.sleep(max(0.0, seconds - (opened - began)))  # the outage's length, and no condition
                during = list(orders)
            back = time.monotonic()
            enough.set()

        stories = await customers.events_at_end_of(orders, within=300)
        log.info("%s for %.0f s: the breaker was open after %.1f s; %d orders, %d of them during it; all had ended "
                 "%.1f s after it", away.__name__, back - began, opened - began, len(orders), len(during),
                 time.monotonic() - back)  # fmt: skip
        kinds = Counter(event["event_type"] for story in stories.values() for event in story)
        log.info("failed tries: %d", kinds["SagaStepFailed"])
        assert kinds["SagaStepFailed"] < len(during), "the breaker lets nobody through"
        charges = await customers.charges()
        ends = Counter(end_of(story, charges.get(order_id)) for order_id, story in stories.items())
        assert ends == {"CONFIRMED": len(orders)}
        await customers.wait_for_stock(sku, on_hand=10_000, reserved=len(orders), available=10_000 - len(orders))
        assert await what_the_runner_lacks(customers) is None


async def a_saga_is_parked(customers: Customers, orders: list[str]) -> bool | None:
    """True when the saga of one of these orders is parked because the breaker is open; None when none is."""
    rows = (await customers.queries.get("/api/v1/sagas?limit=100")).raise_for_status().json()["sagas"]
    waiting = [row for row in rows if row["last_error"] == NOT_CALLED and row["order_id"] in orders]
    return True if waiting else None


async def what_the_runner_lacks(customers: Customers) -> str | None:
    """What the query API says that the saga runner does without; None when it does without nothing."""
    answer = (await customers.queries.get("/api/v1/daemons")).raise_for_status().json()
    [runner] = [daemon for daemon in answer["daemons"] if daemon["name"] == "saga-runner"]
    lacks = runner.get("degraded")
    assert lacks in (None, "", PROVIDER_AWAY)
    return lacks or None
