"""Stock, customers, products, totals and sagas as they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from core.adapters.postgres.connection import Connection

Row = Mapping[str, Any]

LEVELS = """
SELECT sku, product_id, name, on_hand, reserved, available, updated_at, version
  FROM inventory_levels WHERE sku > $1 ORDER BY sku LIMIT $2
"""
LEVEL = """
SELECT sku, product_id, name, on_hand, reserved, available, updated_at, version
  FROM inventory_levels WHERE sku = $1
"""
SPENDING = """
SELECT currency, orders, spent, last_order_at FROM customer_summaries WHERE customer_id = $1 ORDER BY currency
"""
DEMAND = "SELECT currency, units_ordered, units_live, revenue FROM product_demand WHERE sku = $1 ORDER BY currency"
SALES = """
SELECT currency, sum(orders)::bigint AS orders, sum(confirmed)::bigint AS confirmed,
       sum(cancelled)::bigint AS cancelled, sum(revenue) AS revenue
  FROM daily_sales GROUP BY currency ORDER BY currency
"""
DAYS = """
SELECT day, currency, orders, confirmed, cancelled, revenue FROM daily_sales
 WHERE day > (SELECT max(day) FROM daily_sales) - 14 ORDER BY day DESC, currency
"""
OPEN_SAGAS = """
SELECT status, count(*) AS sagas FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING') GROUP BY status
 UNION ALL
SELECT 'FAILED', count(*) FROM sagas WHERE status = 'FAILED'
"""
HEAD = "SELECT coalesce(max(position), 0) FROM events"

# What an operator sees of a saga, as far as its row tells. Its owner works on it until due_at, or it waits for due_at.
# Overdue: past its deadline; or, having none, failing for a quarter of an hour; or due for a while and nobody's: the
# runners are away, or do not keep up. The deadline is its first event's, looked up for unfinished ones only; OFFSET 0,
# or the planner joins the whole log for one page.
SAGAS = """
SELECT saga_id, name, definition, order_id, status, step, attempts, last_error, owner IS NOT NULL AS claimed,
       due_at, started_at, updated_at, deadline, state,
       CASE WHEN owner IS NULL AND state IS DISTINCT FROM 'failed' THEN due_at END AS next_attempt_at
  FROM sagas s
 CROSS JOIN LATERAL (
        SELECT CASE WHEN s.status IN ('RUNNING', 'COMPENSATING')
                    THEN (SELECT (e.payload ->> 'deadline')::timestamptz FROM events e
                           WHERE e.stream_id = s.saga_id AND e.version = 1) END AS deadline
        OFFSET 0) AS first
 CROSS JOIN LATERAL (
        SELECT CASE WHEN status = 'FAILED'                      THEN 'failed'
                    WHEN status NOT IN ('RUNNING', 'COMPENSATING') THEN NULL
                    WHEN due_at < clock_timestamp() - interval '10 s'
                      OR coalesce(deadline, CASE WHEN attempts > 0 THEN started_at + interval '15 min' END)
                         < clock_timestamp()                    THEN 'overdue'
                    WHEN attempts > 0                           THEN 'retrying'
                    WHEN owner IS NOT NULL OR due_at <= clock_timestamp() THEN 'running'
                    ELSE 'waiting' END AS state
        OFFSET 0) AS seen
"""
# What follows from each, of the row alone: it lets an index find the candidates before their deadlines are looked up.
OPEN = "status IN ('RUNNING', 'COMPENSATING')"
CANDIDATES = {
    "running": f"{OPEN} AND attempts = 0 AND (owner IS NOT NULL OR due_at <= clock_timestamp())",
    "waiting": f"{OPEN} AND attempts = 0 AND owner IS NULL AND due_at > clock_timestamp() - interval '1 s'",
    "retrying": f"{OPEN} AND attempts > 0",
    "overdue": OPEN,
    "failed": "status = 'FAILED'",
    "RUNNING": OPEN,
    "COMPENSATING": OPEN,
    "FAILED": "status = 'FAILED'",
    "COMPENSATED": "status IN ('COMPENSATED', 'RESOLVED')",
    "RESOLVED": "status IN ('COMPENSATED', 'RESOLVED')",
}
SAGA_CONDITIONS: Mapping[str, str] = {"status": "status = {}", "state": "state = {}", "order_id": "order_id = {}"}
UNFINISHED = ("RUNNING", "COMPENSATING", "FAILED")


async def stock_levels(connection: Connection, *, after: str, limit: int) -> Sequence[Row]:
    """By SKU."""
    return _rows(await connection.fetch(LEVELS, after, limit))


async def stock_level(connection: Connection, sku: str) -> Row | None:
    rows = _rows(await connection.fetch(LEVEL, sku))
    return rows[0] if rows else None


async def spending(connection: Connection, customer_id: str) -> Sequence[Row]:
    return _rows(await connection.fetch(SPENDING, customer_id))


async def demand(connection: Connection, sku: str) -> Sequence[Row]:
    return _rows(await connection.fetch(DEMAND, sku))


async def stats(connection: Connection) -> Row:
    open_sagas = {row["status"]: row["sagas"] for row in await connection.fetch(OPEN_SAGAS)}
    return {
        "head": await connection.fetchval(HEAD),
        "sales": _rows(await connection.fetch(SALES)),
        "days": _rows(await connection.fetch(DAYS)),
        "sagas": {status: open_sagas.get(status, 0) for status in UNFINISHED},
    }


async def page_of_sagas(
    connection: Connection, where: Mapping[str, Any], *, start: tuple[Any, UUID] | None, backwards: bool, limit: int
) -> tuple[Sequence[Row], bool]:
    """Newest first, from a place (started_at, saga_id); and whether there are more in that direction."""
    conditions = [SAGA_CONDITIONS[name].format(f"${n}") for n, name in enumerate(where, start=1)]
    values = list(where.values())
    conditions += [CANDIDATES[value] for value in values if value in CANDIDATES]
    if start is not None:
        values += start
        beyond = ">" if backwards else "<"
        conditions.append(f"(started_at, saga_id) {beyond} (${len(values) - 1}, ${len(values)})")
    direction = "ASC" if backwards else "DESC"
    rows = _rows(
        await connection.fetch(
            f"{SAGAS} WHERE {' AND '.join(conditions) or 'true'} "
            f"ORDER BY started_at {direction}, saga_id {direction} LIMIT {limit + 1}",
            *values,
        )
    )
    shown = rows[:limit]
    return shown[::-1] if backwards else shown, len(rows) > limit


async def saga(connection: Connection, saga_id: UUID) -> Row | None:
    rows = _rows(await connection.fetch(f"{SAGAS} WHERE saga_id = $1", saga_id))
    return rows[0] if rows else None


def _rows(records: Sequence[Any]) -> list[Row]:
    return [dict(record) for record in records]
