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
from core.ports import Changes
from core.projections import ALL
from core.projections.inventory_level import INVENTORY_LEVEL, InventoryLevel
from core.projections.order_view import ORDER_VIEW, OrderView
from core.projections.projection import Amounts, Projection, RowKey

Columns = list[list[Any]]

# --- where a reader stands ----------------------------------------------------------------------------------
CLAIM = """
INSERT INTO checkpoints (reader, position, revision) VALUES ($1, 0, $2)
    ON CONFLICT (reader) DO UPDATE SET reader = excluded.reader
RETURNING position, revision
"""
RESTART = "UPDATE checkpoints SET position = 0, revision = $2, updated_at = clock_timestamp() WHERE reader = $1"
# Compared with the position we started from: a second projector, or one that was frozen and woke up, finds that
# someone else has moved it, and rolls back. The row stays locked until the commit, so only one of two can pass.
MOVE = """
UPDATE checkpoints SET position = $3, updated_at = clock_timestamp()
 WHERE reader = $1 AND position = $2
RETURNING pg_notify('views', $3::bigint::text)
"""

# --- views: a whole new row; the guard against repeats is the version they were folded from -----------------
LOAD_ORDERS = "SELECT order_id, document FROM order_views WHERE order_id = ANY ($1::uuid[])"
SAVE_ORDERS = """
INSERT INTO order_views (order_id, version, customer_id, order_number, status, total_amount, skus,
                         tracking_number, created_at, updated_at, document)
SELECT d.order_id, d.version, d.customer_id, d.order_number, d.status, d.total_amount,
       ARRAY (SELECT i ->> 'sku' FROM json_array_elements(d.items) AS i),
       d.tracking_number, d.created_at, d.updated_at, document
  FROM unnest($1::text[]) AS document
 CROSS JOIN json_to_record(document::json)
    AS d(order_id uuid, version int, customer_id text, order_number text, status text, total_amount numeric,
         items json, tracking_number text, created_at timestamptz, updated_at timestamptz)
    ON CONFLICT (order_id) DO UPDATE SET
       version = excluded.version, status = excluded.status, tracking_number = excluded.tracking_number,
       updated_at = excluded.updated_at, document = excluded.document
"""
LOAD_LEVELS = """
SELECT sku, product_id, name, on_hand, reserved, available, updated_at, version
  FROM inventory_levels WHERE sku = ANY ($1::text[])
"""
SAVE_LEVELS = """
INSERT INTO inventory_levels AS t (sku, product_id, name, on_hand, reserved, available, updated_at, version)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                     $7::timestamptz[], $8::int[])
    ON CONFLICT (sku) DO UPDATE SET
       product_id = excluded.product_id, name = excluded.name, on_hand = excluded.on_hand,
       reserved = excluded.reserved, available = excluded.available, updated_at = excluded.updated_at,
       version = excluded.version
"""

# --- sums: amounts to add; of two moments the later one stays -----------------------------------------------
ADD: Mapping[str, str] = {
    "customer_summaries": """
INSERT INTO customer_summaries AS t (customer_id, currency, orders, spent, last_order_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::numeric[], $5::timestamptz[])
    ON CONFLICT (customer_id, currency) DO UPDATE SET
       orders = t.orders + excluded.orders, spent = t.spent + excluded.spent,
       last_order_at = greatest(t.last_order_at, excluded.last_order_at)
""",
    "product_demand": """
INSERT INTO product_demand AS t (sku, currency, units_ordered, units_live, revenue)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::numeric[])
    ON CONFLICT (sku, currency) DO UPDATE SET
       units_ordered = t.units_ordered + excluded.units_ordered, units_live = t.units_live + excluded.units_live,
       revenue = t.revenue + excluded.revenue
""",
    "daily_sales": """
INSERT INTO daily_sales AS t (day, currency, orders, confirmed, cancelled, revenue)
SELECT * FROM unnest($1::date[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::numeric[])
    ON CONFLICT (day, currency) DO UPDATE SET
       orders = t.orders + excluded.orders, confirmed = t.confirmed + excluded.confirmed,
       cancelled = t.cancelled + excluded.cancelled, revenue = t.revenue + excluded.revenue
""",
}

_document = msgspec.json.Decoder(OrderView).decode


class PostgresReadModels:
    """See `core.ports.ReadModels`."""

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
        connection = await self._saver.get()
        try:
            async with connection.transaction():
                await _move(connection, reader, changes)
                for name, views in sorted(changes.views.items()):
                    if views:
                        sql, columns = _SAVES[name]
                        await connection.execute(sql, *columns(views))
                # Last, in one order of tables and keys: rows that several readers touch are held shortest, and
                # nobody waits for someone who waits for him.
                for name, rows in sorted(changes.sums.items()):
                    if rows:
                        await connection.execute(ADD[name], *_added(rows))
        except BaseException:
            self._saver.drop()
            raise

    def close(self) -> None:
        self._loader.close()
        self._saver.close()


async def _move(connection: Connection, reader: str, changes: Changes) -> None:
    if not await connection.fetch(MOVE, reader, changes.after, changes.position):
        raise CheckpointMoved(reader, changes.after)


async def _load_orders(connection: Connection, keys: Sequence[OrderId]) -> Mapping[OrderId, OrderView]:
    rows = await connection.fetch(LOAD_ORDERS, keys)
    return {row[0]: _document(row[1]) for row in rows}


async def _load_levels(connection: Connection, keys: Sequence[Sku]) -> Mapping[Sku, InventoryLevel]:
    rows = await connection.fetch(LOAD_LEVELS, keys)
    return {row["sku"]: InventoryLevel(**row) for row in rows}


def _orders(views: Sequence[OrderView]) -> Columns:
    return [[codec.json(view).decode() for view in sorted(views, key=lambda view: view.order_id)]]


def _levels(levels: Sequence[InventoryLevel]) -> Columns:
    return _columns([msgspec.structs.astuple(level) for level in sorted(levels, key=lambda level: level.sku)])


def _added(rows: Mapping[RowKey, Amounts]) -> Columns:
    return _columns([(*key, *rows[key]) for key in sorted(rows)])


def _columns(rows: Sequence[tuple[Any, ...]]) -> Columns:
    return [list(column) for column in zip(*rows, strict=True)]


_LOADS: Mapping[str, Callable[[Connection, Sequence[Any]], Awaitable[Mapping[Any, Any]]]] = {
    ORDER_VIEW.name: _load_orders,
    INVENTORY_LEVEL.name: _load_levels,
}
_SAVES: Mapping[str, tuple[str, Callable[[Sequence[Any]], Columns]]] = {
    ORDER_VIEW.name: (SAVE_ORDERS, _orders),
    INVENTORY_LEVEL.name: (SAVE_LEVELS, _levels),
}
