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
from tests.support.customers import Customers, Event, crowd, customers_of
from tests.support.ends import end_of
from tests.support.stack import Stack

log = logging.getLogger(__name__)  # `--log-cli-level=INFO` shows the figures

ORDERS, SEEDS = (400, 5) if os.environ.get("LONG_TESTS") == "1" else (60, 1)
METHODS = ("card", "card", "test_card_flaky", "test_card_fail", "test_card_void_fails")
BODIES: dict[str, dict[str, str] | None] = {"confirm": None, "cancel": {"reason": "changed my mind"}, "ship": SHIPMENT}
DONE = {"confirm": "OrderConfirmed", "cancel": "OrderCancelled", "ship": "OrderShipped"}
LATEST = {"card": 0.08, "test_card_fail": 0.08}  # seconds in which a saga is usually over; the others try again


@dataclass(frozen=True)
class Played:
    """An order, and how each of its commands by hand was answered."""

    order_id: str
    answers: Sequence[tuple[str, httpx.Response]]


async def play(customers: Customers, sku: str, seed: str) -> Played:
    rng = random.Random(seed)
    method = rng.choice(METHODS)
    item = {**ITEM, "sku": sku, "quantity": 2, "unit_price": "10.01"}
    order_id = await customers.place({**ORDER, "items": [item], "payment_method": method})

    async def fire(verb: str, after: float) -> tuple[str, httpx.Response]:
        await asyncio.sleep(after)  # a moment, not a condition: that is what this test is about
        return verb, await customers.put(order_id, verb, BODIES[verb])

    verbs = rng.choices(list(BODIES), k=rng.randint(1, 3))
    moments = [rng.uniform(0, LATEST.get(method, 2.0)) for _ in verbs]
    return Played(order_id, await asyncio.gather(*map(fire, verbs, moments)))


def was_answered_truly(played: Played, story: Sequence[Event]) -> None:
    """What was acknowledged is in the order's stream at the version it was given; what was refused is told why."""
    stream = [event for event in story if event["aggregate_type"] == "order"]
    for verb, answer in played.answers:
        if answer.status_code == 200:
            told = answer.json()
            assert DONE[verb] in [event["event_type"] for event in stream[: told["version"]]], (verb, told)
            assert stream[told["version"] - 1]["position"] == told["position"]
        else:
            assert (answer.status_code, answer.json()["code"]) in {
                (400, "not_allowed"), (409, "conflict"), (409, "fulfilment_not_finished"),
            }, answer.text  # fmt: skip


@pytest.mark.parametrize("seed", range(1, 1 + SEEDS))
async def test_orders_commanded_by_hand_at_random_moments_come_only_to_allowed_ends(stack: Stack, seed: int) -> None:
    sku = f"HAND-{uuid4().hex[:8]}"
    async with customers_of(stack) as customers:
        await customers.receive(sku, 10_000)
        plays = await crowd(32, [play(customers, sku, f"{seed}:{n}") for n in range(ORDERS)])
        stories = await customers.stories([each.order_id for each in plays], within=60)
        charges = await customers.charges()
        ends: Counter[str] = Counter()
        for each in plays:
            story = stories[each.order_id]
            was_answered_truly(each, story)
            ends[end_of(story, charges.get(each.order_id))] += 1
        answered = Counter((verb, answer.status_code) for each in plays for verb, answer in each.answers)
        log.info("seed %d: %s, answered %s", seed, dict(ends), dict(answered))
        assert set(ends) == {"CONFIRMED", "SHIPPED", "CANCELLED"}, "or the moments are badly chosen"
        assert overtaken(stories), "no command came while a saga was at work: the moments are badly chosen"
        left = 10_000 - 2 * ends["SHIPPED"]
        held = 2 * ends["CONFIRMED"]
        await customers.level(sku, on_hand=left, reserved=held, available=left - held)


def overtaken(stories: dict[str, list[Event]]) -> list[Any]:
    """The orders that were cancelled by hand before their fulfilment had ended."""
    return [
        order_id
        for order_id, story in stories.items()
        if "SagaCompensated" in (kinds := [event["event_type"] for event in story])
        and not {"PaymentFailed", "InventoryReservationFailed"} & set(kinds)
    ]
