"""Reading a sum: the rows under one value of the first column of its key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import SumTable
from core.adapters.postgres.rows import Row, plain
from core.projections.projection import Sum


async def totals(connection: Connection, of: Sum[Any, Any, Any], key: Any) -> Sequence[Row]:
    """By the rest of the key, which the rows show with the amounts."""
    table = SumTable(of)
    first, *rest = table.key
    others = ", ".join(column for column in table.columns if column != first)
    query = f"SELECT {others} FROM {table.name} WHERE {first} = $1 ORDER BY {', '.join(rest) or first}"
    return plain(await connection.fetch(query, key))
