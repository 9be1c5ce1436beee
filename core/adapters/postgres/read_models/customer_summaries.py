"""customer_summaries: what each customer ordered and spent, by currency."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.rows import Row, plain

SPENDING = """
SELECT currency, orders, spent, last_order_at FROM customer_summaries WHERE customer_id = $1 ORDER BY currency
"""


async def spending(connection: Connection, customer_id: str) -> Sequence[Row]:
    return plain(await connection.fetch(SPENDING, customer_id))
