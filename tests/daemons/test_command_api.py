"""The command API over real HTTP: each command, in each status of the order, and what it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.address import Address
from core.domain.message import StreamId
from core.domain.order import CARD, OrderCreated
from core.domain.payment_method import PaymentMethod
from tests.support.command_api import ADDRESS, ITEM, ORDER, SHIPMENT, CommandApi, command_api, problem

REASON = {"reason": "changed my mind"}
BODIES: dict[str, dict[str, str] | None] = {"confirm": None, "cancel": REASON, "ship": SHIPMENT, "deliver": None}
STATUSES = ["placed", "fulfilled", "shipped", "delivered", "cancelled"]

NO = "no"
TOO_EARLY = "too early"
OUTCOMES = {  # by the order's status: the status after the command, or NO with its sentence, or TOO_EARLY
    "placed": {
        "confirm": "CONFIRMED", "cancel": "CANCELLED", "ship": TOO_EARLY,
        "deliver": (NO, "cannot deliver a created order"),
    },
    "fulfilled": {
        "confirm": "CONFIRMED", "cancel": "CANCELLED", "ship": "SHIPPED",
        "deliver": (NO, "cannot deliver a confirmed order"),
    },
    "shipped": {
        "confirm": (NO, "cannot confirm a shipped order"), "cancel": (NO, "cannot cancel a shipped order"),
        "ship": "SHIPPED", "deliver": "DELIVERED",
    },
    "delivered": {
        "confirm": (NO, "cannot confirm a delivered order"), "cancel": (NO, "cannot cancel a delivered order"),
        "ship": "DELIVERED", "deliver": "DELIVERED",
    },
    "cancelled": {
        "confirm": (NO, "cannot confirm a cancelled order"), "cancel": "CANCELLED",
        "ship": (NO, "cannot ship a cancelled order"), "deliver": (NO, "cannot deliver a cancelled order"),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandApi]:
    async with command_api(postgres, template, tmp_path_factory.mktemp("api")) as ready:
        yield ready


async def test_placing_an_order_answers_its_number_status_version_and_position(api: CommandApi) -> None:
    answer = await api.create()
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["order_id", "order_number", "status", "version", "position"]
    assert (body["status"], body["version"], body["position"]) == ("CREATED", 1, await api.head())
    assert body["order_number"].startswith("ORD-")
    assert answer.headers["location"] == f"/api/v1/orders/{body['order_id']}"
    assert answer.headers["etag"] == '"1"'
    created = (await api.store.load(StreamId(UUID(body["order_id"]))))[0]
    assert created.metadata.correlation_id == UUID(body["order_id"])
    assert abs((datetime.now(UTC) - created.recorded_at).total_seconds()) < 60


async def test_a_price_may_be_a_number_or_a_text_and_is_recorded_exactly(api: CommandApi) -> None:
    items = [{**ITEM, "unit_price": price, "sku": f"A{n}"} for n, price in enumerate((0.1, "0.20", 3, "4", 1e1))]
    answer = await api.create({**ORDER, "items": items})
    (created,) = await api.store.load(StreamId(UUID(answer.json()["order_id"])))
    assert isinstance(created.event, OrderCreated)
    assert str(created.event.total_amount) == "17.30"
    assert [str(item.unit_price) for item in created.event.items] == ["0.10", "0.20", "3.00", "4.00", "10.00"]


async def test_a_field_that_is_not_given_has_its_default(api: CommandApi) -> None:
    (created,) = await api.store.load(StreamId(UUID(await api.placed_order())))
    assert isinstance(created.event, OrderCreated)
    assert (created.event.payment_method, created.event.currency) == (CARD, "USD")
    assert created.event.shipping_address == Address(**ADDRESS)


async def test_a_payment_method_is_an_object_with_a_label_or_as_before_a_text(api: CommandApi) -> None:
    methods: dict[str, Any] = {
        "card": PaymentMethod(type="card", label="Visa ending in 4242"), "sepa": PaymentMethod(type="sepa"),
        "old": PaymentMethod(type="old"),
    }  # fmt: skip
    sent = ({"type": "card", "label": "Visa ending in 4242"}, {"type": "sepa", "label": None}, "old")
    for given, method in zip(sent, methods.values(), strict=True):
        answer = await api.create({**ORDER, "payment_method": given})
        (created,) = await api.store.load(StreamId(UUID(answer.json()["order_id"])))
        assert isinstance(created.event, OrderCreated)
        assert created.event.payment_method == method
    for wrong, field in (
        ({"label": "x"}, "payment_method.type"), ({"type": 1}, "payment_method.type"), (5, "payment_method"),
        (None, "payment_method"), ([], "payment_method"), ({}, "payment_method.type"),
        ({"type": "CARD"}, "payment_method.type"), ("CARD", "payment_method"),
        ({"type": "card", "label": " "}, "payment_method.label"),
        ({"type": "card", "label": "4242 4242 4242 4242"}, "payment_method.label"),
        ({"type": "card", "label": "x" * 61}, "payment_method.label"),
    ):  # fmt: skip
        problem(await api.create({**ORDER, "payment_method": wrong}), 400, "validation_failed", field)


async def test_an_address_without_state_and_postal_code_is_recorded_without_these_fields(api: CommandApi) -> None:
    address = {"street": "8 Finance Street", "city": "Central", "country": "HK"}
    for given in (address, {**address, "state": "", "zip": ""}, {**address, "state": None, "zip": None}):
        dry = await api.http.post("/api/v1/orders?dry_run=true", json={**ORDER, "shipping_address": given})
        [event] = dry.json()["events"]
        assert event["payload"]["shipping_address"] == address
        assert event["payload"]["payment_method"] == {"type": "card"}
        assert (event["event_version"], event["schema_version"]) == (2, 2)


@pytest.mark.parametrize("command", BODIES)
@pytest.mark.parametrize("status", STATUSES)
async def test_each_command_in_each_status_of_an_order_has_the_answer_of_the_table(
    api: CommandApi, status: str, command: str
) -> None:
    order_id = await getattr(api, f"{status}_order")()
    before, head = await api.types(order_id), await api.head()
    answer = await api.put(order_id, command, BODIES[command])
    expected = OUTCOMES[status][command]
    if expected == TOO_EARLY:
        assert problem(answer, 409, "fulfilment_not_finished")["error"].startswith(f"order {order_id} is still being")
        assert answer.headers["retry-after"] == "1"
    elif isinstance(expected, tuple):
        assert problem(answer, 400, "not_allowed")["error"] == expected[1]
    else:
        body = answer.json()
        assert (answer.status_code, body["order_id"], body["status"]) == (200, order_id, expected)
        assert body["version"] == len(await api.types(order_id))
        assert answer.headers["etag"] == f'"{body["version"]}"'
        shipped = expected in {"SHIPPED", "DELIVERED"}
        assert body.get("tracking_number") == (SHIPMENT["tracking_number"] if shipped else None)
        assert "location" not in answer.headers
    recorded = (await api.types(order_id))[len(before) :]
    assert len(recorded) == (await api.head()) - head
    done_now = expected != status_of(before) and isinstance(expected, str) and expected != TOO_EARLY
    assert len(recorded) == done_now


def status_of(types: list[str]) -> str:
    return types[-1].removeprefix("Order").upper()


async def test_a_command_that_records_nothing_answers_the_position_of_the_orders_last_event(api: CommandApi) -> None:
    order_id = await api.fulfilled_order()
    first = (await api.put(order_id, "confirm")).json()
    await api.placed_order()
    assert (await api.put(order_id, "confirm")).json() == first


async def test_shipping_again_with_other_tracking_is_refused(api: CommandApi) -> None:
    order_id = await api.shipped_order()
    answer = await api.put(order_id, "ship", {**SHIPMENT, "tracking_number": "another"})
    assert problem(answer, 400, "not_allowed")["error"] == "the order was shipped already, with UPS 1Z999"


async def test_the_api_refuses_a_shipment_only_after_it_has_waited_for_the_fulfilment(api: CommandApi) -> None:
    order_id = await api.placed_order()
    began = time.monotonic()
    problem(await api.put(order_id, "ship", SHIPMENT), 409, "fulfilment_not_finished")
    assert time.monotonic() - began >= 1.9


async def test_the_api_answers_at_once_that_an_unknown_order_is_not_found(api: CommandApi) -> None:
    for command, body in BODIES.items():
        nobodys, began = uuid4(), time.monotonic()
        wrong = problem(await api.put(nobodys, command, body), 404, "not_found")
        assert wrong["error"] == f"there is no order {nobodys}"
        assert time.monotonic() - began < 1.5


async def test_an_order_id_in_capitals_means_the_same_order(api: CommandApi) -> None:
    order_id = await api.placed_order()
    answer = await api.put(order_id.upper(), "confirm")
    assert (answer.status_code, answer.json()["order_id"]) == (200, order_id)


async def test_receipts_of_stock_add_up(api: CommandApi) -> None:
    first = await api.receive("RECEIVED-1", {"quantity": 5, "product_id": "p-1", "name": "A thing"})
    assert first.status_code == 201, first.text
    assert first.json() == {"sku": "RECEIVED-1", "available": 5, "version": 1, "position": await api.head()}
    assert first.headers["etag"] == '"1"'
    assert "location" not in first.headers
    second = await api.receive("RECEIVED-1", {"quantity": 3})
    assert (second.json()["available"], second.json()["version"]) == (8, 2)
    full = await api.receive("RECEIVED-1", {"quantity": 1_000_000_000})
    assert full.status_code == 201


async def test_every_one_of_many_receipts_of_a_sku_at_once_counts(api: CommandApi) -> None:
    async def receive(quantity: int) -> httpx.Response:
        while True:
            answer = await api.receive("RECEIVED-2", {"quantity": quantity})
            if answer.status_code != 409:  # on a busy machine 32 turns take longer than a command keeps trying
                return answer

    answers = await asyncio.gather(*(receive(n) for n in range(1, 33)))
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 33))
    assert max(answer.json()["available"] for answer in answers) == sum(range(1, 33))


async def test_a_put_without_a_body_needs_no_content_type(api: CommandApi) -> None:
    order_id = await api.shipped_order()
    answer = await api.http.put(f"/api/v1/orders/{order_id}/deliver")
    assert "content-type" not in answer.request.headers
    assert answer.status_code == 200


async def test_the_api_ignores_unknown_fields_and_names_a_required_one_that_is_misspelt(api: CommandApi) -> None:
    extra = {**ORDER, "comment": "x", "items": [{**ITEM, "colour": {"a": [1, {"b": None}]}}]}
    assert (await api.create(extra)).status_code == 201
    misspelt: dict[str, Any] = {**ORDER, "shiping_address": ADDRESS}
    del misspelt["shipping_address"]
    problem(await api.create(misspelt), 400, "validation_failed", "shipping_address", "shiping_address")
    problem(await api.put(uuid4(), "cancel", {"reson": "x"}), 400, "validation_failed", "reason", "reson")


async def test_every_wrong_field_is_named_at_once(api: CommandApi) -> None:
    wrong_types = {"items": [{**ITEM, "quantity": "1"}, {"sku": 4}], "shipping_address": {**ADDRESS, "zip": 94105}}
    problem(
        await api.create(wrong_types), 400, "validation_failed",
        "customer_id", "items[0].quantity", "items[1].product_id", "items[1].sku", "items[1].quantity",
        "items[1].unit_price", "shipping_address.zip",
    )  # fmt: skip
    wrong_values = {**ORDER, "customer_id": " ", "items": [{**ITEM, "quantity": 0, "unit_price": 0}], "currency": "XTS"}
    problem(
        await api.create(wrong_values), 400, "validation_failed",
        "customer_id", "items[0].quantity", "items[0].unit_price", "currency",
    )  # fmt: skip


async def test_the_api_refuses_unknown_paths_methods_and_media_types(api: CommandApi) -> None:
    problem(await api.http.get("/api/v1/nothing"), 404, "not_found")
    for method in ("GET", "PATCH", "DELETE", "HEAD"):
        answer = await api.http.request(method, "/api/v1/orders")
        assert answer.status_code == 405
        assert "POST" in answer.headers["allow"]
    problem(await api.http.post(f"/api/v1/orders/{uuid4()}/confirm"), 405, "method_not_allowed")
    options = await api.http.options(f"/api/v1/orders/{uuid4()}/confirm")
    assert options.status_code == 204
    assert {each.strip() for each in options.headers["allow"].split(",")} == {"PUT", "OPTIONS"}
    for kind in ("", "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await api.http.post("/api/v1/orders", content=b"{}", headers={"Content-Type": kind})
        problem(answer, 415, "unsupported_media_type")
    answer = await api.http.post("/api/v1/orders", content=b"[]", headers={"Content-Type": "Application/JSON ;x=y"})
    problem(answer, 400, "validation_failed", "body")


async def test_the_api_refuses_a_body_over_the_limit_with_413_and_reads_one_at_the_limit(api: CommandApi) -> None:
    def order(size: int) -> bytes:
        start, end = b'{"customer_id":"', b'"}'
        return start + b"x" * (size - len(start) - len(end)) + end

    headers = {"Content-Type": "application/json"}
    problem(await api.http.post("/api/v1/orders", content=order((1 << 20) + 1), headers=headers), 413, TOO_LARGE)
    at_limit = await api.http.post("/api/v1/orders", content=order(1 << 20), headers=headers)
    problem(at_limit, 400, "validation_failed", "items", "shipping_address")


TOO_LARGE = "request_entity_too_large"


async def test_the_health_check_of_the_command_api_succeeds_and_names_the_service(api: CommandApi) -> None:
    health = (await api.http.get("/health")).json()
    assert (health["status"], health["service"]) == ("healthy", "command-service")
    assert (await api.http.head("/health")).status_code == 200
