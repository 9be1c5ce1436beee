"""What cannot be undone ends FAILED with its open items named, and an operator resolves it, by either way in."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from core.domain.message import OrderId, payment_of
from tests.support.command_api import ORDER
from tests.support.customers import Customers, Event, customers_of
from tests.support.ends import told
from tests.support.stack import Stack

LONG = os.environ.get("LONG_TESTS") == "1"
OPEN = ["1299.00 USD may be authorised", "1 x LAPTOP-001 may be held"]
REASON = "settled by phone, case 4711"
UNAVAILABLE = "the payment provider answered 503"
REFUSED = "cannot void a payment that is captured: refund it"


async def confirmed(customers: Customers, method: str) -> str:
    order = await customers.place({**ORDER, "payment_method": method})
    assert "OrderConfirmed" in await customers.ended(order)
    return order


async def failed(customers: Customers, order: str, within: float) -> list[str]:
    """Cancel it, and what its unwinding then tells until it has failed."""
    assert (await customers.put(order, "cancel", {"reason": "changed my mind"})).status_code == 200
    return [line for line in told(await customers.story(order, within)) if line.startswith("unwind_order")]


async def names_what_is_open_until_it_is_resolved(stack: Stack, customers: Customers, order: str, how: str) -> None:
    async def rows() -> Sequence[Event]:
        asked = {"state": "failed", "order_id": order}
        return list((await customers.queries.get("/api/v1/sagas", params=asked)).raise_for_status().json()["sagas"])

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
    async with customers_of(stack) as customers:
        order = await confirmed(customers, "card")
        path = f"/api/v1/charges/{payment_of(OrderId(UUID(order)))}/capture"  # by a clerk at the provider's own desk
        taken = await customers.provider.post(path, json={"amount": "1299"}, headers={"Idempotency-Key": str(uuid4())})
        assert taken.status_code == 200
        assert await failed(customers, order, within=20) == [
            "unwind_order Started",
            "unwind_order StepStarted void_payment 1",
            f"unwind_order StepFailed void_payment 1 {REFUSED} final",
            f"unwind_order Failed {REFUSED}",
        ]
        await names_what_is_open_until_it_is_resolved(stack, customers, order, how)


@pytest.mark.skipif(not LONG, reason="ten tries with growing pauses take some minutes")
@pytest.mark.timeout(600)
async def test_a_saga_tries_a_void_that_never_succeeds_ten_times_and_then_waits_for_a_person() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="od-sys-") as folder,
        Stack(Path(folder) / "home", ORDERDECK_WITHIN_SCALE="0.001") as stack,
    ):
        stack.up()
        async with customers_of(stack) as customers:
            orders = {how: await confirmed(customers, "test_card_void_never") for how in ("HTTP", "command line")}
            tries = [
                line
                for n in range(1, 11)
                for line in (
                    f"unwind_order StepStarted void_payment {n}",
                    f"unwind_order StepFailed void_payment {n} {UNAVAILABLE}" + " final" * (n == 10),
                )
            ]
            for told_of in await asyncio.gather(*(failed(customers, order, 500) for order in orders.values())):
                assert told_of == ["unwind_order Started", *tries, f"unwind_order Failed {UNAVAILABLE}"]
            for how, order in orders.items():
                await names_what_is_open_until_it_is_resolved(stack, customers, order, how)
            assert {charge["state"] for charge in (await customers.charges()).values()} == {"AUTHORISED"}
