"""inventory_levels: stock by SKU."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import ViewTable, select
from core.adapters.postgres.rows import Row, plain
from core.projections.inventory_level import INVENTORY_LEVEL

# The SKU of a stream stands in each of its events, so also in the first.
TABLE = ViewTable(
    INVENTORY_LEVEL,
    of_streams="sku IN (SELECT payload ->> 'sku' FROM events WHERE stream_id = ANY ($1::uuid[]) AND version = 1)",
)

LEVELS = f"{select(TABLE)} WHERE sku > $1 ORDER BY sku LIMIT $2"
LEVEL = f"{select(TABLE)} WHERE sku = $1"


async def stock_levels(connection: Connection, *, after: str, limit: int) -> Sequence[Row]:
    """By SKU."""
    return plain(await connection.fetch(LEVELS, after, limit))


async def stock_level(connection: Connection, sku: str) -> Row | None:
    rows = plain(await connection.fetch(LEVEL, sku))
    return rows[0] if rows else None
