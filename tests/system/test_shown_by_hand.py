"""Cancel, confirm and ship by hand at random moments of running sagas: every order comes to an end that is allowed."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.command_api import ITEM, ORDER, SHIPMENT
from tests.support.customers import Customers, Event, open_customers, run_at_once
from tests.support.ends import end_of
from tests.support.stack import Stack

log = logging.getLogger(__name__)  # `--log-cli-level=INFO` shows the figures

ORDERS, SEEDS = (400, 5) if os.environ.get("LONG_TESTS") == "1" else (60, 1)
METHODS = ("card", "card", "test_card_flaky", "test_card_fail", "test_card_void_fails")
BODIES: dict[str, dict[str, str] | None] = {"confirm": None, "cancel": {"reason": "changed my mind"}, "ship": SHIPMENT}
DONE = {"confirm": "OrderConfirmed", "cancel": "OrderCancelled", "ship": "OrderShipped"}
LATEST = {
    "card": 0.08,
    "test_card_fail": 0.08,
}  # seconds in which most sagas of the method end; sagas of other methods try again


@dataclass(frozen=True)
class CommandedOrder:
    """An order, and how each of its commands by hand was answered."""

    order_id: str
    answers: Sequence[tuple[str, httpx.Response]]


async def command_at_random_moments(customers: Customers, sku: str, seed: str) -> CommandedOrder:
    rng = random.Random(seed)
    method = rng.choice(METHODS)
    item = {**ITEM, "sku": sku, "quantity": 2, "unit_price": "10.01"}
    order_id = await customers.place({**ORDER, "items": [item], "payment_method": method})

    async def fire(verb: str, after: float) -> tuple[str, httpx.Response]:
        await asyncio.sleep(after)  # a random moment, not a condition, is what this test needs
        return verb, await customers.put(order_id, verb, BODIES[verb])

    verbs = rng.choices(list(BODIES), k=rng.randint(1, 3))
    moments = [rng.uniform(0, LATEST.get(method, 2.0)) for _ in verbs]
    return CommandedOrder(order_id, await asyncio.gather(*map(fire, verbs, moments)))


def check_answers(order: CommandedOrder, story: Sequence[Event]) -> None:
    """Check that the log has each accepted command at the version answered, and that each refusal has a reason."""
    stream = [event for event in story if event["aggregate_type"] == "order"]
    for verb, answer in order.answers:
        if answer.status_code == 200:
            body = answer.json()
            assert DONE[verb] in [event["event_type"] for event in stream[: body["version"]]], (verb, body)
            assert stream[body["version"] - 1]["position"] == body["position"]
        else:
            assert (answer.status_code, answer.json()["code"]) in {
                (400, "not_allowed"), (409, "conflict"), (409, "fulfilment_not_finished"),
            }, answer.text  # fmt: skip


@pytest.mark.parametrize("seed", range(1, 1 + SEEDS))
async def test_orders_commanded_by_hand_at_random_moments_come_only_to_allowed_ends(stack: Stack, seed: int) -> None:
    sku = f"HAND-{uuid4().hex[:8]}"
    async with open_customers(stack) as customers:
        await customers.receive(sku, 10_000)
        orders = await run_at_once(
            32, [command_at_random_moments(customers, sku, f"{seed}:{n}") for n in range(ORDERS)]
        )
        stories = await customers.events_at_end_of([each.order_id for each in orders], within=60)
        charges = await customers.charges()
        ends: Counter[str] = Counter()
        for each in orders:
            story = stories[each.order_id]
            check_answers(each, story)
            ends[end_of(story, charges.get(each.order_id))] += 1
        answered = Counter((verb, answer.status_code) for each in orders for verb, answer in each.answers)
        log.info("seed %d: %s, answered %s", seed, dict(ends), dict(answered))
        assert set(ends) == {"CONFIRMED", "SHIPPED", "CANCELLED"}, "or the moments are badly chosen"
        assert cancelled_during_fulfilment(stories), (
            "no command came while a saga was at work: the moments are badly chosen"
        )
        left = 10_000 - 2 * ends["SHIPPED"]
        held = 2 * ends["CONFIRMED"]
        await customers.wait_for_stock(sku, on_hand=left, reserved=held, available=left - held)


def cancelled_during_fulfilment(stories: dict[str, list[Event]]) -> list[Any]:
    """The orders that were cancelled by hand before their fulfilment had ended."""
    return [
        order_id
        for order_id, story in stories.items()
        if "SagaCompensated" in (kinds := [event["event_type"] for event in story])
        and not {"PaymentFailed", "InventoryReservationFailed"} & set(kinds)
    ]
