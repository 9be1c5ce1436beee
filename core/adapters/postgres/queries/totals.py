"""Reads the totals of the whole desk: the sales, the number of unfinished sagas, and the head of the log."""

from __future__ import annotations

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.daily_sales import sales, sales_by_day
from core.ports.queries import DeskTotals

UNFINISHED_SAGAS = """
SELECT status, count(*) AS sagas FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING') GROUP BY status
 UNION ALL
SELECT 'FAILED', count(*) FROM sagas WHERE status = 'FAILED'
"""
HEAD = "SELECT coalesce(max(position), 0) FROM events"
UNFINISHED = ("RUNNING", "COMPENSATING", "FAILED")


async def desk_totals(connection: Connection) -> DeskTotals:
    counts = {row["status"]: row["sagas"] for row in await connection.fetch(UNFINISHED_SAGAS)}
    return DeskTotals(
        head=await connection.fetchval(HEAD),
        sales=await sales(connection),
        days=await sales_by_day(connection),
        sagas={status: counts.get(status, 0) for status in UNFINISHED},
    )
