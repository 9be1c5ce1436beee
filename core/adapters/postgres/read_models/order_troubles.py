"""Tells of which orders of a page a saga is in trouble, and how much money that saga has open."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import msgspec

from core import codec
from core.adapters.postgres.queries.sagas import DEADLINES, IN_TROUBLE
from core.domain.money import exact
from core.ports.listed_orders import OrderTrouble, TroubleState

# SQL for the troubles of `page`. Of several sagas of one order, the one that needs a person most. By || no index of the
# unfinished sagas has the condition: its plan is kept, and would read all of them for each order once they are many.
# The orders are looked up together: to look up each by itself took half of what a page takes.
TROUBLES = f"""(SELECT json_agg(json_build_object('n', t.n, 'saga_id', t.saga_id, 'state', t.state,
                                         'amount', t.open_amount::text, 'currency', t.currency))
          FROM (SELECT DISTINCT ON (p.n) p.n, seen.*
                  FROM (SELECT s.order_id, s.saga_id, s.open_amount, s.currency, s.at_risk,
                               CASE WHEN status = 'FAILED' THEN 'failed'
                                    {IN_TROUBLE} END AS state
                          FROM sagas s
                         {DEADLINES}
                         WHERE s.order_id = ANY (ARRAY (SELECT order_id FROM page))
                           AND s.status || '' IN ('RUNNING', 'COMPENSATING', 'FAILED')
                        OFFSET 0) AS seen
                  JOIN page p ON p.order_id = seen.order_id
                 WHERE state IS NOT NULL
                 ORDER BY p.n, array_position(ARRAY['failed', 'overdue', 'retrying'], state), at_risk DESC, saga_id
               ) AS t)"""


class _Trouble(msgspec.Struct):
    """A row of TROUBLES, of the `n`th order."""

    n: int
    saga_id: UUID
    state: TroubleState
    amount: str | None
    currency: str | None


_rows = msgspec.json.Decoder(list[_Trouble])
_documents = msgspec.json.Decoder(list[msgspec.Raw])


def with_troubles(documents: bytes, troubles: str, *, backwards: bool) -> bytes:
    """A JSON array of orders with these troubles added to them. With `backwards`, the last order is number 1."""
    orders = [bytes(order) for order in _documents.decode(documents)]
    for row in _rows.decode(troubles):
        trouble = OrderTrouble(
            saga_id=row.saga_id,
            saga_state=row.state,
            open_amount=None
            if row.amount is None or row.currency is None
            else exact(Decimal(row.amount), row.currency),
        )
        place = len(orders) - row.n if backwards else row.n - 1
        orders[place] = orders[place].rstrip()[:-1] + b"," + codec.json(trouble)[1:]
    return b"[" + b",".join(orders) + b"]"
