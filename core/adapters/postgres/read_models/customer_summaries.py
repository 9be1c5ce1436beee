"""customer_summaries: what each customer ordered and spent, by currency."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import SumTable, select_under
from core.adapters.postgres.rows import Row, plain
from core.projections.customer_summary import CUSTOMER_SUMMARY

SPENDING = select_under(SumTable(CUSTOMER_SUMMARY))


async def spending(connection: Connection, customer_id: str) -> Sequence[Row]:
    return plain(await connection.fetch(SPENDING, customer_id))
