"""Operators steer sagas over HTTP and from the command line, on a whole stack."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.domain.message import OrderId, saga_of
from tests.support.customers import Customers, eventually, open_customers
from tests.support.stack import Stack

OPERATIONS = ("retry", "skip-step", "compensate", "resolve")


@pytest.fixture
async def customers(stack: Stack) -> AsyncIterator[Customers]:
    async with open_customers(stack) as customers:
        yield customers


async def test_steering_a_saga_in_a_way_that_makes_no_sense_is_refused_with_a_sentence(customers: Customers) -> None:
    order = await customers.place()
    await customers.event_types_at_end(order)
    path = f"/api/v1/sagas/{saga_of(OrderId(UUID(order)), 'fulfil_order')}"
    for operation in OPERATIONS:
        answer = await customers.commands.post(f"{path}/{operation}", json={"reason": "a try"})
        assert answer.status_code == 400, answer.text
        assert "it is completed" in answer.json()["error"]
        for body in ({}, {"reason": ""}, {"reason": 1}, {"reason": "x" * 501}):
            wrong = await customers.commands.post(f"{path}/{operation}", json=body)
            assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "reason")
        unknown = await customers.commands.post(f"/api/v1/sagas/{uuid4()}/{operation}", json={"reason": "a try"})
        assert unknown.status_code == 404
        assert (await customers.commands.post(f"/api/v1/sagas/1/{operation}", json={"reason": "r"})).status_code == 400


async def test_an_operator_refunds_a_settled_order_from_the_command_line(customers: Customers, stack: Stack) -> None:
    order = await customers.place()
    await customers.event_types_at_end(order)
    await customers.put(order, "ship", {"tracking_number": "1Z", "carrier": "UPS"})
    await customers.event_types_at_end(order)
    saga = str(saga_of(OrderId(UUID(order)), "settle_order"))

    shown = stack.orderdeck("saga", "list", "--order-id", order, "--json")
    assert {row["saga_id"] for row in json.loads(shown.stdout)["sagas"]} >= {saga}
    done = stack.orderdeck("saga", "compensate", saga, "--reason", "it came back broken")
    assert (done.returncode, done.stderr) == (0, "")

    async def refunded_charge() -> dict[str, Any] | None:
        charge = (await customers.charges())[order]
        return charge if charge["state"] == "REFUNDED" else None

    await eventually(refunded_charge, 10)
    output = stack.orderdeck("saga", "show", saga).stdout
    assert "it came back broken" in output
    assert "SagaCompensationRequested" in output
    refused = stack.orderdeck("saga", "retry", saga, "--reason", "again")
    assert refused.returncode == 1
    assert refused.stderr.startswith("orderdeck: cannot retry settle_order: it is comp")
