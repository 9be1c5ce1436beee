"""Reads the table inventory_levels: the stock of each SKU."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import ViewTable, select
from core.projections.inventory_level import INVENTORY_LEVEL, InventoryLevel

# Every event of a SKU's stream has the SKU, so the first event has it too.
TABLE = ViewTable(
    INVENTORY_LEVEL,
    of_streams="sku IN (SELECT payload ->> 'sku' FROM events WHERE stream_id = ANY ($1::uuid[]) AND version = 1)",
)

LEVELS = f"{select(TABLE)} WHERE sku > $1 ORDER BY sku LIMIT $2"
LEVEL = f"{select(TABLE)} WHERE sku = $1"


async def stock_levels(connection: Connection, *, after: str, limit: int) -> Sequence[InventoryLevel]:
    """The stock of the SKUs that follow after this one, sorted by SKU."""
    return [InventoryLevel(**row) for row in await connection.fetch(LEVELS, after, limit)]


async def stock_level(connection: Connection, sku: str) -> InventoryLevel | None:
    row = await connection.fetchrow(LEVEL, sku)
    return InventoryLevel(**row) if row is not None else None
