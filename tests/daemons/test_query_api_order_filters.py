"""Filters of orders over HTTP: what each parameter keeps, how many orders that are, and how they are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.message import payment_of
from tests.support.orders import Sample, order_id, write
from tests.support.query_api import QueryApi, database, query_api

ORDERS = 60


@pytest.fixture(scope="module")
async def full(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueryApi]:
    home = tmp_path_factory.mktemp("filters")
    async with database(postgres, template, "filters_of_orders") as dsn, query_api(dsn, home) as api:
        await write(dsn, Sample(ORDERS, payments=True).events())
        await api.project()
        yield api


@pytest.mark.parametrize(
    ("asked", "keeps"),
    [
        ({"status": "confirmed"}, lambda o: o["status"] == "CONFIRMED"),
        ({"status": ["confirmed", "CREATED"]}, lambda o: o["status"] in ("CONFIRMED", "CREATED")),
        ({"status": "confirmed, created"}, lambda o: o["status"] in ("CONFIRMED", "CREATED")),
        ({"not_status": ["confirmed", "CREATED"]}, lambda o: o["status"] not in ("CONFIRMED", "CREATED")),
        ({"not_payment": "captured,ABSENT"}, lambda o: o["payment_status"] not in ("CAPTURED", "ABSENT")),
        ({"customer_id": "customer-3"}, lambda o: o["customer_id"] == "customer-3"),
        ({"customer_id": ["customer-3", "nobody"]}, lambda o: o["customer_id"] == "customer-3"),
        ({"customer_id": "customer-3,nobody"}, lambda _: False),
        ({"not_customer_id": "customer-3"}, lambda o: o["customer_id"] != "customer-3"),
        ({"sku": "SKU-004"}, lambda o: "SKU-004" in [i["sku"] for i in o["items"]]),
        ({"not_sku": ["SKU-004", "SKU-005"]}, lambda o: not {"SKU-004", "SKU-005"} & {i["sku"] for i in o["items"]}),
        ({"currency": "eur"}, lambda o: o["currency"] == "EUR"),
        ({"order_id": [str(order_id(n)) for n in range(100)]}, lambda _: True),
        ({"order_id": [str(order_id(7))], "status": "SHIPPED"}, lambda _: False),
        (
            {"order_number": "ord-0000000007,ORD-0000000008"},
            lambda o: o["order_number"] in ("ORD-0000000007", "ORD-0000000008"),
        ),
        ({"q": str(order_id(7)).upper()}, lambda o: o["order_id"] == str(order_id(7))),
        ({"q": str(payment_of(order_id(2)))}, lambda o: o["order_id"] == str(order_id(2))),
        ({"min_total": "500", "max_total": "900.50"}, lambda o: 500 <= o["total_amount"] <= 900.5),
        ({"min_total": "500.001", "max_total": "999999999999.999"}, lambda o: o["total_amount"] >= 500.001),
        (
            {"created_from": "2026-03-14T15:10:00Z", "created_to": "2026-03-14T16:20:00+01:00"},
            lambda o: "2026-03-14T15:10" <= o["created_at"] < "2026-03-14T15:20",
        ),
        ({"q": "ord-000000001"}, lambda o: o["order_number"].startswith("ORD-000000001")),
        ({"q": "SKU-004"}, lambda o: "SKU-004" in [i["sku"] for i in o["items"]]),
        ({"q": "1Z0001"}, lambda o: (o["tracking_number"] or "").startswith("1Z0001")),
        ({"q": "%"}, lambda _: False),
        ({"q": "___-"}, lambda _: False),
        (
            {"status": "DELIVERED", "customer_id": "customer-3"},
            lambda o: o["status"] == "DELIVERED" and o["customer_id"] == "customer-3",
        ),
    ],
)
async def test_a_filter_keeps_the_orders_that_match_and_they_are_counted(
    full: QueryApi, asked: dict[str, str], keeps: Any
) -> None:
    everything = (await full.get("/api/v1/orders", limit=100))["orders"]
    answer = await full.get("/api/v1/orders", limit=100, **asked)
    assert answer["orders"] == [order for order in everything if keeps(order)]
    assert (answer["total"], answer["total_estimated"]) == (len(answer["orders"]), False)
    counts = await full.get("/api/v1/orders/counts", **asked)
    assert counts["total"] == {"total": len(answer["orders"]), "estimated": False}
    statuses = {name: count["total"] for name, count in counts["statuses"].items() if count["total"]}
    payments = {name: count["total"] for name, count in counts["payments"].items() if count["total"]}
    assert statuses == Counter(order["status"] for order in answer["orders"])
    assert payments == Counter(order["payment_status"] for order in answer["orders"])


async def test_a_total_beyond_counting_is_an_estimate_and_says_so(
    full: QueryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "core.adapters.postgres.read_models.order_counts"
    monkeypatch.setattr(f"{module}.EXACT_BELOW", 10)
    answer = await full.get("/api/v1/orders", limit=1, max_total="100000")
    assert answer["total_estimated"] is True
    assert answer["total"] >= 10
    answer = await full.get("/api/v1/orders", limit=1)
    assert answer["total_estimated"] is False, "a sum knows how many orders there are in all"


async def test_an_order_that_comes_in_between_does_not_make_the_total_differ_from_the_only_page(
    full: QueryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "core.adapters.postgres.read_models.order_counts.COUNT", "SELECT 99 FROM order_views WHERE {where} LIMIT 1"
    )
    for path, asked in (("orders", {"sku": "SKU-004"}), ("customers/customer-3/orders", {"offset": 1})):
        answer = await full.get(f"/api/v1/{path}", limit=100, **asked)
        assert answer["total"] == len(answer["orders"]) + answer.get("offset", 0) > 0
