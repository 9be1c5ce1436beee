"""Reads sagas for the lists that operators see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record

from core.adapters.postgres.connection import Connection
from core.ports.saga_lists import SagaListing, SagaPage, SagasBegun, SagaSearch, SagaState, SagaStatusName

OWNERS = """
SELECT owner, count(*) AS held FROM sagas
 WHERE owner IS NOT NULL AND status IN ('RUNNING', 'COMPENSATING') AND due_at > clock_timestamp()
 GROUP BY owner
"""

# What an operator sees of a saga. While a runner works on it, `due_at` is when the lease ends; else, when a runner may
# take it up. It is overdue when its deadline has passed; when it has none and has been failing for 15 minutes; or when
# it has been due for 10 seconds and no runner has taken it up. The deadline stands in the saga's first event and is
# looked up for unfinished sagas only. Without OFFSET 0 the planner would join the whole log for one page. The end of an
# authorisation is shown at the completed saga of an order that is not shipped.
DEADLINES = """CROSS JOIN LATERAL (
        SELECT CASE WHEN s.status IN ('RUNNING', 'COMPENSATING')
                    THEN (SELECT (e.payload ->> 'deadline')::timestamptz FROM events e
                           WHERE e.stream_id = s.saga_id AND e.version = 1) END AS deadline
        OFFSET 0) AS first"""
IN_TROUBLE = """WHEN due_at < clock_timestamp() - interval '10 s'
                      OR coalesce(deadline, CASE WHEN attempts > 0 THEN started_at + interval '15 min' END)
                         < clock_timestamp()                    THEN 'overdue'
                    WHEN attempts > 0                           THEN 'retrying'"""
SAGAS = f"""
SELECT saga_id, name, definition, order_id,
       (SELECT v.order_number FROM order_views v WHERE v.order_id = s.order_id) AS order_number,
       status, step, attempts, last_error, owner IS NOT NULL AS claimed,
       due_at, started_at, updated_at, deadline, state, authorization_ends_at,
       extract(epoch FROM authorization_ends_at - clock_timestamp())::float8 AS authorization_ends_in,
       CASE WHEN owner IS NULL AND state IS DISTINCT FROM 'failed' THEN due_at END AS next_attempt_at,
       CASE WHEN due_at > clock_timestamp() THEN owner END AS held_by,
       CASE WHEN state = 'expiring' THEN paid.at_risk ELSE s.at_risk END AS at_risk,
       CASE WHEN state = 'expiring' THEN paid.amount ELSE s.open_amount END AS open_amount,
       CASE WHEN state = 'expiring' THEN paid.currency ELSE s.currency END AS currency,
       CASE WHEN due_at > clock_timestamp() AND owner IS NOT NULL THEN due_at END AS lease_until
  FROM sagas s
 {DEADLINES}
 CROSS JOIN LATERAL (
        SELECT max(v.payment_expires_at) AS authorization_ends_at,
               max(round(v.total_amount * power(10::numeric, scale(v.total_amount)))) AS at_risk,
               max(v.total_amount) AS amount, max(v.document::json ->> 'currency') AS currency
          FROM (SELECT * FROM order_views o
                 WHERE o.order_id = CASE WHEN s.status = 'COMPLETED' THEN s.order_id END OFFSET 0) AS v
         WHERE v.status = 'CONFIRMED' AND v.payment_status = 'AUTHORIZED'
        OFFSET 0) AS paid
 CROSS JOIN LATERAL (
        SELECT CASE WHEN status = 'FAILED'                      THEN 'failed'
                    WHEN authorization_ends_at < clock_timestamp() + interval '24 h' THEN 'expiring'
                    WHEN status NOT IN ('RUNNING', 'COMPENSATING') THEN NULL
                    {IN_TROUBLE}
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
           AND v.payment_expires_at < now() + interval '24 h'))""",  # clock_timestamp() would have all orders read
    "RUNNING": OPEN,
    "COMPENSATING": OPEN,
    "FAILED": "status = 'FAILED'",
    "COMPENSATED": "status IN ('COMPENSATED', 'RESOLVED')",
    "RESOLVED": "status IN ('COMPENSATED', 'RESOLVED')",
}


# The statuses of a saga in each state. An index has the sagas of one status by the money at risk.
STATUSES: Mapping[SagaState, Sequence[SagaStatusName]] = {
    "running": ("RUNNING", "COMPENSATING"),
    "waiting": ("RUNNING", "COMPENSATING"),
    "retrying": ("RUNNING", "COMPENSATING"),
    "overdue": ("RUNNING", "COMPENSATING"),
    "failed": ("FAILED",),
    "expiring": ("COMPLETED",),
}

UNFINISHED: tuple[SagaStatusName, ...] = ("RUNNING", "COMPENSATING", "FAILED")


async def page_of_sagas(connection: Connection, search: SagaSearch) -> SagaPage:
    """One page of the sagas that fit, in the order of `sort`.

    A saga has one state and one status, so each of those that are searched for is read by its own index, and no further
    than one page.
    """
    conditions = Conditions(search)
    if search.error is not None:
        conditions.add("strpos(lower(last_error), lower({})) > 0", search.error)
    if search.statuses and (search.states or search.sort == "-at_risk"):
        conditions.add("status = ANY ({}::text[])", search.statuses)
    direction, beyond = ("ASC", ">") if search.backwards else ("DESC", "<")
    place = [conditions.parameter(value) for value in search.start or ()]

    def part(column: str, *more: str) -> str:
        where = [*conditions.texts, *more]
        if place:
            where.append(f"({column}, saga_id) {beyond} ({', '.join(place)})")
        order = f"ORDER BY {column} {direction}, saga_id {direction} LIMIT {search.limit + 1}"
        return f"({SAGAS} WHERE {' AND '.join(where) or 'true'} {order})"

    parts = _by_risk(part, search) if search.sort == "-at_risk" else _by_age(part, conditions, search)
    column = search.sort.removeprefix("-")
    rows = await connection.fetch(
        f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS found "
        f"ORDER BY {column} {direction}, saga_id {direction} LIMIT {search.limit + 1}",
        *conditions.values,
    )
    page = [_listing(row) for row in rows[: search.limit]]
    return SagaPage(page[::-1] if search.backwards else page, more=len(rows) > search.limit)


def _by_age(part: Callable[..., str], conditions: Conditions, search: SagaSearch) -> list[str]:
    column, names = ("state", search.states) if search.states else ("status", search.statuses)
    if search.error is not None and not names:
        names = UNFINISHED  # those that have ended are too many to be searched
    return [
        part("started_at", f"{column} = {conditions.parameter(name)}", CANDIDATES.get(name, "true"))
        for name in dict.fromkeys(names)
    ] or [part("started_at")]


def _by_risk(part: Callable[..., str], search: SagaSearch) -> list[str]:
    """Those that have nothing to settle any more are left out: nothing is at risk in them."""
    return [
        part(
            "paid.at_risk" if state == "expiring" else "s.at_risk",
            f"state = '{state}'",
            CANDIDATES[state],
            f"status = '{status}'",
        )
        for state in STATUSES
        if state in search.states or not search.states
        for status in STATUSES[state]
    ]


class Conditions:
    """The conditions that all parts of a query have, and the values of the query's parameters."""

    def __init__(self, search: SagaSearch | SagasBegun) -> None:
        self.texts: list[str] = []
        self.values: list[Any] = []
        if search.order_id is not None:
            self.add("order_id = {}", search.order_id)
        if search.saga_ids:
            self.add("saga_id = ANY ({}::uuid[])", search.saga_ids)
        if search.name is not None:
            self.add("starts_with(name, {})", search.name)

    def parameter(self, value: Any) -> str:
        """The name of a new parameter with this value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def add(self, condition: str, value: Any) -> None:
        self.texts.append(condition.format(self.parameter(value)))


async def owners_of_sagas(connection: Connection) -> Mapping[str, int]:
    return {row["owner"]: row["held"] for row in await connection.fetch(OWNERS)}


async def saga(connection: Connection, saga_id: UUID) -> SagaListing | None:
    row = await connection.fetchrow(f"{SAGAS} WHERE saga_id = $1", saga_id)
    return _listing(row) if row is not None else None


def _listing(row: Record) -> SagaListing:
    fields: dict[str, Any] = {**row, "at_risk": int(row["at_risk"])}
    return SagaListing(**fields)
