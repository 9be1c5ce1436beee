"""customer_summaries: what each customer ordered and spent, by currency."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.totals import totals
from core.adapters.postgres.rows import Row
from core.projections.customer_summary import CUSTOMER_SUMMARY


async def spending(connection: Connection, customer_id: str) -> Sequence[Row]:
    return await totals(connection, CUSTOMER_SUMMARY, customer_id)
