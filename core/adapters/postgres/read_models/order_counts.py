"""Counts orders without reading many: exactly from sums or while they are few, and else by the planner's estimate.

Estimates are shared by all who ask for the same within two seconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.one_sight import one_sight
from core.adapters.postgres.read_models.order_conditions import (
    NAMES,
    conditions_of,
    together,
    without_negated_statuses,
)
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import OrderCount, OrderCounts
from core.projections.customer_summary import CUSTOMER_SUMMARY
from core.projections.daily_sales import DAILY_SALES
from core.projections.order_view import ORDER_VIEW

EXACT_BELOW = 10_000
"""Up to this number, the orders that fit are counted. If there are more, their number is the planner's estimate."""

EXACT_BELOW_IN_STATUS = 1_000
"""The same for each of the thirteen statuses of orders and payments, if counting it is little work."""

LITTLE_WORK = 20_000
"""In the planner's units: about 50 ms."""

ESTIMATES_LAST = 2.0  # seconds
MOST_ESTIMATES = 1_000

COUNT = "SELECT count(*) FROM (SELECT FROM order_views WHERE {where} LIMIT {most} + 1) AS counted"
BY_STATUS = "SELECT status, payment_status, count(*) FROM order_views WHERE {where} GROUP BY 1, 2"
EXPECTED = "EXPLAIN (FORMAT json) SELECT FROM order_views WHERE {where}"
SUM = "(SELECT coalesce(sum(orders), 0)::bigint FROM {table} WHERE {where})"

SUMS: Sequence[tuple[str, frozenset[str], frozenset[str]]] = (
    (CUSTOMER_SUMMARY.name, frozenset({"customer_id"}), frozenset({"currency", "not_currency"})),
    (DAILY_SALES.name, frozenset(), frozenset({"currency", "not_currency"})),
)
"""Sums that know how many orders fit: of each the table, the fields that a filter has to have, and those it may have.

They are saved together with the orders, so they are exact at any moment. Their columns have the names of the orders'.
"""

TABLES = (ORDER_VIEW.name, *(table for table, _, _ in SUMS))
"""What a page and its count are read from, in the order in which everybody locks them."""


class Estimates:
    """The last estimate for each filter. Whether orders come or go, an estimate need not be made for each page."""

    def __init__(self) -> None:
        self._counts: dict[OrderQuery, tuple[float, OrderCount]] = {}  # with the moment of each, the oldest first

    def find(self, fits: OrderQuery) -> OrderCount | None:
        at, count = self._counts.get(fits, (0.0, None))
        return count if time.monotonic() - at < ESTIMATES_LAST else None

    def keep(self, fits: OrderQuery, count: OrderCount) -> None:
        self._counts.pop(fits, None)
        if len(self._counts) >= MOST_ESTIMATES:
            del self._counts[next(iter(self._counts))]
        self._counts[fits] = time.monotonic(), count


def summed(fits: OrderQuery) -> str | None:
    """SQL for the number of orders that fit, if sums know it. Its parameters are those of `conditions_of`."""
    conditions, _ = conditions_of(fits)
    for table, needed, allowed in SUMS:
        if needed <= conditions.keys() <= needed | allowed:
            return SUM.format(table=table, where=together([*conditions.values()]))
    return None


async def count_orders(connection: Connection, fits: OrderQuery, estimates: Estimates) -> OrderCount:
    conditions, values = conditions_of(fits)
    if (total := summed(fits)) is not None:
        return OrderCount(int(await connection.fetchval(f"SELECT {total}", *values)), estimated=False)
    if (count := estimates.find(fits)) is None:
        count = await _counted(connection, together([*conditions.values()]), values, EXACT_BELOW)
        if count.estimated:
            estimates.keep(fits, count)
    return count


async def count_orders_by_status(connection: Connection, fits: OrderQuery, estimates: Estimates) -> OrderCounts:
    async with one_sight(connection, *TABLES):
        return await _count_by_status(connection, fits, estimates)


async def _count_by_status(connection: Connection, fits: OrderQuery, estimates: Estimates) -> OrderCounts:
    total = await count_orders(connection, fits, estimates)
    if total.estimated or total.total > EXACT_BELOW:
        statuses, payments = [await _each(connection, fits, field) for field in NAMES]
        return OrderCounts(total=total, statuses=statuses, payments=payments)
    conditions, values = conditions_of(fits)
    rows = await connection.fetch(BY_STATUS.format(where=together([*conditions.values()])), *values)
    statuses, payments = [_summed([(row[n], row[2]) for row in rows], names) for n, names in enumerate(NAMES.values())]
    return OrderCounts(
        total=OrderCount(sum(row[2] for row in rows), estimated=False), statuses=statuses, payments=payments
    )


async def expected(connection: Connection, where: str, values: Sequence[Any]) -> tuple[int, float]:
    """How many orders fit, as the planner guesses it, and how much work it is to read them all."""
    plan = msgspec.json.decode(await connection.fetchval(EXPECTED.format(where=where), *values))[0]["Plan"]
    return int(plan["Plan Rows"]), float(plan["Total Cost"])


async def _counted(connection: Connection, where: str, values: Sequence[Any], most: int) -> OrderCount:
    total = int(await connection.fetchval(COUNT.format(where=where, most=most), *values))
    if total <= most:
        return OrderCount(total, estimated=False)
    guess, _ = await expected(connection, where, values)
    return OrderCount(max(most, guess), estimated=True)


async def _each(connection: Connection, fits: OrderQuery, field: str) -> Mapping[str, OrderCount]:
    """The count of each status by itself, so that a status of few orders is counted exactly among a million others."""
    fits = without_negated_statuses(fits)
    wanted = getattr(fits, field) or NAMES[field]
    counts = {name: OrderCount(0, estimated=False) for name in NAMES[field]}
    for name in counts.keys() & {*wanted}:
        conditions, values = conditions_of(replace(fits, **{field: (name,)}))
        where = together([*conditions.values()])
        guess, work = await expected(connection, where, values)
        counts[name] = (
            await _counted(connection, where, values, EXACT_BELOW_IN_STATUS)
            if work <= LITTLE_WORK
            else OrderCount(guess, estimated=True)
        )
    return counts


def _summed(counts: Sequence[tuple[str, int]], names: Sequence[str]) -> Mapping[str, OrderCount]:
    sums = Counter[str]()
    for name, count in counts:
        sums[name] += count
    return {name: OrderCount(sums[name], estimated=False) for name in names}
