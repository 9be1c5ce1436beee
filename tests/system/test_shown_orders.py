"""A real order travels from README's example to its door; many customers at once leave each order in one end only."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.command_api import ITEM, ORDER, SHIPMENT
from tests.support.customers import Customers, check_log, eventually, open_customers, run_at_once
from tests.support.ends import end_of
from tests.support.stack import ROOT, Stack

log = logging.getLogger(__name__)  # `--log-cli-level=INFO` shows the figures

LONG = os.environ.get("LONG_TESTS") == "1"
REASON = {"reason": "changed my mind"}
BODIES: dict[str, dict[str, str] | None] = {"confirm": None, "cancel": REASON, "ship": SHIPMENT}
DONE = {"confirm": "OrderConfirmed", "cancel": "OrderCancelled", "ship": "OrderShipped"}


@pytest.fixture
async def customers(stack: Stack) -> AsyncIterator[Customers]:
    async with open_customers(stack) as customers:
        yield customers


async def test_the_order_of_the_readme_is_confirmed_within_a_second_shipped_and_delivered(customers: Customers) -> None:
    example = re.search(r"/api/v1/orders \\\n.*?-d '(\{.*?\})'", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example
    order = json.loads(example[1])
    assert (order["items"][0]["sku"], len(order["items"])) == ("LAPTOP-001", 1)
    assert order["shipping_address"]["city"] == "San Francisco"

    await customers.event_types_at_end(await customers.place(order))  # the first one finds everything cold
    began = time.monotonic()
    placed = await customers.commands.post("/api/v1/orders", json=order)
    assert (placed.status_code, placed.json()["status"]) == (201, "CREATED")
    order_id = placed.json()["order_id"]

    async def confirmed() -> dict[str, Any] | None:
        view = await customers.view(order_id)
        return view if view["status"] == "CONFIRMED" else None

    view = await eventually(confirmed, 5)  # a second; more is a busy machine
    log.info("CONFIRMED after %.3f s", time.monotonic() - began)
    assert (view["order_number"], view["total_amount"]) == (placed.json()["order_number"], 1299.99)
    assert (await customers.put(order_id, "ship", SHIPMENT)).json()["status"] == "SHIPPED"
    assert (await customers.put(order_id, "deliver", None)).json()["status"] == "DELIVERED"
    kinds = [kind for kind in await customers.event_types_at_end(order_id) if not kind.startswith("Saga")]
    assert Counter(kinds) == Counter(
        ["OrderCreated", "InventoryReserved", "PaymentAuthorized", "OrderConfirmed", "OrderShipped",
         "PaymentCaptured", "InventoryShipped", "OrderDelivered"]
    )  # fmt: skip
    charge = (await customers.charges())[order_id]
    assert (charge["state"], charge["authorised"], charge["captured"]) == ("CAPTURED", 1299.99, 1299.99)


async def test_each_of_20_orders_that_64_customers_command_at_once_comes_to_one_end(customers: Customers) -> None:
    answers: list[tuple[str, str, httpx.Response]] = []
    orders: list[str] = []
    for _ in range(1 if LONG else 2):
        wave = await asyncio.gather(*(customers.place() for _ in range(20)))
        orders += wave
        until = time.monotonic() + (10 if LONG else 0.7)

        async def race(seed: int, wave: list[str] = wave, until: float = until) -> None:
            rng = random.Random(seed)
            while time.monotonic() < until:
                order_id, verb = rng.choice(wave), rng.choice(list(BODIES))
                answers.append((order_id, verb, await customers.put(order_id, verb, BODIES[verb])))

        await asyncio.gather(*(race(seed) for seed in range(64)))

    statuses = Counter(answer.status_code for *_, answer in answers)
    assert set(statuses) <= {200, 400, 409}, statuses
    assert statuses[200] > len(orders), statuses
    for order_id in orders:
        await customers.event_types_at_end(order_id)
    streams = check_log(await customers.log())
    for order_id, verb, answer in answers:
        if answer.status_code != 200:
            assert answer.json()["code"] in {"not_allowed", "conflict", "fulfilment_not_finished"}
            continue
        body, events = answer.json(), streams[order_id]
        assert [event["event_type"] for event in events].count(DONE[verb]) == 1
        upto = events[body["version"] - 1]
        assert upto["position"] == body["position"]
        assert DONE[verb] in [event["event_type"] for event in events[: body["version"]]]
    for order_id in orders:
        kinds = [event["event_type"] for event in streams[order_id]]
        assert not {"OrderCancelled", "OrderShipped"} <= set(kinds)
        assert max(Counter(kinds).values()) == 1
        assert (await customers.view(order_id))["version"] == len(kinds)


async def test_an_order_cancelled_and_shipped_at_once_ends_as_one_of_both_and_stock_and_money_add_up(
    customers: Customers,
) -> None:
    sku = f"BOTH-{uuid4().hex[:8]}"
    await customers.receive(sku, 1000)
    order = {**ORDER, "items": [{**ITEM, "sku": sku, "quantity": 2, "unit_price": "10.01"}]}
    orders = await run_at_once(64, [customers.place(order) for _ in range(200 if LONG else 60)])
    for story in (await customers.events_at_end_of(orders)).values():
        assert story[-1]["event_type"] == "SagaCompleted"

    async def fire(order_id: str) -> str:
        verbs = ["cancel", "ship"]
        random.Random(order_id).shuffle(verbs)
        both = await asyncio.gather(*(customers.put(order_id, verb, BODIES[verb]) for verb in verbs))
        assert sorted(answer.status_code for answer in both) == [200, 400]
        return next(answer.json()["status"] for answer in both if answer.status_code == 200)

    answered = dict(zip(orders, await run_at_once(64, [fire(order_id) for order_id in orders]), strict=True))
    stories, charges = await customers.events_at_end_of(orders), await customers.charges()
    assert {order_id: end_of(story, charges[order_id]) for order_id, story in stories.items()} == answered
    ends = Counter(answered.values())
    log.info("cancel and ship together: %s", dict(ends))
    assert set(ends) == {"SHIPPED", "CANCELLED"}
    left = 1000 - 2 * ends["SHIPPED"]
    await customers.wait_for_stock(sku, on_hand=left, reserved=0, available=left)
    assert {charges[order_id]["authorised"] for order_id in orders} == {20.02}
