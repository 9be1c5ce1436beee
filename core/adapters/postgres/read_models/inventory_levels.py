"""inventory_levels: stock by SKU."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.projections.inventory_level import InventoryLevel

LEVELS = """
SELECT sku, product_id, name, on_hand, reserved, available, updated_at, version
  FROM inventory_levels WHERE sku > $1 ORDER BY sku LIMIT $2
"""
LEVEL = """
SELECT sku, product_id, name, on_hand, reserved, available, updated_at, version
  FROM inventory_levels WHERE sku = $1
"""


async def stock_levels(connection: Connection, *, after: str, limit: int) -> Sequence[InventoryLevel]:
    """By SKU."""
    return [InventoryLevel(**row) for row in await connection.fetch(LEVELS, after, limit)]


async def stock_level(connection: Connection, sku: str) -> InventoryLevel | None:
    row = await connection.fetchrow(LEVEL, sku)
    return InventoryLevel(**row) if row is not None else None
