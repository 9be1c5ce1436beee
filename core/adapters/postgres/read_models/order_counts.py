"""Counts orders: exactly while they are few, and else by the planner's estimate, so that no count reads all orders."""

from __future__ import annotations

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

EXACT_BELOW = 10_000
"""Up to this number, the orders that fit are counted. If there are more, their number is the planner's estimate."""

EXACT_BELOW_IN_STATUS = 1_000
"""The same for each of the thirteen statuses of orders and payments, if counting it is little work."""

LITTLE_WORK = 20_000
"""In the planner's units: about 50 ms."""

COUNT = "SELECT count(*) FROM (SELECT FROM order_views WHERE {where} LIMIT {most} + 1) AS counted"
BY_STATUS = "SELECT status, payment_status, count(*) FROM order_views WHERE {where} GROUP BY 1, 2"
EXPECTED = "EXPLAIN (FORMAT json) SELECT FROM order_views WHERE {where}"


async def count_orders(connection: Connection, fits: OrderQuery) -> OrderCount:
    conditions, values = conditions_of(fits)
    if not conditions:
        # Of all orders the planner knows quite well how many there are, and is asked in a twentieth of the time.
        guess, _ = await expected(connection, together([]), [])
        if guess > 2 * EXACT_BELOW:
            return OrderCount(guess, estimated=True)
    return await _counted(connection, together([*conditions.values()]), values, EXACT_BELOW)


async def count_orders_by_status(connection: Connection, fits: OrderQuery) -> OrderCounts:
    async with one_sight(connection, "order_views"):
        return await _count_by_status(connection, fits)


async def _count_by_status(connection: Connection, fits: OrderQuery) -> OrderCounts:
    total = await count_orders(connection, fits)
    if total.estimated:
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
