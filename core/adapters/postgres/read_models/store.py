"""The read models in PostgreSQL: what a batch changes and how far it came are committed together, or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from core import codec
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.lanes import opened_with
from core.domain.message import OrderId, Sku
from core.errors import CheckpointMoved
from core.ports.reading import Changes
from core.projections import ALL
from core.projections.customer_summary import CUSTOMER_SUMMARY
from core.projections.daily_sales import DAILY_SALES
from core.projections.inventory_level import INVENTORY_LEVEL, InventoryLevel
from core.projections.order_view import ORDER_VIEW, OrderView
from core.projections.product_demand import PRODUCT_DEMAND
from core.projections.projection import Amounts, Projection, RowKey

# --- where a reader stands ----------------------------------------------------------------------------------
CLAIM = """
INSERT INTO checkpoints (reader, position, revision) VALUES ($1, 0, $2)
    ON CONFLICT (reader) DO UPDATE SET reader = excluded.reader
RETURNING position, revision
"""
RESTART = "UPDATE checkpoints SET position = 0, revision = $2, updated_at = clock_timestamp() WHERE reader = $1"
SAVE = f"SELECT save_read_models({', '.join(f'${n}' for n in range(1, 29))})"

LOAD_ORDERS = "SELECT order_id, document FROM order_views WHERE order_id = ANY ($1::uuid[])"
LOAD_LEVELS = """
SELECT sku, product_id, name, on_hand, reserved, available, updated_at, version
  FROM inventory_levels WHERE sku = ANY ($1::text[])
"""

_document = msgspec.json.Decoder(OrderView).decode


class PostgresReadModels:
    """See `core.ports.reading.ReadModels`."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._loader = Link(open_)
        # Rows and checkpoint are kept or lost together, and the log has it all: no need to wait for the disk.
        self._saver = Link(lambda: opened_with(open_, "synchronous_commit = off"))

    async def open(self, reader: str, revision: str) -> int:
        async def claim(connection: Connection) -> int:
            async with connection.transaction():
                row = await connection.fetchrow(CLAIM, reader, revision)
                assert row is not None  # noqa: S101 - RETURNING
                if row["revision"] == revision:
                    return int(row["position"])
                await connection.execute("TRUNCATE " + ", ".join(sorted(one.name for one in ALL)))
                await connection.execute(RESTART, reader, revision)
                return 0

        return await self._saver.run(claim)

    async def load(self, projection: Projection[Any], keys: Sequence[Any]) -> Mapping[Any, Any]:
        load = _LOADS[projection.name]
        return await self._loader.run(lambda connection: load(connection, keys))

    async def save(self, reader: str, changes: Changes) -> None:
        columns = _columns(changes)
        saved = await self._saver.once(lambda c: c.fetchval(SAVE, reader, changes.after, changes.position, *columns))
        if not saved:
            raise CheckpointMoved(reader, changes.after)

    def close(self) -> None:
        self._loader.close()
        self._saver.close()


async def _load_orders(connection: Connection, keys: Sequence[OrderId]) -> Mapping[OrderId, OrderView]:
    rows = await connection.fetch(LOAD_ORDERS, keys)
    return {row[0]: _document(row[1]) for row in rows}


async def _load_levels(connection: Connection, keys: Sequence[Sku]) -> Mapping[Sku, InventoryLevel]:
    rows = await connection.fetch(LOAD_LEVELS, keys)
    return {row["sku"]: InventoryLevel(**row) for row in rows}


def _columns(changes: Changes) -> list[list[Any]]:
    """What save_read_models takes, in its order."""
    orders: Sequence[OrderView] = changes.views.get(ORDER_VIEW.name, ())
    levels: Sequence[InventoryLevel] = changes.views.get(INVENTORY_LEVEL.name, ())
    return [
        [codec.json(view).decode() for view in sorted(orders, key=lambda view: view.order_id)],
        *_by_column([msgspec.structs.astuple(level) for level in sorted(levels, key=lambda level: level.sku)], 8),
        *_added(changes.sums.get(CUSTOMER_SUMMARY.name, {}), 5),
        *_added(changes.sums.get(PRODUCT_DEMAND.name, {}), 5),
        *_added(changes.sums.get(DAILY_SALES.name, {}), 6),
    ]


def _added(rows: Mapping[RowKey, Amounts], width: int) -> list[list[Any]]:
    return _by_column([(*key, *rows[key]) for key in sorted(rows)], width)


def _by_column(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


_LOADS: Mapping[str, Callable[[Connection, Sequence[Any]], Awaitable[Mapping[Any, Any]]]] = {
    ORDER_VIEW.name: _load_orders,
    INVENTORY_LEVEL.name: _load_levels,
}
