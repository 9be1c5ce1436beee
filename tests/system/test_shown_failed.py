"""A saga that cannot be undone ends FAILED with its open items, and an operator resolves it over HTTP or the shell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from core.domain.message import OrderId, payment_of
from tests.support.command_api import ORDER
from tests.support.customers import Customers, Event, open_customers
from tests.support.ends import story_lines
from tests.support.memory_folder import open_folder
from tests.support.stack import Stack

LONG = os.environ.get("LONG_TESTS") == "1"
OPEN = ["1299.00 USD may be authorised", "1 x LAPTOP-001 may be held"]
REASON = "settled by phone, case 4711"
UNAVAILABLE = "the payment provider answered 503"
REFUSED = "cannot void a payment that is captured: refund it"


async def confirmed_order(customers: Customers, method: str) -> str:
    order = await customers.place({**ORDER, "payment_method": method})
    assert "OrderConfirmed" in await customers.event_types_at_end(order)
    return order


async def cancel_until_failed(customers: Customers, order: str, within: float) -> list[str]:
    """Cancel the order, and return the lines of its unwind_order until that has failed."""
    assert (await customers.put(order, "cancel", {"reason": "changed my mind"})).status_code == 200
    return [
        line for line in story_lines(await customers.events_at_end(order, within)) if line.startswith("unwind_order")
    ]


async def check_open_items_until_an_operator_resolves_it(
    stack: Stack, customers: Customers, order: str, how: str
) -> None:
    async def rows() -> Sequence[Event]:
        query = {"state": "failed", "order_id": order}
        return list((await customers.queries.get("/api/v1/sagas", params=query)).raise_for_status().json()["sagas"])

    [saga] = await rows()
    assert (saga["name"], saga["open"]["items"]) == ("unwind_order", OPEN)
    assert (saga["open"]["money"], saga["open"]["stock"]) == (
        {"amount": 1299, "currency": "USD"},
        [{"sku": "LAPTOP-001", "quantity": 1}],
    )
    if how == "command line":
        done = stack.orderdeck("saga", "resolve", saga["saga_id"], "--reason", REASON)
        assert (done.returncode, done.stdout) == (0, f"saga {saga['saga_id']} is RESOLVED\n")
    else:
        path, headers = f"/api/v1/sagas/{saga['saga_id']}/resolve", {"Orderdeck-Actor": "ada"}
        answer = await customers.commands.post(path, json={"reason": REASON}, headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (200, "RESOLVED")
    last = (await customers.timeline(order))[-1]
    assert (last["event_type"], last["payload"]["reason"]) == ("SagaResolved", REASON)
    assert last["payload"]["by"] == "ada" or how == "command line"
    assert await rows() == []


@pytest.mark.parametrize("how", ["HTTP", "command line"])
async def test_a_saga_whose_void_is_refused_for_good_waits_for_a_person(stack: Stack, how: str) -> None:
    async with open_customers(stack) as customers:
        order = await confirmed_order(customers, "card")
        path = f"/api/v1/charges/{payment_of(OrderId(UUID(order)))}/capture"  # by a clerk at the provider's own desk
        taken = await customers.provider.post(path, json={"amount": "1299"}, headers={"Idempotency-Key": str(uuid4())})
        assert taken.status_code == 200
        assert await cancel_until_failed(customers, order, within=20) == [
            "unwind_order Started",
            "unwind_order StepStarted void_payment 1",
            f"unwind_order StepFailed void_payment 1 {REFUSED} final",
            f"unwind_order Failed {REFUSED}",
        ]
        await check_open_items_until_an_operator_resolves_it(stack, customers, order, how)


@pytest.mark.skipif(not LONG, reason="ten tries with growing pauses take some minutes")
@pytest.mark.timeout(600)
async def test_a_saga_tries_a_void_that_never_succeeds_ten_times_and_then_waits_for_a_person() -> None:
    with (
        open_folder("od-sys-") as folder,
        Stack(folder / "home", ORDERDECK_WITHIN_SCALE="0.001") as stack,
    ):
        stack.up()
        async with open_customers(stack) as customers:
            orders = {how: await confirmed_order(customers, "test_card_void_never") for how in ("HTTP", "command line")}
            tries = [
                line
                for n in range(1, 11)
                for line in (
                    f"unwind_order StepStarted void_payment {n}",
                    f"unwind_order StepFailed void_payment {n} {UNAVAILABLE}" + " final" * (n == 10),
                )
            ]
            for lines in await asyncio.gather(
                *(cancel_until_failed(customers, order, 500) for order in orders.values())
            ):
                assert lines == ["unwind_order Started", *tries, f"unwind_order Failed {UNAVAILABLE}"]
            for how, order in orders.items():
                await check_open_items_until_an_operator_resolves_it(stack, customers, order, how)
            assert {charge["state"] for charge in (await customers.charges()).values()} == {"AUTHORISED"}
