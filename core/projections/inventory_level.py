"""inventory_levels: for each SKU, how much is on hand, how much of that is reserved, and how much can be sold."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from core.domain.inventory import (
    EVENTS,
    INVENTORY,
    InventoryEvent,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    StockAdjusted,
    StockReplenished,
    StockReturned,
)
from core.domain.message import Sku, StreamId, inventory_stream
from core.projections.projection import At, Projection, Source


class InventoryLevel(Struct, frozen=True, kw_only=True, gc=False):
    """`on_hand` units are in the warehouse: `reserved` ones for orders, and `available` ones that can still be sold."""

    sku: Sku
    product_id: str | None = None
    name: str | None = None
    on_hand: int = 0
    reserved: int = 0
    available: int = 0
    updated_at: datetime
    version: int


STOCK_EVENTS = Source(INVENTORY.category, EVENTS)


def stream(level: InventoryLevel) -> StreamId:
    return inventory_stream(level.sku)


def evolve(level: InventoryLevel | None, event: InventoryEvent, at: At) -> InventoryLevel | None:
    if level is None:
        level = InventoryLevel(sku=event.sku, updated_at=at.time, version=at.version)
    on_hand, reserved = level.on_hand, level.reserved
    product_id, name = level.product_id, level.name
    match event:
        case StockReplenished(quantity=quantity):
            on_hand += quantity
            product_id, name = event.product_id or product_id, event.name or name
        case StockAdjusted(quantity=quantity) | StockReturned(quantity=quantity):
            on_hand += quantity
        case InventoryReserved(quantity=quantity):
            reserved += quantity
        case InventoryReleased(quantity=quantity):
            reserved -= quantity
        case InventoryShipped(quantity=quantity):
            on_hand -= quantity
            reserved -= quantity
        case _:
            pass  # a failed reservation changes no quantity
    return replace(
        level,
        product_id=product_id,
        name=name,
        on_hand=on_hand,
        reserved=reserved,
        available=on_hand - reserved,
    )


INVENTORY_LEVEL = Projection(
    name="inventory_levels",
    revision=2,
    sources=(STOCK_EVENTS,),
    view=InventoryLevel,
    key="sku",
    stream=stream,
    evolve=evolve,
)
