"""inventory_levels: stock by SKU."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.rows import Row, plain

LEVELS = """
SELECT sku, product_id, name, on_hand, reserved, available, updated_at, version
  FROM inventory_levels WHERE sku > $1 ORDER BY sku LIMIT $2
"""
LEVEL = """
SELECT sku, product_id, name, on_hand, reserved, available, updated_at, version
  FROM inventory_levels WHERE sku = $1
"""


async def stock_levels(connection: Connection, *, after: str, limit: int) -> Sequence[Row]:
    """By SKU."""
    return plain(await connection.fetch(LEVELS, after, limit))


async def stock_level(connection: Connection, sku: str) -> Row | None:
    rows = plain(await connection.fetch(LEVEL, sku))
    return rows[0] if rows else None
