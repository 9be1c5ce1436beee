"""The table order_views, and an order of it by its id or number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.read_models.table import DocumentTable
from core.ports.listed_orders import OrderDocument
from core.projections.order_view import ORDER_VIEW

TABLE = DocumentTable(
    ORDER_VIEW,
    of_streams="order_id = ANY ($1::uuid[])",
    fields=(
        "order_id",
        "version",
        "payment_version",
        "customer_id",
        "order_number",
        "status",
        "payment_status",
        "total_amount",
        "currency",
        "tracking_number",
        "payment_expires_at",
        "created_at",
        "updated_at",
    ),
    lists={"skus": lambda view: [item.sku for item in view.items]},
)

BY_ID = "SELECT order_id, version, payment_version, document FROM order_views WHERE order_id = ANY ($1::uuid[])"
BY_NUMBER = "SELECT version, payment_version, document FROM order_views WHERE order_number = $1"


async def orders_by_id(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, OrderDocument]:
    rows = await connection.fetch(BY_ID, ids)
    return {row["order_id"]: document_of(row) for row in rows}


async def order_by_number(connection: Connection, number: str) -> OrderDocument | None:
    row = await connection.fetchrow(BY_NUMBER, number)
    return document_of(row) if row is not None else None


def document_of(row: asyncpg.Record) -> OrderDocument:
    return OrderDocument(row["version"], row["payment_version"], row["document"].encode())
