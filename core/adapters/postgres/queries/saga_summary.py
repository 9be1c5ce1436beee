"""Reads what all unfinished sagas together are at: how many in each state, their open money, their last errors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

from core.adapters.postgres.backlog import backlog
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.queries.sagas import CANDIDATES, OPEN, SAGAS
from core.domain.money import exact
from core.ports.saga_lists import SagaErrors, SagaState, SagaSummary

MOST_COUNTED = 10_000
MOST_ERRORS = 20
UNFINISHED = ("RUNNING", "COMPENSATING", "FAILED")

# The deadline of each saga that is under way is looked up, so no more than MOST_COUNTED of each kind are read.
KINDS = (OPEN, CANDIDATES["failed"], CANDIDATES["expiring"])
COUNTS = f"""
SELECT state, status, currency, count(*) AS sagas, sum(open_amount) AS amount
  FROM ({" UNION ALL ".join(f"({SAGAS} WHERE {kind} LIMIT {MOST_COUNTED})" for kind in KINDS)}) AS counted
 WHERE state IS NOT NULL
 GROUP BY state, status, currency
"""
ID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NUMBER = "[0-9]+([.,:][0-9]+)*"
# Without ids and numbers, the same error of many sagas is one line.
ERRORS = f"""
SELECT error, count(*) AS count, (array_agg(saga_id ORDER BY updated_at DESC))[1] AS saga_id,
       min(updated_at) AS since, max(updated_at) AS until
  FROM (SELECT saga_id, updated_at,
               regexp_replace(left(last_error, 300), '{ID}|{NUMBER}', '#', 'g') AS error
          FROM sagas
         WHERE status IN ('RUNNING', 'COMPENSATING', 'FAILED') AND last_error IS NOT NULL
         LIMIT {MOST_COUNTED}) AS failing
 GROUP BY error ORDER BY count DESC, until DESC LIMIT {MOST_ERRORS}
"""


async def summary_of_sagas(connection: Connection) -> SagaSummary:
    states = dict.fromkeys(get_args(SagaState), 0)
    statuses: dict[Any, int] = dict.fromkeys(UNFINISHED, 0)
    at_risk: dict[Any, dict[str, Decimal]] = {}
    money_open: dict[str, Decimal] = {}
    rows = await connection.fetch(COUNTS)
    for row in rows:
        state, status, currency, amount = row["state"], row["status"], row["currency"], row["amount"]
        states[state] += row["sagas"]
        if status in statuses:
            statuses[status] += row["sagas"]
        if currency and amount:
            of_state = at_risk.setdefault(state, {})
            for sums in (money_open, of_state):
                sums[currency] = exact(sums.get(currency, Decimal(0)) + amount, currency)
    errors = [SagaErrors(**row) for row in await connection.fetch(ERRORS)]
    capped = MOST_COUNTED in (statuses["FAILED"], statuses["RUNNING"] + statuses["COMPENSATING"], states["expiring"])
    return SagaSummary(
        states=states,
        statuses=statuses,
        money_open=money_open,
        at_risk=at_risk,
        errors=errors,
        capped=capped,
        backlog=await backlog(connection, MOST_COUNTED),
    )
