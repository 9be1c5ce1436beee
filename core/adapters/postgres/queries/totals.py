"""Reads the totals of the whole desk: the sales, the number of unfinished sagas, and the head of the log."""

from __future__ import annotations

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.daily_sales import sales, sales_by_day
from core.adapters.postgres.read_models.one_sight import one_sight
from core.ports.queries import DeskTotals
from core.projections.daily_sales import DAILY_SALES

UNFINISHED_SAGAS = """
SELECT status, count(*) AS sagas FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING') GROUP BY status
 UNION ALL
SELECT 'FAILED', count(*) FROM sagas WHERE status = 'FAILED'
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
