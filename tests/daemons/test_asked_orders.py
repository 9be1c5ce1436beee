"""The query of a list of orders means the same to our own reading of it as to the framework's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery
from litestar.testing import TestClient

from core.filters.order_query import PAYMENT_STATUSES, STATUSES, OrderQuery
from core.ports.listed_orders import OrderSort
from daemons.http.problems import HANDLERS
from daemons.query_api.asked_orders import AskedOrders, asked_orders, order_search
from daemons.query_api.cursors import opaque
from daemons.query_api.orders import FILTER
from daemons.query_api.parameters import AnyRequest, CursorText, Limit, refuse_strange_parameters
from daemons.query_api.reads import AsOf, MinPosition, Reads

ID = "0195979f-3e40-7cc1-9d2e-000000000001"
CURSOR = opaque("-created_at", "next", ("2026-03-14T15:00:00+00:00", UUID(ID)))


class Readings:
    """What we read in the last query, and what the framework read in it, or None where it refused it."""

    def __init__(self) -> None:
        self.ours: AskedOrders | None = None
        self.theirs: AskedOrders | None = None
        self.as_of: str | None = None

    async def note_ours(self, request: AnyRequest) -> None:
        self.ours = self.theirs = self.as_of = None
        await refuse_strange_parameters(request)
        self.ours = asked_orders(request)


@pytest.fixture(scope="module")
def asking() -> Iterator[tuple[TestClient[Litestar], Readings]]:
    readings = Readings()

    def reads(min_position: MinPosition = None, as_of: AsOf = None) -> Any:
        readings.as_of = as_of
        return min_position

    @get("/", dependencies={"conditions": FILTER, "queries": Provide(reads, sync_to_thread=False)})
    async def orders(
        conditions: NamedDependency[OrderQuery],
        queries: Reads,
        sort: FromQuery[OrderSort] = "-created_at",
        cursor: CursorText = None,
        limit: Limit = 20,
    ) -> None:
        position: Any = queries
        readings.theirs = AskedOrders(order_search(conditions, sort, cursor, limit), position)

    app = Litestar([orders], before_request=readings.note_ours, exception_handlers=HANDLERS)
    with TestClient(app) as client:
        yield client, readings


def both(asking: tuple[TestClient[Litestar], Readings], query: str) -> Readings:
    client, readings = asking
    status = client.get(f"/?{query}").status_code
    assert status == (200 if readings.theirs else 400)
    return readings


@pytest.mark.parametrize(
    "query",
    [
        "",
        "limit=100&sort=updated_at&min_position=12",
        f"cursor={CURSOR}",
        "status=created,Shipped&status=CONFIRMED&not_payment=voided",
        f"order_id={ID},{ID}&order_number=ord-0000000001",
        f"order_id={','.join([ID] * 100)}&order_number={','.join(['ORD-9KYFYSQFCF'] * 100)}",
        f"sku={',%20'.join(['y' * 200] * 20)}&not_sku={','.join(['z' * 150] * 20)}",
        "min_total=0.5&max_total=1000&currency=eur&not_currency=JPY",
        "created_from=2026-03-14&created_to=2026-03-14T15:00&updated_from=2026-03-14T15:00:00%2B02:00",
        "created_to=2026-03-14T15:00:00+02:00",
        "customer_id=a,b&customer_id=%20c&not_customer_id=caf%C3%A9",
        "sku=SKU-001,%20SKU-002&q=ORD-1&saga=stuck",
    ],
)
def test_what_is_right_is_read_as_by_the_framework(asking: tuple[TestClient[Litestar], Readings], query: str) -> None:
    readings = both(asking, query)
    assert readings.ours is not None
    assert readings.ours == readings.theirs


@pytest.mark.parametrize(
    "query",
    [
        "colour=red", "limit=0", "limit=101", "limit=ten", "limit=5&limit=6", "limit=", "sort=name", "sort=",
        "cursor=", "cursor=abc", f"cursor={CURSOR}&sort=created_at", "min_position=-1", "min_position=1.5",
        "min_total=1e3", "min_total=-1", "min_total=5%0A", "min_total=", "q=", f"q={'x' * 101}", "q=%00",
        "status=LOST", "status=", "payment=PAID", "saga=lost", f"order_id={ID[:-1]}",
        f"order_id={','.join([ID] * 101)}", f"order_number={','.join(['ORD-9KYFYSQFCF'] * 101)}", f"sku={',' * 8000}",
        "created_from=yesterday", f"created_from={'1' * 41}",
        "customer_id=" + "&customer_id=".join("abcdefghijklmnopqrstu"),
        "sku=%FF", "sku=%01", "q=a&q=b", f"sku={'y' * 600}", "&".join(f"sku={n}" for n in range(401)),
    ],
)  # fmt: skip
def test_what_the_framework_refuses_is_left_to_it(asking: tuple[TestClient[Litestar], Readings], query: str) -> None:
    readings = both(asking, query)
    assert (readings.ours, readings.theirs) == (None, None)


def test_a_list_of_the_past_is_left_to_the_framework(asking: tuple[TestClient[Litestar], Readings]) -> None:
    readings = both(asking, "as_of=12&limit=5")
    assert readings.ours is None
    assert (readings.theirs is not None, readings.as_of) == (True, "12")


NAMES = st.sampled_from([
    "order_id", "status", "not_payment", "customer_id", "sku", "currency", "saga", "min_total", "max_total",
    "created_from", "updated_to", "q", "sort", "cursor", "limit", "min_position", "order_number",
])  # fmt: skip
TEXTS = st.sampled_from([
    ID, CURSOR, *STATUSES[:2], *PAYMENT_STATUSES[:2], *get_args(OrderSort)[:2], "EUR", "5", "05", "+5", "5.0", "1_000",
    "2026-03-14", "stuck", "", "+", "%2B", "a%2Cb", "a,b", ",", ";", "%", "%zz", "=", "true", "null", "100",
])  # fmt: skip


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=4))
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
def test_whatever_is_asked_is_read_as_by_the_framework_or_left_to_it(
    asking: tuple[TestClient[Litestar], Readings], pairs: list[tuple[str, str]]
) -> None:
    readings = both(asking, "&".join(f"{name}={text}" for name, text in pairs))
    assert readings.ours == readings.theirs
