"""product_demand: how much of each SKU was ordered and what it brought in, by currency."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.rows import Row, plain

DEMAND = "SELECT currency, units_ordered, units_live, revenue FROM product_demand WHERE sku = $1 ORDER BY currency"


async def demand(connection: Connection, sku: str) -> Sequence[Row]:
    return plain(await connection.fetch(DEMAND, sku))
