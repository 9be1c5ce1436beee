"""Counts of orders that are kept: exact ones hold until an order changes, and only so many are kept."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.read_models import order_counts
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import OrderCount, OrderSearch
from core.projections.order_view import OrderView
from tests.support.opener import Opener
from tests.support.orders import Sample, write
from tests.support.projecting import project

ORDERS = 30


async def test_a_known_count_is_exact_at_once_when_an_order_has_changed(dsn: str, opener: Opener) -> None:
    queries, log, done = PostgresQueries(opener), Sample(ORDERS, payments=True).events(), 0
    for part in (len(log) // 2, len(log)):
        await write(dsn, log[done:part])
        await project(opener)
        done = part
        page = await queries.orders(OrderSearch(filter=OrderQuery(), limit=ORDERS))
        everything = msgspec.json.decode(page.json, type=list[OrderView])
        for fits, n in (
            (OrderQuery(status=("CONFIRMED",)), sum(order.status == "CONFIRMED" for order in everything)),
            (OrderQuery(min_total=Decimal(200)), sum(order.total_amount >= 200 for order in everything)),
            (OrderQuery(), len(everything)),
        ):
            for _ in range(2):
                _, count = await queries.counted_orders(OrderSearch(filter=fits, limit=1))
                assert count == OrderCount(n, estimated=False)
    queries.close()


def test_counts_are_kept_for_a_bounded_number_of_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_counts, "MOST_COUNTS", 3)
    counts = order_counts.Counts()
    filters = [OrderQuery(customer_id=(str(n),), status=("CREATED",)) for n in range(5)]
    for fits in filters:
        counts.keep(fits, OrderCount(20_000, estimated=True))
    assert [counts.find(fits) is not None for fits in filters] == [False, False, True, True, True]
