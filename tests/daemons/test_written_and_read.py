"""What was written in an order or a receipt is found again under the same words, by every route that takes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.inventory import StockReplenished
from core.domain.message import Event, Sku
from core.domain.order import CARD, Item, OrderCreated, OrderShipped
from tests.support.orders import ADDRESS, NOW, order_id, write
from tests.support.query_api import QueryApi, database, query_api
from tests.support.stored_events import stored_events

CUSTOMERS = (
    "a/b", "/a", "a/", "a//b", "a%2Fb", "a%b", "a b", " a", "a ", "a;b=c", "..", ".", "../orders", "a?b", "a#b",
    "a&b=c", "a+b", "a\\b", "a\"b'c", "a,b", "a:b@c",
    "ünïcode", "東京/大阪", "محمد", "می\u200cخ", "👩\u200d👧", "a|b^c`d{e}", "<a>",
    "~", "*", "null", "true", "0", "%", "_", "%00", "orders", "summary", "a\u00a0b",
    "taken by an earlier release\u200b", "x" * 100,
)  # fmt: skip
SKUS = ("A_B", "A__B", "A.B", "A:B", "A-B", "0", "Ä_1", "日本_1", "ผ้า_2", "orders", "X" * 64)
TRACKINGS = (
    "1%2",
    "1_2",
    "1\\2",
    "%",
    "_",
    "\\",
    "a\\%",
    "1 2",
    "1/2",
    "日本_1",
    "'--",
    "a+b",
    "1;2",
    "Ä%",
    "a&b",
    "..",
)
DAYS = ("2026-03-13T23:59:59.999999", "2026-03-14T00:00:00", "2026-03-14T23:59:59.999999", "2026-03-15T00:00:00")


def orders() -> Sequence[Event]:
    """One order for each customer, with the SKUs and tracking numbers in turn, and one for each of DAYS."""
    events: list[Event] = []
    moments = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in DAYS]
    for n, customer in enumerate((*CUSTOMERS, *("day" for _ in DAYS)), 1):
        sku = SKUS[n % len(SKUS)]
        at = moments[n - len(CUSTOMERS) - 1] if n > len(CUSTOMERS) else NOW - timedelta(days=30)
        created = OrderCreated(
            order_id=order_id(n),
            customer_id=customer,
            order_number=f"ORD-{n:010}",
            items=(Item(product_id="p", sku=Sku(sku), quantity=1, unit_price=Decimal("1.00")),),
            total_amount=Decimal("1.00"),
            currency="USD",
            shipping_address=ADDRESS,
            payment_method=CARD,
            created_at=at,
        )
        tracking = TRACKINGS[n % len(TRACKINGS)]
        events += [created, OrderShipped(order_id=order_id(n), tracking_number=tracking, carrier="DHL", shipped_at=at)]
    return [*events, *(StockReplenished(sku=Sku(sku), quantity=7) for sku in SKUS)]


@pytest.fixture(scope="module")
async def api(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueryApi]:
    home: Path = tmp_path_factory.mktemp("words")
    async with database(postgres, template, "written_words") as dsn, query_api(dsn, home) as api:
        await write(dsn, stored_events(list(orders())))
        await api.project()
        yield api


async def found(api: QueryApi, path: str, **params: Any) -> list[dict[str, Any]]:
    answer: dict[str, Any] = await api.get(path, **params)
    return answer["orders"]


@pytest.mark.parametrize("customer", CUSTOMERS)
async def test_the_orders_of_a_customer_are_found_under_the_id_that_was_written(api: QueryApi, customer: str) -> None:
    place = f"/api/v1/customers/{quote(customer, safe='').replace('.', '%2E')}"
    for listed in (await found(api, f"{place}/orders"), await found(api, "/api/v1/orders", customer_id=customer)):
        assert [order["customer_id"] for order in listed] == [customer]
    summary = await api.get(f"{place}/summary")
    assert (summary["customer_id"], summary["orders"]) == (customer, 1)


async def test_a_sku_is_found_by_every_route_that_takes_one(api: QueryApi) -> None:
    for sku in SKUS:
        wanted = [order["order_id"] for order in await found(api, "/api/v1/orders", sku=sku, limit=100)]
        assert wanted
        searched = await found(api, "/api/v1/orders", q=sku, limit=100)
        assert set(wanted) == {
            o["order_id"] for o in searched if not o["tracking_number"].startswith(sku) or _has(o, sku)
        }
        assert (await api.get(f"/api/v1/inventory/{quote(sku, safe='')}"))["available"] == 7
        assert (await api.get(f"/api/v1/products/{quote(sku, safe='')}/demand"))["sku"] == sku
    listed: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await api.get("/api/v1/inventory", limit=1, **cursor)
        listed += [level["sku"] for level in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(listed) == sorted(SKUS)


async def test_a_tracking_number_is_found_by_its_start_and_its_signs_are_no_wildcards(api: QueryApi) -> None:
    everything = await found(api, "/api/v1/orders", limit=100)
    for tracking in TRACKINGS:
        for start in (tracking, tracking[:1]):
            wanted = [o["order_id"] for o in everything if o["tracking_number"].startswith(start) or _has(o, start)]
            listed = await found(api, "/api/v1/orders", q=start, limit=100)
            assert [order["order_id"] for order in listed] == wanted
            assert wanted


def _has(order: dict[str, Any], text: str) -> bool:
    return order["order_number"].startswith(text.upper()) or any(item["sku"] == text for item in order["items"])


async def test_another_unicode_form_of_a_word_finds_the_same(api: QueryApi) -> None:
    other = "u\u0308ni\u0308code"
    assert len(await found(api, "/api/v1/orders", customer_id=other)) == 1
    assert len(await found(api, f"/api/v1/customers/{quote(other)}/orders")) == 1
    assert (await api.get("/api/v1/inventory/" + quote("A\u0308_1")))["sku"] == "Ä_1"
    assert await found(api, "/api/v1/orders", q="A\u0308_1")


MOMENTS = [
    ({"created_from": "2026-03-14", "created_to": "2026-03-14"}, DAYS[1:3]),
    ({"created_from": "2026-03-14"}, DAYS[1:]),
    ({"created_from": "2026-03-13", "created_to": "2026-03-14"}, DAYS[:3]),
    ({"created_from": "2026-03-13", "created_to": "2026-03-13"}, DAYS[:1]),
    ({"created_from": "2026-03-14T00:00:00Z", "created_to": "2026-03-15T00:00:00Z"}, DAYS[1:3]),
    ({"created_from": "2026-03-14T00:00:00", "created_to": "2026-03-15T00:00"}, DAYS[1:3]),
    ({"created_from": "2026-03-14t00:00z", "created_to": "2026-03-15"}, DAYS[1:]),
    ({"created_from": "2026-03-14 00:00:00", "created_to": "9999-12-31"}, DAYS[1:]),
    ({"created_from": "2026-03-14T02:00:00+02:00", "created_to": "2026-03-14T19:00:00-05:00"}, DAYS[1:3]),
    ({"created_from": "2026-03-14T05:30:00.000000+05:30"}, DAYS[1:]),
    ({"created_from": "2026-03-15", "created_to": "2026-03-14"}, ()),
]


@pytest.mark.parametrize(("params", "days"), MOMENTS)
async def test_a_date_alone_is_that_whole_day_and_a_time_is_exact(
    api: QueryApi, params: dict[str, str], days: tuple[str, ...]
) -> None:
    listed = await found(api, "/api/v1/orders", customer_id="day", sort="created_at", **params)
    assert [order["created_at"].removesuffix("Z") for order in listed] == list(days)


async def test_a_plus_that_was_not_encoded_is_understood(api: QueryApi) -> None:
    answer = await api.client.get("/api/v1/orders?customer_id=day&created_from=2026-03-14T02:00:00+02:00")
    assert len(answer.json()["orders"]) == 3


@pytest.mark.parametrize(
    "text",
    ["2026-02-30", "2026-13-01", "14.03.2026", "03/14/2026", "20260314", "2026-3-14", "2026-W11-6", "today",
     "1773446400",
     "2026-03-14T25:00:00Z", "2026-03-14T00:60:00Z", "2026-03-14T00:00:00+99:00", "2026-03-14T", "2026-03", "2026",
     "-1",
     "2026-03-14T00:00:00 UTC", "0000-01-01", "10000-01-01", "٢٠٢٦-٠٣-١٤"],
)  # fmt: skip
async def test_what_is_no_date_and_no_time_is_refused_with_what_is_wanted(api: QueryApi, text: str) -> None:
    for name in ("created_from", "created_to"):
        answer = await api.get("/api/v1/orders", 400, **{name: text})
        assert [wrong["field"] for wrong in answer["errors"]] == [name]
        assert "such as 2026-03-14" in answer["error"]


async def test_categories_and_types_may_have_blanks_after_their_commas(api: QueryApi) -> None:
    answer = await api.get(
        "/api/v1/events", category="order, inventory", type="OrderCreated , StockReplenished", limit=999
    )
    assert len(answer["events"]) == len(CUSTOMERS) + len(DAYS) + len(SKUS)


async def test_a_path_that_is_no_utf8_or_holds_control_characters_is_told_so(api: QueryApi) -> None:
    for wrong in ("%00", "a%0Ab", "%C2%85", "%E2%80%A8", "%20"):
        answer = await api.get(f"/api/v1/customers/{wrong}/orders", 400)
        assert [each["field"] for each in answer["errors"]] == ["customer_id"]
