"""product_demand: how much of each SKU was ordered and what it brought in, by currency."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.totals import totals
from core.adapters.postgres.rows import Row
from core.projections.product_demand import PRODUCT_DEMAND


async def demand(connection: Connection, sku: str) -> Sequence[Row]:
    return await totals(connection, PRODUCT_DEMAND, sku)
