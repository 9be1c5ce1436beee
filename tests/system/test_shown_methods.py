"""Each test payment method tells its exact story on a whole stack: the order's facts, and its sagas' own, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import pytest
from support.stack import Stack

from tests.support.command_api import ORDER
from tests.support.customers import Customers, Event, customers_of
from tests.support.ends import end_of, told

BEGUN = """
OrderCreated
fulfil_order Started
fulfil_order StepCompleted open_order
InventoryReserved
fulfil_order StepCompleted reserve_inventory
fulfil_order StepStarted authorize_payment 1
"""
UNAVAILABLE = "the payment provider answered 503"
TRIED_AGAIN = f"""
fulfil_order StepFailed authorize_payment 1 {UNAVAILABLE}
fulfil_order StepStarted authorize_payment 2
fulfil_order StepFailed authorize_payment 2 {UNAVAILABLE}
fulfil_order StepStarted authorize_payment 3
"""
CONFIRMED = """
PaymentAuthorized
fulfil_order StepCompleted authorize_payment
OrderConfirmed
fulfil_order StepCompleted confirm_order
fulfil_order Completed
"""
DECLINED = """
PaymentFailed
fulfil_order StepFailed authorize_payment 1 {reason} final
fulfil_order CompensationStarted {reason}
InventoryReleased
fulfil_order StepCompensated reserve_inventory
OrderCancelled
fulfil_order StepCompensated open_order
fulfil_order Compensated
"""
CANCELLED = """
OrderCancelled
unwind_order Started
unwind_order StepStarted void_payment 1
"""
VOIDED_LATER = "".join(
    f"""
unwind_order StepFailed void_payment {n} {UNAVAILABLE}
unwind_order StepStarted void_payment {n + 1}
"""
    for n in (1, 2, 3)
)
UNWOUND = """
PaymentVoided
unwind_order StepCompleted void_payment
InventoryReleased
unwind_order StepCompleted release_inventory
unwind_order Completed
"""
STORIES = {
    "card": BEGUN + CONFIRMED,
    "test_card_fail": BEGUN + DECLINED.format(reason="card declined"),
    "test_card_insufficient_funds": BEGUN + DECLINED.format(reason="insufficient funds"),
    "no_such_method": BEGUN + DECLINED.format(reason="unsupported payment method"),
    "test_card_flaky": BEGUN + TRIED_AGAIN + CONFIRMED,
    "test_card_slow": BEGUN + CONFIRMED,
    "test_card_timeout": BEGUN + CONFIRMED,
    "test_card_void_fails": BEGUN + CONFIRMED,
    "test_card_void_never": BEGUN + CONFIRMED,
}
CANCELLATIONS = {"card": CANCELLED + UNWOUND, "test_card_void_fails": CANCELLED + VOIDED_LATER + UNWOUND}
LEAST_SECONDS = {"test_card_slow": 5.0, "test_card_timeout": 8.0}  # what the provider takes; when we stop listening


def lines_of(story: str) -> list[str]:
    return [line for line in story.splitlines() if line]


@pytest.fixture
async def customers(stack: Stack) -> AsyncIterator[Customers]:
    async with customers_of(stack) as customers:
        yield customers


async def placed(customers: Customers, methods: Sequence[str]) -> dict[str, str]:
    """All at once: the slow ones take their time together."""
    return {method: await customers.place({**ORDER, "payment_method": method}) for method in methods}


def seconds(story: Sequence[Event], first: str, then: str) -> float:
    at = {event["event_type"]: datetime.fromisoformat(event["timestamp"]) for event in story}
    return (at[then] - at[first]).total_seconds()


async def test_every_payment_method_tells_its_story_event_by_event(customers: Customers) -> None:
    orders = await placed(customers, list(STORIES))
    stories = await customers.stories(list(orders.values()))
    assert {method: told(stories[order]) for method, order in orders.items()} == {
        method: lines_of(story) for method, story in STORIES.items()
    }
    for method, least in LEAST_SECONDS.items():
        assert seconds(stories[orders[method]], "OrderCreated", "PaymentAuthorized") > least - 0.5
    charges = await customers.charges()
    for method, order in orders.items():
        assert charges[order]["payment_method"] == method
        assert end_of(stories[order], charges[order]) == (
            "CANCELLED" if "PaymentFailed" in STORIES[method] else "CONFIRMED"
        )


async def test_a_cancellation_after_the_confirmation_gives_back_money_and_stock(customers: Customers) -> None:
    orders = await placed(customers, list(CANCELLATIONS))
    for order in orders.values():
        await customers.ended(order)
        await customers.put(order, "cancel", {"reason": "changed my mind"})
    stories = await customers.stories(list(orders.values()))
    assert {method: told(stories[order]) for method, order in orders.items()} == {
        method: lines_of(STORIES[method] + rest) for method, rest in CANCELLATIONS.items()
    }
    charges = await customers.charges()
    assert {end_of(stories[order], charges[order]) for order in orders.values()} == {"CANCELLED"}
