"""Reads the table order_views: an order by its id or number, or a page of a list, equally fast for every page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import DocumentTable
from core.ports.queries import DocumentPage, OrderCount, OrderDocument, OrderFilter, OrderSearch
from core.projections.order_view import ORDER_VIEW

TABLE = DocumentTable(
    ORDER_VIEW,
    of_streams="order_id = ANY ($1::uuid[])",
    fields=(
        "order_id",
        "version",
        "payment_version",
        "customer_id",
        "order_number",
        "status",
        "payment_status",
        "total_amount",
        "tracking_number",
        "payment_expires_at",
        "created_at",
        "updated_at",
    ),
    derived={"skus": ("text[]", "ARRAY (SELECT item ->> 'sku' FROM json_array_elements(new.items) AS item)")},
)

EXACT_BELOW = 50_000
"""Up to this number, the orders that fit are counted. If there are more, their number is the planner's estimate."""

BY_ID = "SELECT order_id, version, payment_version, document FROM order_views WHERE order_id = ANY ($1::uuid[])"
BY_NUMBER = "SELECT version, payment_version, document FROM order_views WHERE order_number = $1"
PAGE = "SELECT order_id, created_at, total_amount, version, payment_version, document FROM order_views"
COUNT = f"SELECT count(*) FROM (SELECT FROM order_views WHERE {{where}} LIMIT {EXACT_BELOW + 1}) AS counted"
ESTIMATE = "EXPLAIN (FORMAT json) SELECT FROM order_views WHERE {where}"

# The condition for each field of an OrderFilter. `q` has two parameters: escaped for LIKE, and as it is for a SKU.
CONDITIONS: Mapping[str, str] = {
    "status": "status = {}",
    "payment": "payment_status = {}",
    "customer_id": "customer_id = {}",
    "sku": "skus @> ARRAY[{}::text]",
    "min_total": "total_amount >= {}",
    "max_total": "total_amount <= {}",
    "created_from": "created_at >= {}",
    "created_to": "created_at < {}",
    "q": "(order_number LIKE upper({0}) || '%' OR tracking_number LIKE {0} || '%' OR skus @> ARRAY[{1}::text])",
}


async def orders_by_id(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, OrderDocument]:
    rows = await connection.fetch(BY_ID, ids)
    return {row["order_id"]: _document(row) for row in rows}


async def order_by_number(connection: Connection, number: str) -> OrderDocument | None:
    row = await connection.fetchrow(BY_NUMBER, number)
    return _document(row) if row is not None else None


async def page_of_orders(connection: Connection, search: OrderSearch) -> DocumentPage:
    """The `limit` orders after or before a place. They are always in the order of `sort`."""
    conditions, values = _conditions(search.filter)
    column = search.sort.removeprefix("-")
    descending = search.sort.startswith("-") is not search.backwards
    direction, beyond = ("DESC", "<") if descending else ("ASC", ">")
    if search.start is not None:
        values += search.start
        conditions.append(f"({column}, order_id) {beyond} (${len(values) - 1}, ${len(values)})")
    rows = await connection.fetch(
        f"{PAGE} WHERE {_all(conditions)} ORDER BY {column} {direction}, order_id {direction} LIMIT {search.limit + 1}",
        *values,
    )
    page = rows[: search.limit]
    if search.backwards:
        page.reverse()
    ends = [(row[column], row["order_id"]) for row in (page[:1] + page[-1:])]
    return DocumentPage(
        documents=[_document(row) for row in page],
        first=ends[0] if ends else None,
        last=ends[-1] if ends else None,
        more=len(rows) > search.limit,
    )


async def orders_after_offset(
    connection: Connection, fits: OrderFilter, *, offset: int, limit: int
) -> Sequence[OrderDocument]:
    """Orders, newest first. Use it for small offsets only, because the orders before `offset` are read as well."""
    conditions, values = _conditions(fits)
    rows = await connection.fetch(
        f"{PAGE} WHERE {_all(conditions)} ORDER BY created_at DESC, order_id DESC "
        f"LIMIT {limit} OFFSET ${len(values) + 1}",
        *values,
        offset,
    )
    return [_document(row) for row in rows]


async def count_orders(connection: Connection, fits: OrderFilter) -> OrderCount:
    conditions, values = _conditions(fits)
    total = int(await connection.fetchval(COUNT.format(where=_all(conditions)), *values))
    if total <= EXACT_BELOW:
        return OrderCount(total, estimated=False)
    plan = msgspec.json.decode(await connection.fetchval(ESTIMATE.format(where=_all(conditions)), *values))
    return OrderCount(max(EXACT_BELOW, int(plan[0]["Plan"]["Plan Rows"])), estimated=True)


def _document(row: asyncpg.Record) -> OrderDocument:
    return OrderDocument(row["version"], row["payment_version"], row["document"].encode())


def _conditions(fits: OrderFilter) -> tuple[list[str], list[Any]]:
    """The SQL conditions of a filter, and the values of their parameters."""
    criteria = {name: value for name, value in msgspec.structs.asdict(fits).items() if value is not None}
    conditions: list[str] = []
    values: list[Any] = []
    for name, value in criteria.items():
        new = [escaped(value), value] if name == "q" else [value]
        places = [f"${len(values) + n}" for n in range(1, len(new) + 1)]
        conditions.append(CONDITIONS[name].format(*places))
        values += new
    return conditions, values


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions) or "true"


def escaped(prefix: str) -> str:
    """The text with a backslash before each character that has a meaning in LIKE."""
    return prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
