"""Reads which orders of a page have an unfinished saga in trouble, and how much money that saga has open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.queries.sagas import DEADLINES, IN_TROUBLE
from core.domain.money import exact
from core.ports.listed_orders import OrderTrouble

# Of several sagas of one order, the one that needs a person most. A page of orders is read often, so this has no more
# of the SQL of a list of sagas than it needs: to plan all of that takes longer than to read twenty orders.
TROUBLES = f"""
SELECT DISTINCT ON (order_id) order_id, saga_id, state, open_amount, currency
  FROM (SELECT s.order_id, s.saga_id, s.open_amount, s.currency, s.at_risk,
               CASE WHEN status = 'FAILED' THEN 'failed'
                    {IN_TROUBLE} END AS state
          FROM sagas s
         {DEADLINES}
         WHERE s.order_id = ANY ($1::uuid[]) AND s.status IN ('RUNNING', 'COMPENSATING', 'FAILED')) AS seen
 WHERE state IS NOT NULL
 ORDER BY order_id, array_position(ARRAY['failed', 'overdue', 'retrying'], state), at_risk DESC, saga_id
"""


async def troubles_of(connection: Connection, order_ids: Sequence[UUID]) -> Mapping[UUID, OrderTrouble]:
    rows = await connection.fetch(TROUBLES, order_ids) if order_ids else []
    return {
        row["order_id"]: OrderTrouble(
            saga_id=row["saga_id"],
            saga_state=row["state"],
            open_amount=None
            if row["open_amount"] is None or row["currency"] is None
            else exact(row["open_amount"], row["currency"]),
        )
        for row in rows
    }
