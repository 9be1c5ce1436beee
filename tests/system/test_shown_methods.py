"""Each test payment method tells its exact story on a whole stack: the order's facts, and its sagas' own, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from core.sagas import SAGAS
from tests.support.command_api import ORDER
from tests.support.customers import Customers, Event, open_customers
from tests.support.ends import end_of, story_lines
from tests.support.stack import Stack

BEGUN = """
OrderCreated
InventoryReserved
fulfil_order Started
fulfil_order StepCompleted open_order
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
OrderConfirmed
fulfil_order StepCompleted authorize_payment
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
EXPECTED = {(method, ""): story for method, story in STORIES.items()} | {
    (method, "cancelled once it is confirmed"): STORIES[method] + rest for method, rest in CANCELLATIONS.items()
}
NAMED = set(" ".join(EXPECTED.values()).split())
NEWER = {step.name for saga in SAGAS.values() for step in saga.steps} - NAMED
LEAST_SECONDS = {"test_card_slow": 5.0, "test_card_timeout": 8.0}  # what the provider takes; when we stop listening


def lines_without_newer_steps(story: Sequence[Event]) -> list[str]:
    """The lines of the order, without steps that only a later table has."""
    return [line for line in story_lines(story) if not NEWER & set(line.split())]


async def events_of_order(customers: Customers, method: str, then: str) -> Sequence[Event]:
    order = await customers.place({**ORDER, "payment_method": method})
    if then:
        await customers.event_types_at_end(order)
        assert (await customers.put(order, "cancel", {"reason": "changed my mind"})).status_code == 200
    return await customers.events_at_end(order)


def seconds(story: Sequence[Event], first: str, then: str) -> float:
    at = {event["event_type"]: datetime.fromisoformat(event["timestamp"]) for event in story}
    return (at[then] - at[first]).total_seconds()


async def test_an_order_with_each_payment_method_records_exactly_the_expected_events(stack: Stack) -> None:
    async with open_customers(stack) as customers:
        event_lists = await asyncio.gather(
            *(events_of_order(customers, *which) for which in EXPECTED)
        )  # the slow ones at the same time
        charges = await customers.charges()  # one each, or this would fail
    stories = dict(zip(EXPECTED, event_lists, strict=True))
    assert {which: lines_without_newer_steps(story) for which, story in stories.items()} == {
        which: [line for line in story.splitlines() if line] for which, story in EXPECTED.items()
    }
    for method, least in LEAST_SECONDS.items():
        assert seconds(stories[method, ""], "OrderCreated", "PaymentAuthorized") > least - 0.5
    for (method, _), story in stories.items():
        charge = charges[story[0]["payload"]["order_id"]]
        assert charge["payment_method"] == method
        cancelled = "OrderCancelled" in {event["event_type"] for event in story}
        assert end_of(story, charge) == ("CANCELLED" if cancelled else "CONFIRMED")
