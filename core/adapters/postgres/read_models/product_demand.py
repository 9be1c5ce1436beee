"""product_demand: how much of each SKU was ordered and what it brought in, by currency."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import SumTable, select_under
from core.adapters.postgres.rows import Row, plain
from core.projections.product_demand import PRODUCT_DEMAND

DEMAND = select_under(SumTable(PRODUCT_DEMAND))


async def demand(connection: Connection, sku: str) -> Sequence[Row]:
    return plain(await connection.fetch(DEMAND, sku))
