"""Orders over HTTP: one as fresh as was asked for, and lists that page both ways without gap or repeat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.message import payment_of
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import QueryApi, database, query_api
from tests.support.samples import ORDER_ID, authorized, captured, confirmed, created, part_refunded, shipped
from tests.support.stored_events import stored_events

ORDERS = 60
HOUR = timedelta(hours=1)
PAYMENT_ID = payment_of(ORDER_ID)
PAID = stored_events(
    [
        created,
        replace(authorized, payment_id=PAYMENT_ID),
        confirmed,
        shipped,
        replace(captured, payment_id=PAYMENT_ID),
        replace(part_refunded, payment_id=PAYMENT_ID),
    ]
)


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[QueryApi]:
    async with query_api(dsn, tmp_path) as api:
        yield api


@pytest.fixture(scope="module")
async def full(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueryApi]:
    home = tmp_path_factory.mktemp("full")
    async with database(postgres, template, "full_of_orders") as dsn, query_api(dsn, home) as api:
        await write(dsn, Sample(ORDERS, payments=True).events())
        await api.project()
        yield api


def numbers(answer: Any) -> list[int]:
    return [int(order["order_number"][4:]) for order in answer["orders"]]


# --- one order ----------------------------------------------------------------------------------------------
async def test_the_query_api_gives_an_order_with_all_its_fields(full: QueryApi) -> None:
    response = await full.client.get(f"/api/v1/orders/{order_id(1)}")
    order = response.json()
    assert list(order) == [
        "order_id", "customer_id", "order_number", "status", "payment_status", "total_amount", "authorized_amount",
        "captured_amount", "refunded_amount", "currency", "items", "shipping_address", "tracking_number", "carrier",
        "payment_expires_at", "created_at", "updated_at", "version", "payment_version",
    ]  # fmt: skip
    assert response.headers["etag"] == f'"{order["version"]}"'
    assert order["total_amount"] == pytest.approx(sum(i["quantity"] * i["unit_price"] for i in order["items"]))
    assert await full.get("/api/v1/orders/number/ord-0000000001") == order


@pytest.mark.parametrize("id_", [str(order_id(1)), str(order_id(ORDERS + 9)), "no-id"])
async def test_an_order_is_answered_alike_with_and_without_the_framework(full: QueryApi, id_: str) -> None:
    straight = await full.client.get(f"/api/v1/orders/{id_}")
    framework = await full.client.get(f"/api/v1/orders/{id_}", params={"min_version": 0})
    assert (straight.status_code, straight.content) == (framework.status_code, framework.content)
    assert sorted(straight.headers) == sorted(framework.headers)


async def test_an_event_unknown_to_this_release_moves_the_version_of_an_order_on(api: QueryApi) -> None:
    [first, *_] = Sample(1).events()
    later = replace(
        first, position=2, version=2, event_id=uuid4(), event_type="OrderFrozen", recorded_at=first.recorded_at + HOUR
    )
    await write(api.dsn, [first, later])
    await api.project()
    order = await api.get(f"/api/v1/orders/{order_id(1)}", min_version=2)
    assert (order["version"], order["status"]) == (2, "CREATED")
    assert datetime.fromisoformat(order["updated_at"]) == later.recorded_at


async def test_an_order_that_the_read_model_does_not_have_yet_is_folded_from_its_events(api: QueryApi) -> None:
    await write(api.dsn, Sample(3).events())
    folded = await api.get(f"/api/v1/orders/{order_id(2)}")
    await api.project()
    assert await api.get(f"/api/v1/orders/{order_id(2)}") == folded


async def test_the_query_api_shows_no_order_that_is_older_than_the_wanted_version(api: QueryApi) -> None:
    log = Sample(1, seed=3).events()
    assert len(log) > 2
    await write(api.dsn, log[:1])
    await api.project()
    await write(api.dsn, log[1:])
    assert (await api.get(f"/api/v1/orders/{order_id(1)}"))["version"] == 1
    assert (await api.get(f"/api/v1/orders/{order_id(1)}", min_version=2))["version"] == len(log)


async def test_the_query_api_shows_no_payment_that_is_older_than_the_wanted_version(api: QueryApi) -> None:
    await write(api.dsn, PAID[:2])
    await api.project()
    await write(api.dsn, PAID[2:])
    path = f"/api/v1/orders/{ORDER_ID}"
    assert (await api.get(path))["payment_status"] == "AUTHORIZED"
    fresh = await api.get(path, min_payment_version=3)
    assert (fresh["payment_status"], fresh["payment_version"], fresh["version"]) == ("PARTLY_REFUNDED", 3, 3)
    assert (fresh["captured_amount"], fresh["refunded_amount"]) == (2001.48, 0.48)
    assert await api.get(path, min_version=2) == fresh  # the payment comes along when the order is what is behind
    problem = await api.get(path, 409, min_payment_version=4)
    assert problem["detail"] == f"the payment of order {ORDER_ID} is at version 3, not 4 yet"
    await api.project()
    assert await api.get(path) == fresh


async def test_a_version_that_does_not_exist_is_a_conflict_and_an_unknown_order_is_not_found(full: QueryApi) -> None:
    problem = await full.get(f"/api/v1/orders/{order_id(1)}", 409, min_version=99)
    assert problem["code"] == "version_not_reached"
    assert (await full.get(f"/api/v1/orders/{uuid4()}", 404))["code"] == "not_found"


async def test_a_caller_that_waits_is_answered_as_soon_as_the_read_model_has_the_version(api: QueryApi) -> None:
    log = Sample(1).events()
    asked = [asyncio.create_task(api.get(f"/api/v1/orders/{order_id(1)}", min_version=1, wait=10)) for _ in range(20)]
    await asyncio.wait(asked, timeout=0.1)
    assert not any(one.done() for one in asked)
    began = time.monotonic()
    await write(api.dsn, log)
    await api.project()
    for answer in await asyncio.gather(*asked):
        assert answer["version"] == len(log)
    assert time.monotonic() - began < 5


async def test_a_caller_that_waits_in_vain_gets_an_order_folded_from_its_events(api: QueryApi) -> None:
    log = Sample(1).events()
    await write(api.dsn, log)
    assert (await api.get(f"/api/v1/orders/{order_id(1)}", min_version=1, wait=0.05))["version"] == len(log)


async def test_an_order_asked_for_by_its_number_is_waited_for_while_the_read_model_is_behind(api: QueryApi) -> None:
    await write(api.dsn, Sample(1).events())
    asked = asyncio.create_task(api.get("/api/v1/orders/number/ORD-0000000001"))
    await asyncio.wait([asked], timeout=0.1)
    assert not asked.done()
    await api.project()
    assert (await asked)["order_id"] == str(order_id(1))
    await api.get("/api/v1/orders/number/ORD-NOTTHERE00", 404)


# --- lists --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-updated_at", "-total_amount", "total_amount"])
async def test_the_pages_of_orders_show_every_order_once_forward_and_back(full: QueryApi, sort: str) -> None:
    everything = (await full.get("/api/v1/orders", sort=sort, limit=100))["orders"]
    field, descending = sort.lstrip("-"), sort.startswith("-")
    assert everything == sorted(everything, key=lambda o: (o[field], o["order_id"]), reverse=descending)
    assert len(everything) == ORDERS

    page = await full.get("/api/v1/orders", sort=sort, limit=7)
    assert page["prev_cursor"] is None
    pages = [page]
    while page["next_cursor"]:
        page = await full.get("/api/v1/orders", sort=sort, limit=7, cursor=page["next_cursor"])
        pages.append(page)
    assert [order for page in pages for order in page["orders"]] == everything
    for earlier in reversed(pages[:-1]):
        page = await full.get("/api/v1/orders", sort=sort, limit=7, cursor=page["prev_cursor"])
        assert page["orders"] == earlier["orders"]
        assert page["next_cursor"]
    assert page["prev_cursor"] is None


async def test_orders_are_listed_by_the_state_of_their_payment(full: QueryApi) -> None:
    everything = (await full.get("/api/v1/orders", limit=100))["orders"]
    states = {order["payment_status"] for order in everything}
    assert states == {"ABSENT", "AUTHORIZED", "VOIDED", "CAPTURED", "UNPAID", "PARTLY_REFUNDED", "REFUNDED"}
    for state in states:
        listed = await full.get("/api/v1/orders", payment=state.lower(), limit=100)
        assert listed["orders"] == [order for order in everything if order["payment_status"] == state]
        assert listed["total"] == len(listed["orders"])
    both = await full.get("/api/v1/orders", payment="REFUNDED", status="DELIVERED", limit=100)
    assert both["total"] == sum(order["payment_status"] == "REFUNDED" for order in everything) > 0
    assert (await full.get("/api/v1/orders", payment="FAILED"))["orders"] == []
    problem = await full.get("/api/v1/orders", 400, payment="PAID")
    assert [error["field"] for error in problem["errors"]] == ["payment"]


async def test_new_orders_do_not_move_the_pages_after_a_cursor(api: QueryApi) -> None:
    log = Sample(10, open_at_once=1).events()
    later = [event for event in log if event.stream in {order_id(9), order_id(10)}]
    await write(api.dsn, [event for event in log if event not in later])
    await api.project()
    first = await api.get("/api/v1/orders", limit=3)
    await write(api.dsn, later)
    await api.project()
    assert numbers(first) == [8, 7, 6]
    assert numbers(await api.get("/api/v1/orders", limit=3, cursor=first["next_cursor"])) == [5, 4, 3]


async def test_the_orders_of_a_customer_and_of_a_status_are_listed_by_offset(full: QueryApi) -> None:
    everything = (await full.get("/api/v1/orders", limit=100))["orders"]
    mine = [order for order in everything if order["customer_id"] == "customer-3"]
    answer = await full.get("/api/v1/customers/customer-3/orders", limit=2, offset=1)
    assert answer == {
        "orders": mine[1:3], "total": len(mine), "total_estimated": False, "limit": 2, "offset": 1,
    }  # fmt: skip
    shipped = [order for order in everything if order["status"] == "SHIPPED"]
    answer = await full.get("/api/v1/orders/status/shipped", limit=2, offset=1)
    assert (answer["orders"], answer["status"], answer["limit"], answer["offset"]) == (shipped[1:3], "SHIPPED", 2, 1)
    assert (await full.get("/api/v1/customers/nobody/orders"))["orders"] == []


def paid(order: Any) -> Decimal:
    return Decimal(str(order["captured_amount"])) - Decimal(str(order["refunded_amount"]))


# --- the sums -----------------------------------------------------------------------------------------------
async def test_the_sums_are_those_of_the_listed_orders(full: QueryApi) -> None:
    everything = (await full.get("/api/v1/orders", limit=100))["orders"]
    summary = await full.get("/api/v1/customers/customer-3/summary")
    mine = [order for order in everything if order["customer_id"] == "customer-3"]
    assert summary["orders"] == len(mine)
    assert sum(Decimal(str(t["spent"])) for t in summary["totals"]) == sum(map(paid, mine)) > 0

    wanted = await full.get("/api/v1/products/SKU-004/demand")
    units = sum(i["quantity"] for o in everything for i in o["items"] if i["sku"] == "SKU-004")
    assert sum(t["units_ordered"] for t in wanted["totals"]) == units
    revenue_of_all_skus = Decimal(0)
    for sku in {item["sku"] for order in everything for item in order["items"]}:
        demand = await full.get(f"/api/v1/products/{sku}/demand")
        revenue_of_all_skus += sum(Decimal(str(t["revenue"])) for t in demand["totals"])
    assert revenue_of_all_skus == sum(map(paid, everything))

    stats = await full.get("/api/v1/stats")
    assert sum(s["orders"] for s in stats["sales"]) == ORDERS
    assert sum(d["orders"] for d in stats["days"]) == ORDERS
    revenue = sum(Decimal(str(s["revenue"])) for s in stats["sales"])
    assert revenue == sum(map(paid, everything))
    confirmed = sum(order["status"] in {"CONFIRMED", "SHIPPED", "DELIVERED"} for order in everything)
    assert sum(s["confirmed"] for s in stats["sales"]) == confirmed
    assert stats["sagas"] == {"RUNNING": 0, "COMPENSATING": 0, "FAILED": 0}


async def test_a_customer_without_orders_and_a_sku_never_ordered_are_not_found(full: QueryApi) -> None:
    await full.get("/api/v1/customers/nobody/summary", 404)
    await full.get("/api/v1/products/SKU-999/demand", 404)
