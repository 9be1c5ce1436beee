"""Reads the totals of the whole desk: the sales, the number of unfinished sagas, and the head of the log."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.daily_sales import sales, sales_by_day
from core.adapters.postgres.read_models.one_sight import one_sight
from core.domain.money import exact
from core.ports.queries import DeskTotals
from core.projections.daily_sales import DAILY_SALES

UNFINISHED_SAGAS = """
SELECT status, count(*) AS sagas FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING') GROUP BY status
 UNION ALL
SELECT 'FAILED', count(*) FROM sagas WHERE status = 'FAILED'
"""
# Without a limit this would read every order that waits to be shipped, which may be all that there are. It is no
# parameter, for which it would be planned anew each time.
AUTHORISED = """
SELECT currency, sum(total_amount) AS amount
  FROM (SELECT currency, total_amount FROM order_views WHERE payment_status = 'AUTHORIZED' LIMIT {most}) AS waiting
 GROUP BY currency
"""
HEAD = "SELECT coalesce(max(position), 0) FROM events"
UNFINISHED = ("RUNNING", "COMPENSATING", "FAILED")


async def desk_totals(connection: Connection) -> DeskTotals:
    async with one_sight(connection, DAILY_SALES.name):
        return await _totals(connection)


async def _totals(connection: Connection) -> DeskTotals:
    counts = {row["status"]: row["sagas"] for row in await connection.fetch(UNFINISHED_SAGAS)}
    return DeskTotals(
        head=await connection.fetchval(HEAD),
        sales=await sales(connection),
        days=await sales_by_day(connection),
        sagas={status: counts.get(status, 0) for status in UNFINISHED},
    )


async def authorised_money(connection: Connection, most: int) -> Mapping[str, Decimal]:
    rows = await connection.fetch(AUTHORISED.format(most=most))
    return {row["currency"]: exact(row["amount"], row["currency"]) for row in rows}
