"""Reads the table daily_sales: orders and revenue by day and currency."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import SumTable, read_sum, select
from core.ports.queries import CurrencySales, DaySales
from core.projections.daily_sales import DAILY_SALES

SALES = """
SELECT currency, sum(orders)::bigint AS orders, sum(confirmed)::bigint AS confirmed,
       sum(cancelled)::bigint AS cancelled, sum(revenue) AS revenue
  FROM daily_sales GROUP BY currency ORDER BY currency
"""
DAYS = f"""
{select(SumTable(DAILY_SALES))}
 WHERE day > (SELECT max(day) FROM daily_sales) - 14 ORDER BY day DESC, currency
"""


async def sales(connection: Connection) -> Sequence[CurrencySales]:
    """The sales of all days, by currency."""
    return [CurrencySales(**read_sum(row)) for row in await connection.fetch(SALES)]


async def sales_by_day(connection: Connection) -> Sequence[DaySales]:
    """The sales of fourteen days, newest first. The last day with an order is the first of them."""
    return [DaySales(**read_sum(row)) for row in await connection.fetch(DAYS)]
