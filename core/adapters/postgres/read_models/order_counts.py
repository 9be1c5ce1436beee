"""Counts orders without reading many: exactly from sums or while they are few, and else by the planner's estimate.

A count is made once for all who ask for the same: an exact one holds until the read models change, an estimate for two
seconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from datetime import time as time_of_day
from typing import Any, NamedTuple, TypeVar

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
from core.projections import ORDERS
from core.projections.customer_summary import CUSTOMER_SUMMARY
from core.projections.daily_sales import DAILY_SALES
from core.projections.order_view import ORDER_VIEW

K = TypeVar("K")

EXACT_BELOW = 10_000
"""Up to this number, the orders that fit are counted. If there are more, their number is the planner's estimate."""

EXACT_BELOW_IN_STATUS = 1_000
"""The same for each of the thirteen statuses of orders and payments, if counting it is little work."""

LITTLE_WORK = 20_000
"""In the planner's units: about 50 ms."""

ESTIMATES_LAST = 2.0  # seconds
COUNTS_LAST = 60.0  # seconds, if nothing changes
MOST_COUNTS = 1_000

COUNT = "SELECT count(*) FROM (SELECT FROM order_views WHERE {where} LIMIT {most} + 1) AS counted"
BY_STATUS = "SELECT status, payment_status, count(*) FROM order_views WHERE {where} GROUP BY 1, 2"
EXPECTED = "EXPLAIN (FORMAT json) SELECT FROM order_views WHERE {where}"
SUM = "(SELECT coalesce(sum(orders), 0)::bigint FROM {table} WHERE {where})"

# What is the same as long as nothing of the orders has changed: the table itself, which a rebuild exchanges; the row
# that each save of a whole group changes; and the number of saves by each share of a group.
SEEN = f"""(SELECT concat_ws(' ', 'order_views'::regclass::oid::text,
                       (SELECT xmin::text FROM checkpoints WHERE reader = '{ORDERS.reader}'),
                       (SELECT sum(saves)::text FROM reader_shares WHERE reader = '{ORDERS.reader}')))"""

CURRENCIES = frozenset({"currency", "not_currency"})
DAYS = frozenset({"created_from", "created_to"})
SUMS: Sequence[tuple[str, frozenset[str], frozenset[str]]] = (
    (CUSTOMER_SUMMARY.name, frozenset({"customer_id"}), CURRENCIES),
    (DAILY_SALES.name, frozenset(), CURRENCIES | DAYS),
)
"""Sums that know how many orders fit: of each the table, the fields that a filter has to have, and those it may have.

They are saved together with the orders, so they are exact at any moment. Their columns have the names of the orders',
but for the day, which is known for ranges of whole days.
"""

TABLES = (ORDER_VIEW.name, *(table for table, _, _ in SUMS))
"""What a page and its count are read from, in the order in which everybody locks them."""


class Known(NamedTuple):
    """A count, when it was made, and for an exact one the SEEN of that moment."""

    at: float
    total: OrderCount
    seen: str | None


class Counts:
    """What was found out lately of each filter: the count, and which ways to its orders led nowhere."""

    def __init__(self) -> None:
        self._known: dict[OrderQuery, Known] = {}  # the oldest first
        self._common: dict[OrderQuery, float] = {}  # too many orders for a probe, with the moment, the oldest first
        self._sparse: dict[tuple[OrderQuery, str], float] = {}  # such a walk missed a page, likewise

    def find(self, fits: OrderQuery) -> Known | None:
        """The estimate of a filter, if it still holds, or the count, which holds if SEEN is what it was."""
        known = self._known.get(fits)
        lasts = ESTIMATES_LAST if known is not None and known.total.estimated else COUNTS_LAST
        return known if known is not None and time.monotonic() - known.at < lasts else None

    def keep(self, fits: OrderQuery, count: OrderCount, seen: str | None = None) -> None:
        self._known.pop(fits, None)
        _make_room(self._known)
        self._known[fits] = Known(time.monotonic(), count, seen)

    def is_common(self, fits: OrderQuery) -> bool:
        return time.monotonic() - self._common.get(fits, float("-inf")) < COUNTS_LAST

    def found_common(self, fits: OrderQuery) -> None:
        _note(self._common, fits)

    def is_sparse(self, fits: OrderQuery, way: str) -> bool:
        return time.monotonic() - self._sparse.get((fits, way), float("-inf")) < COUNTS_LAST

    def found_sparse(self, fits: OrderQuery, way: str) -> None:
        _note(self._sparse, (fits, way))


def _note(moments: dict[K, float], key: K) -> None:
    moments.pop(key, None)
    _make_room(moments)
    moments[key] = time.monotonic()


def _make_room(known: dict[Any, Any]) -> None:
    if len(known) >= MOST_COUNTS:
        del known[next(iter(known))]


def summed(fits: OrderQuery, conditions: Mapping[str, str]) -> str | None:
    """SQL for the number of orders that fit, if sums know it. Its parameters are those of the conditions."""
    for table, needed, allowed in SUMS:
        if needed <= conditions.keys() <= needed | allowed and _are_days(fits.created_from, fits.created_to):
            where = [_by_day(text) if name in DAYS else text for name, text in conditions.items()]
            return SUM.format(table=table, where=together(where))
    return None


def bounded_count(where: str, most: int) -> str:
    """SQL for the number of orders that fit, or for most + 1 if there are more than `most`."""
    return f"({COUNT.format(where=where, most=most)})"


def _are_days(*moments: datetime | None) -> bool:
    return all(moment is None or moment.astimezone(UTC).time() == time_of_day(0) for moment in moments)


def _by_day(condition: str) -> str:
    _, operator, value = condition.split(" ", 2)
    return f"day {operator} ({value}::timestamptz AT TIME ZONE 'UTC')::date"


async def count_orders(connection: Connection, fits: OrderQuery, counts: Counts) -> OrderCount:
    conditions, values = conditions_of(fits)
    if (total := summed(fits, conditions)) is not None:
        return OrderCount(int(await connection.fetchval(f"SELECT {total}", *values)), estimated=False)
    if (known := counts.find(fits)) is not None and known.total.estimated:
        return known.total
    count = await _counted(connection, together([*conditions.values()]), values, EXACT_BELOW)
    if count.estimated:
        counts.keep(fits, count)
    return count


async def count_orders_by_status(connection: Connection, fits: OrderQuery, counts: Counts) -> OrderCounts:
    async with one_sight(connection, *TABLES):
        return await _count_by_status(connection, fits, counts)


async def _count_by_status(connection: Connection, fits: OrderQuery, counts: Counts) -> OrderCounts:
    total = await count_orders(connection, fits, counts)
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
    return await estimated(connection, where, values, most)


async def estimated(connection: Connection, where: str, values: Sequence[Any], most: int) -> OrderCount:
    """The planner's estimate of how many orders fit, which are more than `most`."""
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
