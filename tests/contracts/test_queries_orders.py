"""Queries, the part that lists and counts orders: every filter, in every sort, page by page in both directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any, cast, get_args
from uuid import UUID

import asyncpg
import msgspec
import pytest
from msgspec.structs import fields, replace

from core import codec
from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.lanes import opened_with
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.read_models import order_counts, order_pages, order_statements
from core.domain.payment import PaymentStatus
from core.errors import Unavailable
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import DocumentPage, OrderCount, OrderSearch, OrderSort
from core.ports.queries import Queries
from core.projections.order_view import OrderView
from tests.support.opener import Opener
from tests.support.orders import Sample, order_id, write
from tests.support.projecting import project
from tests.support.query_api import database

ORDERS = 40
LOG = Sample(ORDERS, payments=True).events()
NINE_PAST = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
CHANGED = sorted(event.recorded_at for event in LOG)[len(LOG) // 2]


# Order, status, failed tries, whether it is due for a minute, open money.
SAGAS_OF_ORDERS = (
    (1, "FAILED", 3, False, Decimal("129.00")),
    (2, "RUNNING", 0, True, Decimal(0)),
    (3, "COMPENSATING", 2, False, None),
    (4, "RUNNING", 0, False, Decimal("12.50")),
    (5, "COMPLETED", 0, False, Decimal(0)),
    (6, "RUNNING", 1, False, Decimal(7)),
    (6, "FAILED", 1, False, Decimal(5)),
)
SAGA_OF_ORDER = """
INSERT INTO sagas (saga_id, name, definition, order_id, status, step, attempts, epoch, claims, due_at, started_at,
                   updated_at, open_amount, currency)
VALUES (gen_random_uuid(), 'sample', 1, $1, $2, 's', $3, 1, 0,
        now() + CASE WHEN $4 THEN interval '-1 min' ELSE interval '1 h' END, now(), now(), $5, 'EUR')
