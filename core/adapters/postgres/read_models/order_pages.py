"""Reads pages of sorted lists of orders, which are quick for every filter, in every sort, and however deep the page is.

The planner often guesses wrongly how many orders fit, and walks along a list in which none does. So a page is read in
at most two tries. The first walks along an index that has the list's order, for a bounded number of rows. When too few
of these fit, then few orders fit at all, or they stand elsewhere in the list: the second looks them up and sorts them,
unless they are so many that walking on is quicker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any, NamedTuple

import asyncpg
from msgspec.structs import replace

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.one_sight import one_sight
from core.adapters.postgres.read_models.order_conditions import (
    conditions_of,
    together,
    without_negated_statuses,
)
from core.adapters.postgres.read_models.order_counts import TABLES, Estimates, count_orders, expected, summed
from core.adapters.postgres.read_models.order_troubles import troubles_of
from core.adapters.postgres.read_models.order_views import document_of
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import DocumentPage, OrderCount, OrderDocument, OrderSearch

LONGEST_WALK = 5_000  # rows; if one in 200 fits, a page of 20 is found within
MOST_LOOKED_UP = 200_000  # orders that fit; to sort more than that takes longer than to walk on until a page is full
MOST_PARTS = 8  # lists that are read one by one and merged

COLUMNS = "order_id, created_at, updated_at, total_amount, version, payment_version, document"
UNSORTED = {
    "created_at": "created_at + interval '0'",
    "updated_at": "updated_at + interval '0'",
    "total_amount": "total_amount + 0",
}
"""What sorts as the column does, but by no index, so that the planner looks up the rows that fit, and then sorts."""

SORTED_INDEXES = {"customer_id": "customer_id", "payment": "payment_status", "status": "status"}
"""The fields, and their columns, with an index that has the orders of one value by `created_at`."""

RANGES = {
    "created_at": ("created_from", "created_to"),
    "updated_at": ("updated_from", "updated_to"),
    "total_amount": ("min_total", "max_total"),
}
"""The fields that cut a part out of the list that is sorted by a column."""

ALWAYS_LOOKED_UP = ("order_id", "order_number", "saga")


async def page_of_orders(connection: Connection, search: OrderSearch) -> DocumentPage:
    """The `limit` orders after or before a place. They are always in the order of `sort`."""
    column = _column(search)
    parts, rows = _parts(search), list[asyncpg.Record]()
    # At one moment an order whose status changes meanwhile is in one of the lists, neither in both nor in none.
    async with one_sight(connection, "order_views") if len(parts) > 1 else nullcontext():
        for part in parts:
            found = await _walk(connection, part)
            rows += found if found is not None else await _look_up(connection, part.search)
    rows.sort(key=lambda row: (row[column], row["order_id"]), reverse=_descending(search))
    return await _page(connection, search, rows)


async def _page(connection: Connection, search: OrderSearch, rows: Sequence[asyncpg.Record]) -> DocumentPage:
    """The page with the first of these rows, which may be one more than the page has."""
    page, column = [*rows[: search.limit]], _column(search)
    if search.backwards:
        page.reverse()
    ends = [(row[column], row["order_id"]) for row in (page[:1] + page[-1:])]
    troubles = await troubles_of(connection, [row["order_id"] for row in page])
    return DocumentPage(
        documents=[replace(document_of(row), trouble=troubles.get(row["order_id"])) for row in page],
        first=ends[0] if ends else None,
        last=ends[-1] if ends else None,
        more=len(rows) > search.limit,
    )


async def counted_page(
    connection: Connection, search: OrderSearch, estimates: Estimates
) -> tuple[DocumentPage, OrderCount]:
    """A page, and how many orders there are in all; an order that comes in between is in neither."""
    parts = _parts(search)
    total = summed(parts[0].search.filter) if len(parts) == 1 else None  # a customer who is named twice is one there
    if total is not None:  # one statement has both, which takes a third of the time
        rows = await _walk(connection, parts[0], total)
        if rows:
            return await _page(connection, search, rows), OrderCount(rows[0]["in_all"], estimated=False)
    async with one_sight(connection, *TABLES):
        page = await page_of_orders(connection, search)
        if search.start is None and not page.more:
            return page, OrderCount(len(page.documents), estimated=False)
        return page, await count_orders(connection, search.filter, estimates)


async def counted_after_offset(
    connection: Connection, fits: OrderQuery, *, offset: int, limit: int, estimates: Estimates
) -> tuple[Sequence[OrderDocument], OrderCount]:
    if (total := summed(fits)) is not None:
        rows = await _rows_after_offset(connection, fits, offset=offset, limit=limit, total=total)
        if rows or offset == 0:
            count = rows[0]["in_all"] if rows else 0
            return [document_of(row) for row in rows], OrderCount(count, estimated=False)
    async with one_sight(connection, *TABLES):
        orders = await orders_after_offset(connection, fits, offset=offset, limit=limit)
        if len(orders) < limit and (orders or offset == 0):
            return orders, OrderCount(offset + len(orders), estimated=False)
        return orders, await count_orders(connection, fits, estimates)


async def orders_after_offset(
    connection: Connection, fits: OrderQuery, *, offset: int, limit: int
) -> Sequence[OrderDocument]:
    """Orders, newest first. Use it for small offsets only, because the orders before `offset` are read as well."""
    rows = await _rows_after_offset(connection, fits, offset=offset, limit=limit)
    return [document_of(row) for row in rows]


async def _rows_after_offset(
    connection: Connection, fits: OrderQuery, *, offset: int, limit: int, total: str = "NULL"
) -> Sequence[asyncpg.Record]:
    conditions, values = conditions_of(fits)
    return await connection.fetch(
        f"SELECT {COLUMNS}, {total} AS in_all FROM order_views WHERE {together([*conditions.values()])} "
        f"ORDER BY created_at DESC, order_id DESC LIMIT {limit} OFFSET ${len(values) + 1}",
        *values,
        offset,
    )


class _Part(NamedTuple):
    """A list that is read by itself: all orders that fit, or those with one value of `field`, which has an index."""

    search: OrderSearch
    field: str | None = None


def _parts(search: OrderSearch) -> Sequence[_Part]:
    """The lists to merge into the page: one for each value of the indexed field that has the fewest, or only one."""
    fits = without_negated_statuses(search.filter)
    several = {field: sorted(set[str](getattr(fits, field))) for field in SORTED_INDEXES}
    fields = [field for field, values in several.items() if 0 < len(values) <= MOST_PARTS]
    if _column(search) != "created_at" or not fields:
        return [_Part(replace(search, filter=fits))]
    field = min(fields, key=lambda field: len(several[field]))
    return [_Part(replace(search, filter=replace(fits, **{field: (value,)})), field) for value in several[field]]


async def _walk(connection: Connection, part: _Part, total: str = "NULL") -> Sequence[asyncpg.Record] | None:
    """The page as found along an index, with one order more if there is one; None if it may not be complete.

    `total`: SQL for the number of orders in the whole list, for the column `in_all`.
    """
    conditions, values = _with_place(part.search)
    if any(field in conditions for field in ALWAYS_LOOKED_UP):
        return None
    order = _order(part.search)
    if part.field is not None:
        # With = the planner may walk along the index of the whole list, and pass over all orders that do not fit.
        column = SORTED_INDEXES[part.field]
        place = conditions[part.field].removeprefix(f"{column} = ")
        conditions[part.field] = f"{column} BETWEEN {place} AND {place}"
        order = f"{column} {_direction(part.search)}, {order}"
    along = conditions.keys() & {"place", part.field, *RANGES[_column(part.search)]}
    walked = together([conditions.pop(field) for field in along])
    most = part.search.limit + 1
    rows = await connection.fetch(
        f"SELECT {COLUMNS}, {total} AS in_all FROM (SELECT * FROM order_views WHERE {walked} ORDER BY {order} "
        f"LIMIT {max(LONGEST_WALK, most)}) AS walked "
        f"WHERE {together([*conditions.values()])} ORDER BY {order} LIMIT {most}",
        *values,
    )
    return rows if len(rows) == most or not conditions else None


async def _look_up(connection: Connection, search: OrderSearch) -> Sequence[asyncpg.Record]:
    conditions, values = _with_place(search)
    where = together([*conditions.values()])
    guess, _ = await expected(connection, where, values)
    order = _order(search, UNSORTED if guess <= MOST_LOOKED_UP else {})
    return await connection.fetch(
        f"SELECT {COLUMNS} FROM order_views WHERE {where} ORDER BY {order} LIMIT {search.limit + 1}",
        *values,
    )


def _with_place(search: OrderSearch) -> tuple[dict[str, str], list[Any]]:
    """The conditions of a search by their fields, that of its place among them, and the values of their parameters."""
    conditions, values = conditions_of(search.filter)
    if search.start is not None:
        values += search.start
        beyond = "<" if _descending(search) else ">"
        conditions["place"] = f"({_column(search)}, order_id) {beyond} (${len(values) - 1}, ${len(values)})"
    return conditions, values


def _order(search: OrderSearch, by: Mapping[str, str] = MappingProxyType({})) -> str:
    column = _column(search)
    return f"{by.get(column, column)} {_direction(search)}, order_id {_direction(search)}"


def _direction(search: OrderSearch) -> str:
    return "DESC" if _descending(search) else "ASC"


def _column(search: OrderSearch) -> str:
    return search.sort.removeprefix("-")


def _descending(search: OrderSearch) -> bool:
    return search.sort.startswith("-") is not search.backwards
