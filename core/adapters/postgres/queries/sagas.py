"""Reads sagas for the lists that operators see."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.adapters.postgres.connection import Connection
from core.ports.queries import SagaListing, SagaPage, SagaSearch

# What an operator sees of a saga. While a runner works on it, `due_at` is when the lease ends; else, when a runner may
# take it up. It is overdue when its deadline has passed; when it has none and has been failing for 15 minutes; or when
# it has been due for 10 seconds and no runner has taken it up. The deadline stands in the saga's first event and is
# looked up for unfinished sagas only. Without OFFSET 0 the planner would join the whole log for one page. The end of an
# authorisation is shown at the completed saga of an order that is not shipped.
SAGAS = """
SELECT saga_id, name, definition, order_id,
       (SELECT v.order_number FROM order_views v WHERE v.order_id = s.order_id) AS order_number,
       status, step, attempts, last_error, owner IS NOT NULL AS claimed,
       due_at, started_at, updated_at, deadline, state, authorization_ends_at,
       extract(epoch FROM authorization_ends_at - clock_timestamp())::float8 AS authorization_ends_in,
       CASE WHEN owner IS NULL AND state IS DISTINCT FROM 'failed' THEN due_at END AS next_attempt_at,
       CASE WHEN due_at > clock_timestamp() THEN owner END AS held_by,
       CASE WHEN due_at > clock_timestamp() AND owner IS NOT NULL THEN due_at END AS lease_until
  FROM sagas s
 CROSS JOIN LATERAL (
        SELECT CASE WHEN s.status IN ('RUNNING', 'COMPENSATING')
                    THEN (SELECT (e.payload ->> 'deadline')::timestamptz FROM events e
                           WHERE e.stream_id = s.saga_id AND e.version = 1) END AS deadline
        OFFSET 0) AS first
 CROSS JOIN LATERAL (
        SELECT CASE WHEN s.status = 'COMPLETED'
                    THEN (SELECT v.payment_expires_at FROM order_views v
                           WHERE v.order_id = s.order_id AND v.status = 'CONFIRMED' AND v.payment_status = 'AUTHORIZED')
               END AS authorization_ends_at
        OFFSET 0) AS paid
 CROSS JOIN LATERAL (
        SELECT CASE WHEN status = 'FAILED'                      THEN 'failed'
                    WHEN authorization_ends_at < clock_timestamp() + interval '24 h' THEN 'expiring'
                    WHEN status NOT IN ('RUNNING', 'COMPENSATING') THEN NULL
                    WHEN due_at < clock_timestamp() - interval '10 s'
                      OR coalesce(deadline, CASE WHEN attempts > 0 THEN started_at + interval '15 min' END)
                         < clock_timestamp()                    THEN 'overdue'
                    WHEN attempts > 0                           THEN 'retrying'
                    WHEN owner IS NOT NULL OR due_at <= clock_timestamp() THEN 'running'
                    ELSE 'waiting' END AS state
        OFFSET 0) AS seen
"""
# What each state and status implies for the columns of a row. An index finds the rows with these columns, so the
# deadline of other sagas is never looked up.
OPEN = "status IN ('RUNNING', 'COMPENSATING')"
CANDIDATES = {
    "running": f"{OPEN} AND attempts = 0 AND (owner IS NOT NULL OR due_at <= clock_timestamp())",
    "waiting": f"{OPEN} AND attempts = 0 AND owner IS NULL AND due_at > clock_timestamp() - interval '1 s'",
    "retrying": f"{OPEN} AND attempts > 0",
    "overdue": OPEN,
    "failed": "status = 'FAILED'",
    "expiring": """status = 'COMPLETED' AND order_id = ANY (ARRAY (
        SELECT v.order_id FROM order_views v
         WHERE v.status = 'CONFIRMED' AND v.payment_status = 'AUTHORIZED'
           AND v.payment_expires_at < clock_timestamp() + interval '24 h'))""",
    "RUNNING": OPEN,
    "COMPENSATING": OPEN,
    "FAILED": "status = 'FAILED'",
    "COMPENSATED": "status IN ('COMPENSATED', 'RESOLVED')",
    "RESOLVED": "status IN ('COMPENSATED', 'RESOLVED')",
}


async def page_of_sagas(connection: Connection, search: SagaSearch) -> SagaPage:
    """One page of the sagas that fit, newest first.

    A saga has one state and one status, so each of those that are searched for is read by its own index, and no further
    than one page.
    """
    values: list[Any] = []
    common: list[str] = []

    def given(condition: str, *more: Any) -> None:
        values.extend(more)
        numbers = range(len(values) - len(more) + 1, len(values) + 1)
        common.append(condition.format(*(f"${n}" for n in numbers)))

    if search.order_id is not None:
        given("order_id = {}", search.order_id)
    if search.saga_ids:
        given("saga_id = ANY ({}::uuid[])", search.saga_ids)
    if search.states and search.statuses:
        given("status = ANY ({}::text[])", search.statuses)
    if search.start is not None:
        given(f"(started_at, saga_id) {'>' if search.backwards else '<'} ({{}}, {{}})", *search.start)
    column, names = ("state", search.states) if search.states else ("status", search.statuses)
    each: list[list[str]] = [[]]
    if names:
        each = [_exactly(column, name, values) for name in dict.fromkeys(names)]
    direction = "ASC" if search.backwards else "DESC"
    order = f"ORDER BY started_at {direction}, saga_id {direction} LIMIT {search.limit + 1}"
    parts = [f"({SAGAS} WHERE {' AND '.join([*common, *some]) or 'true'} {order})" for some in each]
    rows = await connection.fetch(f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS found {order}", *values)
    page = [SagaListing(**row) for row in rows[: search.limit]]
    return SagaPage(page[::-1] if search.backwards else page, more=len(rows) > search.limit)


def _exactly(column: str, name: str, values: list[Any]) -> list[str]:
    values.append(name)
    return [f"{column} = ${len(values)}", *([CANDIDATES[name]] if name in CANDIDATES else [])]


async def saga(connection: Connection, saga_id: UUID) -> SagaListing | None:
    row = await connection.fetchrow(f"{SAGAS} WHERE saga_id = $1", saga_id)
    return SagaListing(**row) if row is not None else None