"""


@pytest.fixture(scope="module")
async def full(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Queries]:
    async with database(postgres, template, "queries_of_order_lists") as dsn:
        opener = lambda: connect(dsn, name="test")  # noqa: E731 - as the fixture of this name
        await write(dsn, LOG)
        await project(opener)
        connection = await asyncpg.connect(dsn)
        for number, *facts in SAGAS_OF_ORDERS:
            await connection.execute(SAGA_OF_ORDER, order_id(number), *facts)
        await connection.close()
        queries = PostgresQueries(opener)
        yield queries
        queries.close()


@pytest.fixture(scope="module")
async def everything(full: Queries) -> list[OrderView]:
    return listed(await full.orders(OrderSearch(filter=OrderQuery(), limit=ORDERS)))


TROUBLED = {
    order_id(1): ("failed", Decimal("129.00")),
    order_id(2): ("overdue", Decimal(0)),
    order_id(3): ("retrying", None),
    order_id(6): ("failed", Decimal(5)),
}
NOWHERE = (datetime(2000, 1, 1, tzinfo=UTC), UUID(int=0))  # after the oldest order


def listed(page: DocumentPage) -> list[OrderView]:
    return msgspec.json.decode(page.json, type=list[OrderView])


def skus(order: OrderView) -> set[str]:
    return {str(item.sku) for item in order.items}


Fits = Callable[[OrderView], bool]
EACH_FIELD: Mapping[str, tuple[Any, Fits]] = {
    "order_id": ((order_id(3), order_id(9)), lambda order: order.order_id in (order_id(3), order_id(9))),
    "order_number": (("ORD-0000000003", "ORD-1"), lambda order: order.order_number == "ORD-0000000003"),
    "status": (("CONFIRMED", "CREATED"), lambda order: order.status in ("CONFIRMED", "CREATED")),
    "not_status": (("CONFIRMED", "CREATED"), lambda order: order.status not in ("CONFIRMED", "CREATED")),
    "payment": (("PARTLY_REFUNDED",), lambda order: order.payment_status is PaymentStatus.PARTLY_REFUNDED),
    "not_payment": (("PARTLY_REFUNDED",), lambda order: order.payment_status is not PaymentStatus.PARTLY_REFUNDED),
    "customer_id": (("customer-3", "customer-4"), lambda order: order.customer_id in ("customer-3", "customer-4")),
    "not_customer_id": (("customer-3",), lambda order: order.customer_id != "customer-3"),
    "sku": (("SKU-004", "SKU-005"), lambda order: bool(skus(order) & {"SKU-004", "SKU-005"})),
    "not_sku": (("SKU-004", "SKU-005"), lambda order: not skus(order) & {"SKU-004", "SKU-005"}),
    "currency": (("EUR",), lambda order: order.currency == "EUR"),
    "not_currency": (("EUR", "CHF"), lambda order: order.currency != "EUR"),
    "saga": (("stuck",), lambda order: order.order_id in (order_id(1), order_id(2), order_id(6))),
    "min_total": (Decimal(300), lambda order: order.total_amount >= 300),
    "max_total": (Decimal(300), lambda order: order.total_amount <= 300),
    "created_from": (NINE_PAST, lambda order: order.created_at >= NINE_PAST),
    "created_to": (NINE_PAST, lambda order: order.created_at < NINE_PAST),
    "updated_from": (CHANGED, lambda order: order.updated_at >= CHANGED),
    "updated_to": (CHANGED, lambda order: order.updated_at < CHANGED),
    "q": ("1Z0000", lambda order: (order.tracking_number or "").startswith("1Z0000")),
}
SEVERAL_FIELDS: list[tuple[dict[str, Any], Fits]] = [
    ({}, lambda _: True),
    (
        {"status": ("SHIPPED", "DELIVERED"), "payment": ("CAPTURED", "REFUNDED", "UNPAID")},
        lambda o: o.status in ("SHIPPED", "DELIVERED") and o.payment_status in ("CAPTURED", "REFUNDED", "UNPAID"),
    ),
    (
        {"not_status": ("CANCELLED",), "sku": ("SKU-004",), "customer_id": ("customer-1", "customer-2")},
        lambda o: o.status != "CANCELLED" and "SKU-004" in skus(o) and o.customer_id in ("customer-1", "customer-2"),
    ),
    ({"saga": ("failed",)}, lambda order: order.order_id in (order_id(1), order_id(6))),
    ({"saga": ("overdue", "retrying")}, lambda order: order.order_id in map(order_id, (2, 3, 6))),
    ({"saga": ("open",)}, lambda order: order.order_id in map(order_id, (1, 4, 6))),
    ({"saga": ("open",), "max_total": Decimal(-1)}, lambda _: False),
    ({"status": ("CREATED",), "not_status": ("CREATED",)}, lambda _: False),
    ({"q": str(order_id(7))}, lambda order: order.order_id == order_id(7)),
    ({"q": "ord-000000001"}, lambda order: order.order_number.startswith("ORD-000000001")),
    ({"q": "SKU-004"}, lambda order: "SKU-004" in skus(order)),
    ({"min_total": Decimal(100), "max_total": Decimal(600)}, lambda o: 100 <= o.total_amount <= 600),
    (
        {"min_total": Decimal(9), "max_total": Decimal(600), "currency": ("EUR",)},
        lambda o: o.total_amount <= 600 and o.currency == "EUR",
    ),
]
FILTERS = [*({name: value} for name, (value, _) in EACH_FIELD.items()), *(criteria for criteria, _ in SEVERAL_FIELDS)]
FITS = [*(fits for _, fits in EACH_FIELD.values()), *(fits for _, fits in SEVERAL_FIELDS)]


def test_each_field_of_a_filter_is_tried() -> None:
    assert EACH_FIELD.keys() == {field.name for field in fields(OrderQuery)}


@pytest.mark.parametrize("number", range(len(FILTERS)), ids=map(str, FILTERS))
async def test_a_filter_keeps_the_orders_that_match_it_and_counts_them(
    full: Queries, everything: list[OrderView], number: int
) -> None:
    fits = OrderQuery(**FILTERS[number])
    expected = [order for order in everything if FITS[number](order)]
    assert number >= len(EACH_FIELD) or 0 < len(expected) < ORDERS
    page = await full.orders(OrderSearch(filter=fits, limit=ORDERS))
    assert (listed(page), page.size) == (expected, len(expected))
    newest = await full.newest_orders(fits, offset=1, limit=2)
    assert listed(newest) == expected[1:3]
    count = await full.count_orders(fits)
    assert (count.total, count.estimated) == (len(expected), False)
    counts = await full.count_orders_by_status(fits)
    assert counts.total == count
    statuses = Counter(str(order.status) for order in expected)
    payments = Counter(str(order.payment_status) for order in expected)
    assert {name: n.total for name, n in counts.statuses.items() if n.total} == statuses
    assert {name: n.total for name, n in counts.payments.items() if n.total} == payments
    assert len(counts.statuses) == 5
    assert len(counts.payments) == len(PaymentStatus)


async def test_an_order_of_a_list_says_which_trouble_its_saga_makes_and_how_much_money_is_open(full: Queries) -> None:
    page = await full.orders(OrderSearch(filter=OrderQuery(), limit=ORDERS))
    troubled = {
        UUID(order["order_id"]): (order["saga_state"], order["open_amount"])
        for order in codec.parse(page.json)
        if "saga_id" in order
    }
    assert troubled == TROUBLED
    assert b'"open_amount":0.00}' in page.json
    last = OrderSearch(filter=OrderQuery(order_id=(*TROUBLED, order_id(7))), backwards=True, start=NOWHERE)
    assert [order.get("saga_state") for order in codec.parse((await full.orders(last)).json)] == [
        TROUBLED[one.order_id][0] if one.order_id in TROUBLED else None for one in listed(await full.orders(last))
    ]
    assert "saga_id" not in str(await full.orders(OrderSearch(filter=OrderQuery(), limit=ORDERS, troubles=False)))


@pytest.mark.parametrize(("longest_walk", "most_looked_up"), [(0, 1_000), (3, 0), (1_000, 0)])
async def test_every_page_is_right_whether_its_orders_are_walked_to_or_looked_up(
    full: Queries, everything: list[OrderView], longest_walk: int, most_looked_up: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in ("MOST_PROBED", "MOST_IN_RANGE"):
        monkeypatch.setattr(order_statements, most, longest_walk)
    for way in order_statements.LONGEST.keys() - {"far"}:
        monkeypatch.setitem(order_statements.LONGEST, way, longest_walk)
    monkeypatch.setattr(order_pages, "MOST_LOOKED_UP", most_looked_up)
    for criteria, fits in zip(FILTERS, FITS, strict=True):
        for sort in get_args(OrderSort):
            wanted = [order.order_id for order in in_order(everything, sort) if fits(order)]
            search = OrderSearch(filter=OrderQuery(**criteria), sort=sort, limit=7)
            pages = [await full.orders(search)]
            while pages[-1].more:
                pages.append(await full.orders(replace(search, start=pages[-1].last)))
            assert [order.order_id for page in pages for order in listed(page)] == wanted, (criteria, sort)
            if len(pages) > 1:
                back = await full.orders(replace(search, start=pages[1].first, backwards=True))
                assert back == replace(pages[0], more=False), (criteria, sort)


@pytest.mark.parametrize("status", [(), ("CONFIRMED", "SHIPPED")])
async def test_a_page_that_begins_outside_of_its_range_has_the_range_from_its_end_on(
    full: Queries, everything: list[OrderView], status: tuple[str, ...]
) -> None:
    by_time, by_total = in_order(everything, "created_at"), in_order(everything, "total_amount")
    early, late = by_time[10], by_time[30]
    cheap, dear = by_total[10], by_total[30]
    times = {"created_from": early.created_at, "created_to": late.created_at}
    totals = {"min_total": cheap.total_amount, "max_total": dear.total_amount}
    for sort, range_, orders in (
        ("created_at", times, [o for o in by_time if early.created_at <= o.created_at < late.created_at]),
        ("total_amount", totals, [o for o in by_total if cheap.total_amount <= o.total_amount <= dear.total_amount]),
    ):
        wanted = [order for order in orders if not status or order.status in status]
        values = [getattr(in_order(everything, sort)[n], sort) for n in (0, 10, 30, -1)]
        for start in product(values, (UUID(int=0), UUID(int=2**128 - 1))):
            after = [order for order in wanted if (getattr(order, sort), order.order_id) > start]
            before = [order for order in wanted if (getattr(order, sort), order.order_id) < start]
            for signed, expected in ((sort, after), (f"-{sort}", before[::-1])):
                fits = replace(OrderQuery(status=status), **range_)
                search = OrderSearch(filter=fits, sort=cast("OrderSort", signed), start=start, limit=ORDERS)
                page, count = await full.counted_orders(search)
                assert listed(page) == expected
                assert count == OrderCount(len(wanted), estimated=False)


def in_order(orders: list[OrderView], sort: str) -> list[OrderView]:
    column = sort.removeprefix("-")
    return sorted(orders, key=lambda order: (getattr(order, column), order.order_id), reverse=sort.startswith("-"))


async def test_statuses_that_are_too_many_to_count_are_estimated_and_the_few_are_exact(
    full: Queries, everything: list[OrderView], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_counts, "EXACT_BELOW", 10)
    monkeypatch.setattr(order_counts, "EXACT_BELOW_IN_STATUS", 8)
    assert (await full.count_orders_by_status(OrderQuery())).total == OrderCount(ORDERS, estimated=False)  # from a sum
    counts = await full.count_orders_by_status(OrderQuery(max_total=Decimal(10_000)))
    assert counts.total.estimated
    for counted, real in (
        (counts.statuses, Counter(str(order.status) for order in everything)),
        (counts.payments, Counter(str(order.payment_status) for order in everything)),
    ):
        assert {n.estimated for n in counted.values()} == {True, False}
        for name, count in counted.items():
            assert (count.total >= 8) if count.estimated else (count.total == real[name] <= 8), name
    monkeypatch.setattr(order_counts, "LITTLE_WORK", 0)
    counts = await full.count_orders_by_status(OrderQuery(not_status=("CREATED",)))
    assert all(count.estimated for name, count in counts.statuses.items() if name != "CREATED")
    assert counts.statuses["CREATED"].total == 0


async def test_a_page_says_where_it_begins_and_ends_and_whether_there_is_more(full: Queries) -> None:
    everything = await full.orders(OrderSearch(filter=OrderQuery(), limit=ORDERS))
    search = OrderSearch(filter=OrderQuery(), limit=15)
    first = await full.orders(search)
    second = await full.orders(replace(search, start=first.last))
    third = await full.orders(replace(search, start=second.last))
    assert [first.more, second.more, third.more] == [True, True, False]
    assert [*listed(first), *listed(second), *listed(third)] == listed(everything)
    assert await full.orders(replace(search, start=second.first, backwards=True)) == replace(first, more=False)
    nothing = await full.orders(replace(search, start=third.last))
    assert nothing == DocumentPage(json=b"[]", size=0, first=None, last=None, more=False)


async def test_a_list_that_a_lock_keeps_waiting_is_an_outage_and_the_next_one_is_read(opener: Opener, dsn: str) -> None:
    queries = PostgresQueries(lambda: opened_with(opener, "lock_timeout = '100ms'"))
    blocker = await asyncpg.connect(dsn)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE order_views")
        with pytest.raises(Unavailable):
            await queries.count_orders_by_status(OrderQuery())
    assert (await queries.count_orders_by_status(OrderQuery())).total.total == 0
    await blocker.close()
    queries.close()


async def test_the_money_that_is_authorised_and_not_captured_is_added_up_by_currency(
    full: Queries, everything: list[OrderView]
) -> None:
    waiting = [order for order in everything if order.payment_status is PaymentStatus.AUTHORIZED]
    sums = {currency: Decimal(0) for currency in {order.currency for order in waiting}}
    for order in waiting:
        sums[order.currency] += order.total_amount
    assert waiting
    assert await full.authorised_money(most=ORDERS) == sums
    assert sum((await full.authorised_money(most=1)).values()) in {order.total_amount for order in waiting}
