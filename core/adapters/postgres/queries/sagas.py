"""Sagas as operators list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from core.adapters.postgres.connection import Connection
from core.ports.queries import SagaListing, SagaPage, SagaQuery

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


async def page_of_sagas(connection: Connection, query: SagaQuery) -> SagaPage:
    """Newest first, from a place on."""
    given: dict[str, Any] = {"status": query.status, "state": query.state, "order_id": query.order_id}
    given = {name: value for name, value in given.items() if value is not None}
    conditions = [SAGA_CONDITIONS[name].format(f"${n}") for n, name in enumerate(given, start=1)]
    values = list(given.values())
    conditions += [CANDIDATES[value] for value in values if value in CANDIDATES]
    if query.start is not None:
        values += query.start
        beyond = ">" if query.backwards else "<"
        conditions.append(f"(started_at, saga_id) {beyond} (${len(values) - 1}, ${len(values)})")
    direction = "ASC" if query.backwards else "DESC"
    rows = await connection.fetch(
        f"{SAGAS} WHERE {' AND '.join(conditions) or 'true'} "
        f"ORDER BY started_at {direction}, saga_id {direction} LIMIT {query.limit + 1}",
        *values,
    )
    page = [SagaListing(**row) for row in rows[: query.limit]]
    return SagaPage(page[::-1] if query.backwards else page, more=len(rows) > query.limit)


async def saga(connection: Connection, saga_id: UUID) -> SagaListing | None:
    row = await connection.fetchrow(f"{SAGAS} WHERE saga_id = $1", saga_id)
    return SagaListing(**row) if row is not None else None
