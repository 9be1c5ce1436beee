"""Refunds over HTTP: what is asked for is an event of the order, a key repeats its answer, and too much is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.message import OrderId, StreamId, payment_of
from core.domain.order import RefundRequested
from tests.support.command_api import CommandApi, command_api, problem
from tests.support.saga_cases import make_unreadable

BROKEN = {"amount": 300, "reason": "the lid was broken"}


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as ready:
        yield ready


async def refund(api: CommandApi, order_id: object, body: Any, query: str = "", **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.http.post(f"/api/v1/orders/{order_id}/refund{query}", json=body, headers=names)


async def requested(api: CommandApi, order_id: str) -> list[RefundRequested]:
    events = await api.store.load(StreamId(UUID(order_id)))
    return [each.event for each in events if isinstance(each.event, RefundRequested)]


async def test_a_refund_is_an_event_of_its_order_and_a_key_repeats_its_answer(api: CommandApi) -> None:
    order_id, key = await api.paid_order(), str(uuid4())
    body = {**BROKEN, "currency": "usd", "restock": [{"sku": "LAPTOP-001", "quantity": 1}]}
    dry = await refund(api, order_id, body, "?dry_run=true")
    assert [event["event_type"] for event in dry.json()["events"]] == ["RefundRequested"]
    first = await refund(api, order_id, body, Idempotency_Key=key, Orderdeck_Actor="ada", If_Match='"3"')
    assert (first.status_code, first.json()["status"], first.json()["version"]) == (200, "SHIPPED", 4), first.text
    same = {**body, "amount": "300.00", "currency": "USD"}
    again = await refund(api, order_id, same, Idempotency_Key=key, Orderdeck_Actor="ada", If_Match='"3"')
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    problem(
        await refund(api, order_id, {**body, "amount": 1}, Idempotency_Key=key, Orderdeck_Actor="ada"),
        422,
        "key_reused",
    )
    problem(await refund(api, order_id, BROKEN, If_Match='"3"'), 412, "precondition_failed")
    (event,) = await requested(api, order_id)
    assert (event.refund_id, str(event.amount), event.currency) == (first.json()["refund_id"], "300.00", "USD")
    assert [(each.sku, each.quantity) for each in event.restock] == [("LAPTOP-001", 1)]
    recorded = (await api.store.load(StreamId(UUID(order_id))))[-1]
    assert (recorded.metadata.user_id, str(recorded.metadata.causation_id)) == ("ada", event.refund_id)


async def test_of_many_refunds_at_once_no_more_is_taken_than_was_captured(api: CommandApi) -> None:
    order_id = await api.delivered_order()
    await api.pay(order_id)
    answers = await asyncio.gather(*(refund(api, order_id, BROKEN) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [400] * 12
    refused = next(answer for answer in answers if answer.status_code == 400)
    assert problem(refused, 400, "not_allowed")["detail"] == (
        "cannot refund 300.00 USD: 99.00 of the 1299.00 captured is left, since refunds of 1200.00 are under way"
    )
    assert (await refund(api, order_id, {"amount": "99.00", "reason": "the rest", "restock": True})).status_code == 200
    problem(await refund(api, order_id, {"amount": 0.01, "reason": "more"}), 400, "not_allowed")
    events = await requested(api, order_id)
    assert sum(event.amount for event in events) == Decimal("1299.00")
    assert [[(each.sku, each.quantity) for each in event.restock] for event in events[-1:]] == [[("LAPTOP-001", 1)]]


WRONG: list[tuple[Any, tuple[str, ...]]] = [
    ({**BROKEN, "amount": 0}, ("amount",)),
    ({**BROKEN, "amount": -1}, ("amount",)),
    ({**BROKEN, "amount": 0.001}, ("amount",)),
    ({**BROKEN, "amount": "1_0"}, ("amount",)),
    ({**BROKEN, "amount": "NaN"}, ("amount",)),
    ({**BROKEN, "amount": "1e400"}, ("amount",)),
    ({**BROKEN, "amount": 10**30}, ("amount",)),
    ({**BROKEN, "amount": None}, ("amount",)),
    ({**BROKEN, "amount": True}, ("amount",)),
    ({"reason": "r"}, ("amount",)),
    ({"amount": 1}, ("reason",)),
    ({"amount": 1, "reason": " "}, ("reason",)),
    ({"amount": 1, "reason": "x" * 501}, ("reason",)),
    ({"amount": 0, "reason": ""}, ("amount", "reason")),
    ({**BROKEN, "currency": "EUR"}, ("currency",)),
    ({**BROKEN, "currency": "US"}, ("currency",)),
    ({**BROKEN, "currency": ""}, ("currency",)),
    ({**BROKEN, "restock": "yes"}, ("restock",)),
    ({**BROKEN, "restock": 1}, ("restock",)),
    ({**BROKEN, "restock": {}}, ("restock",)),
    ({**BROKEN, "restock": None}, ("restock",)),
    ({**BROKEN, "restock": [{"sku": "LAPTOP-001", "quantity": 0}]}, ("restock[0].quantity",)),
    ({**BROKEN, "restock": [{"sku": "LAPTOP-001", "quantity": -1}]}, ("restock[0].quantity",)),
    ({**BROKEN, "restock": [{"sku": "A B", "quantity": 1}]}, ("restock[0].sku",)),
]


async def test_a_refund_that_is_not_valid_is_refused_its_fields_are_named_and_nothing_is_recorded(
    api: CommandApi,
) -> None:
    order_id = await api.paid_order()
    head = await api.head()
    for body, fields in WRONG:
        answer = await refund(api, order_id, body)
        named = {wrong["field"] for wrong in problem_fields(answer)}
        assert named == set(fields), f"{body}: {answer.text[:300]}"
    for body in ({**BROKEN, "restock": [{"sku": "LAPTOP-001", "quantity": 2}]},
                 {**BROKEN, "restock": [{"sku": "OTHER", "quantity": 1}]}):  # fmt: skip
        problem(await refund(api, order_id, body), 400, "not_allowed")
    unpaid = await api.shipped_order()
    problem(await refund(api, unpaid, BROKEN), 400, "not_allowed")
    problem(await refund(api, uuid4(), BROKEN), 404, "not_found")
    problem(await refund(api, "no-uuid", BROKEN), 400, "validation_failed", "order_id")
    assert await requested(api, order_id) == []
    assert head <= await api.head()


def problem_fields(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "validation_failed"
    errors: list[dict[str, Any]] = answer.json()["errors"]
    return errors


async def test_a_payment_with_an_event_of_a_later_release_is_not_refunded(api: CommandApi) -> None:
    order_id = await api.paid_order()
    await make_unreadable(api.dsn, payment_of(OrderId(UUID(order_id))))
    answer = await api.http.post(f"/api/v1/orders/{order_id}/refund", json={"amount": 1, "reason": "broken"})
    problem(answer, 503, "unknown_event")
    assert (await api.put(order_id, "deliver")).status_code == 200, "which reads no payment"
