"""The filter language and the query API agree on every order: what a text takes is what the API answers for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.postgres.embedded import EmbeddedPostgres
from core.domain.message import payment_of
from core.filters.order_language import parse
from core.filters.order_query import OrderQuery
from core.filters.words import FilterError, quoted
from core.projections.order_view import OrderView
from tests.support.orders import NOW, Sample, order_id, write
from tests.support.query_api import QueryApi, database, query_api
from tests.support.strategies import EVERY_HEALTH_CHECK

ORDERS = 40
LATER = NOW + timedelta(minutes=ORDERS)


@pytest.fixture(scope="module")
async def full(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueryApi]:
    home = tmp_path_factory.mktemp("language")
    async with database(postgres, template, "filter_language") as dsn, query_api(dsn, home) as api:
        await write(dsn, Sample(ORDERS, payments=True).events())
        await api.project()
        yield api


def list_of(values: Any, negatable: str, field: str) -> Any:
    words = st.lists(values, min_size=1, max_size=3, unique=True).map(lambda some: ",".join(map(quoted, some)))
    return st.builds("{}{}:{}".format, st.sampled_from(negatable.split("|")), st.just(field), words)


def times(field: str) -> Any:
    moments = st.integers(-3, ORDERS + 3).map(lambda n: (NOW + timedelta(minutes=n)).isoformat())
    places = st.sampled_from(["today", "yesterday", "2026-03-14", "2026-03-15", "2026-03", "2026-02"]) | moments
    compared = st.builds("{}{}{}".format, st.just(field), st.sampled_from([">", "<", ">=", "<=", ":"]), places)
    return compared | st.builds("{}:{}..{}".format, st.just(field), places, places)


STATUSES = st.sampled_from(["created", "CONF", "shipped", "delivered", "cancelled"])
PAYMENTS = st.sampled_from(["absent", "auth", "captured", "unpaid", "voided", "part", "refunded", "failed"])
CUSTOMERS = st.integers(0, 8).map("customer-{}".format) | st.sampled_from(["customer", "Customer-3", 'a "b", c'])
SKUS = st.integers(1, 11).map("SKU-{:03d}".format) | st.sampled_from(["SKU", "sku-004"])
AMOUNTS = st.decimals(0, 900, places=2).map("{:f}".format)
NUMBERS = st.integers(1, ORDERS + 3).map("ORD-{:010d}".format)
SIGNS = st.sampled_from([">", ">=", "<", "<=", ":"])
FREE = st.sampled_from(
    ["ord-", "ORD-000000000", "ord-0000000003", "ORD-0000000003", "1Z", "1z", "1Z0001", "SKU-004", "SKU-00", "%", "_",
     "\\", "\u017fku-004", "\u0131Z", "é", str(order_id(3)), str(order_id(3)).upper(), str(order_id(99)),
     str(payment_of(order_id(2)))]
).map(quoted)  # fmt: skip
WORDS = (
    list_of(STATUSES, "|-", "status")
    | list_of(PAYMENTS, "|-", "payment")
    | list_of(CUSTOMERS, "|-", "customer")
    | list_of(SKUS, "|-", "sku")
    | list_of(st.sampled_from(["USD", "eur", "JPY"]), "|-", "currency")
    | list_of(NUMBERS, "", "order")
    | list_of(st.integers(1, ORDERS + 3).map(lambda n: str(order_id(n))), "", "order")
    | st.builds("{}:{}".format, st.sampled_from(["min", "max"]), AMOUNTS)
    | st.builds("total{}{}".format, SIGNS, AMOUNTS)
    | st.builds("{}{}{}m".format, st.sampled_from(["age", "idle"]), SIGNS, st.integers(0, 2 * ORDERS))
    | times("created")
    | times("updated")
    | FREE
)


async def test_the_language_and_the_query_api_agree_on_every_order(full: QueryApi) -> None:
    orders = await listed(full.client, OrderQuery())
    assert len(orders) == ORDERS
    await asyncio.to_thread(agree, orders, full.url)


def agree(orders: list[OrderView], url: str) -> None:
    asked = unknown = 0
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:

        @settings(
            max_examples=250, derandomize=True, database=None, deadline=None, suppress_health_check=EVERY_HEALTH_CHECK
        )
        @given(words=st.lists(WORDS, min_size=1, max_size=3), now=st.sampled_from([LATER, NOW + timedelta(minutes=9)]))
        def try_filter(words: list[str], now: datetime) -> None:
            nonlocal asked, unknown
            try:
                query = parse(" ".join(words), now)
            except FilterError:
                return
            answer = client.get("/api/v1/orders", params={**query.params(), "limit": 100})
            assert answer.status_code == 200, answer.text
            ids = {order["order_id"] for order in answer.json()["orders"]}
            for order in orders:
                taken = query.takes(order)
                if taken is None:
                    unknown += 1
                else:
                    assert taken == (str(order.order_id) in ids), (words, order.order_number)
                asked += 1
            among = query.among([str(order.order_id) for order in orders[:5]])
            some = client.get("/api/v1/orders", params={**among.params(), "limit": 100}).json()["orders"]
            assert {order["order_id"] for order in some} == ids & {str(order.order_id) for order in orders[:5]}

        try_filter()
    assert asked > 3_000
    assert 0 < unknown < asked / 5


async def listed(client: httpx.AsyncClient, query: OrderQuery) -> list[OrderView]:
    answer = await client.get("/api/v1/orders", params={**query.params(), "limit": 100})
    return msgspec.json.decode(msgspec.json.encode(answer.json()["orders"]), type=list[OrderView])
