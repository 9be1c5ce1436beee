"""order_views: one order by its id, or a page of those that match, equally fast at any depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import DocumentTable
from core.projections.order_view import ORDER_VIEW

TABLE = DocumentTable(
    ORDER_VIEW,
    of_streams="order_id = ANY ($1::uuid[])",
    fields=(
        "order_id",
        "version",
        "customer_id",
        "order_number",
        "status",
        "total_amount",
        "tracking_number",
        "created_at",
        "updated_at",
    ),
    derived={"skus": ("text[]", "ARRAY (SELECT item ->> 'sku' FROM json_array_elements(new.items) AS item)")},
)

Sort = Literal["-created_at", "created_at", "-total_amount", "total_amount"]

EXACT_BELOW = 50_000
"""Up to here a list's total is counted, above it is the planner's estimate."""

BY_ID = "SELECT order_id, version, document FROM order_views WHERE order_id = ANY ($1::uuid[])"
BY_NUMBER = "SELECT document FROM order_views WHERE order_number = $1"
PAGE = "SELECT order_id, created_at, total_amount, document FROM order_views"
COUNT = f"SELECT count(*) FROM (SELECT FROM order_views WHERE {{where}} LIMIT {EXACT_BELOW + 1}) AS counted"
ESTIMATE = "EXPLAIN (FORMAT json) SELECT FROM order_views WHERE {where}"

CONDITIONS: Mapping[str, str] = {
    "status": "status = {}",
    "customer_id": "customer_id = {}",
    "sku": "skus @> ARRAY[{}::text]",
    "min_total": "total_amount >= {}",
    "max_total": "total_amount <= {}",
    "created_from": "created_at >= {}",
    "created_to": "created_at < {}",
    "q": "(order_number LIKE upper({0}) || '%' OR tracking_number LIKE {0} || '%' OR skus @> ARRAY[{0}::text])",
}


@dataclass(frozen=True, slots=True)
class Document:
    """An order's view, ready to send, and the version it shows."""

    version: int
    json: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """`where` by the names in CONDITIONS; `start` is the place (sort value, order id) to go on after."""

    where: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sort: Sort = "-created_at"
    start: tuple[datetime | Decimal, UUID] | None = None
    backwards: bool = False
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Page:
    """`first` and `last` are the places of its ends; `more`: there are others beyond it, in its direction."""

    documents: Sequence[str]
    first: tuple[datetime | Decimal, UUID] | None
    last: tuple[datetime | Decimal, UUID] | None
    more: bool


async def orders_by_id(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, Document]:
    rows = await connection.fetch(BY_ID, ids)
    return {row[0]: Document(row[1], row[2].encode()) for row in rows}


async def order_by_number(connection: Connection, number: str) -> str | None:
    found: str | None = await connection.fetchval(BY_NUMBER, number)
    return found


async def page_of_orders(connection: Connection, wanted: Wanted) -> Page:
    """The next or previous `limit` orders from a place, always in the order of `sort`."""
    conditions, values = _conditions(wanted.where)
    column = wanted.sort.removeprefix("-")
    descending = wanted.sort.startswith("-") is not wanted.backwards
    direction, beyond = ("DESC", "<") if descending else ("ASC", ">")
    if wanted.start is not None:
        values += wanted.start
        conditions.append(f"({column}, order_id) {beyond} (${len(values) - 1}, ${len(values)})")
    rows = await connection.fetch(
        f"{PAGE} WHERE {_all(conditions)} ORDER BY {column} {direction}, order_id {direction} LIMIT {wanted.limit + 1}",
        *values,
    )
    shown = rows[: wanted.limit]
    if wanted.backwards:
        shown.reverse()
    ends = [(row[column], row["order_id"]) for row in (shown[:1] + shown[-1:])]
    return Page(
        documents=[row["document"] for row in shown],
        first=ends[0] if ends else None,
        last=ends[-1] if ends else None,
        more=len(rows) > wanted.limit,
    )


async def orders_after_offset(connection: Connection, wanted: Wanted, offset: int) -> Sequence[str]:
    """Newest first. For shallow offsets: each row before it is read as well."""
    conditions, values = _conditions(wanted.where)
    rows = await connection.fetch(
        f"{PAGE} WHERE {_all(conditions)} ORDER BY created_at DESC, order_id DESC "
        f"LIMIT {wanted.limit} OFFSET ${len(values) + 1}",
        *values,
        offset,
    )
    return [row["document"] for row in rows]


async def count_orders(connection: Connection, where: Mapping[str, Any]) -> tuple[int, bool]:
    """How many match, and whether that is an estimate."""
    conditions, values = _conditions(where)
    counted = int(await connection.fetchval(COUNT.format(where=_all(conditions)), *values))
    if counted <= EXACT_BELOW:
        return counted, False
    plan = msgspec.json.decode(await connection.fetchval(ESTIMATE.format(where=_all(conditions)), *values))
    return max(EXACT_BELOW, int(plan[0]["Plan"]["Plan Rows"])), True


def _conditions(where: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    conditions = [CONDITIONS[name].format(f"${n}") for n, name in enumerate(where, start=1)]
    return conditions, [escaped(value) if name == "q" else value for name, value in where.items()]


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions) or "true"


def escaped(prefix: str) -> str:
    """A text that LIKE takes as it is."""
    return prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
