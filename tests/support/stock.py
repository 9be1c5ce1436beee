"""Histories of a SKU: receipts, reservations, releases and shipments in any order, recorded or not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.inventory import (
    INVENTORY,
    AdjustStock,
    InventoryCommand,
    InventoryEvent,
    ReceiveStock,
    ReleaseInventory,
    ReserveInventory,
    ShipInventory,
)
from core.domain.message import Metadata, OrderId, ReservationId, Sku, StreamId, inventory_stream
from core.errors import Rejected
from core.ports.log import Append, Entry, EventStore, NewEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SKU = Sku("LONG")
AT = inventory_stream(SKU)
KINDS = ("receive", "adjust", "reserve", "release", "ship")

Move = tuple[str, int, int]
"""What, for which order, how many."""

MOVES: st.SearchStrategy[list[Move]] = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(1, 12), st.integers(1, 9)), max_size=120
)


def some_moves(count: int, seed: int = 7) -> list[Move]:
    rng = Random(seed)
    return [(rng.choice(KINDS), rng.randint(1, 40), rng.randint(1, 9)) for _ in range(count)]


def history(moves: Iterable[Move]) -> list[InventoryEvent]:
    """The events that these wishes lead to; some lead to none."""
    events: list[InventoryEvent] = []
    stock = INVENTORY.initial
    for kind, order, quantity in moves:
        with contextlib.suppress(Rejected):  # a correction of more than there is
            made = INVENTORY.decide(_command(kind, order, quantity), stock)
            stock = INVENTORY.fold(made, stock)
            events += made
    return events


def receipts(count: int) -> list[InventoryEvent]:
    return history(("receive", 0, 1) for _ in range(count))


async def record(store: EventStore, events: Sequence[InventoryEvent], *, at: StreamId = AT, after: int = 0) -> None:
    metadata = Metadata(correlation_id=at)
    for first in range(0, len(events), 500):
        part = [NewEvent(uuid7(), event, metadata) for event in events[first : first + 500]]
        await store.append(Append([Entry(at, INVENTORY.category, after + first, part)]))


async def wait_for_snapshots(store: PostgresEventStore) -> None:
    """Wait until every snapshot that the store was given is written."""
    async with asyncio.timeout(60):
        while store.snapshots._task is not None:
            await asyncio.wait([store.snapshots._task])


def _command(kind: str, order: int, quantity: int) -> InventoryCommand:
    order_id, id_ = OrderId(UUID(int=order)), ReservationId(UUID(int=order << 64))
    match kind:
        case "receive":
            return ReceiveStock(now=NOW, sku=SKU, quantity=quantity)
        case "adjust":
            return AdjustStock(now=NOW, sku=SKU, quantity=quantity if order % 2 else -quantity, reason="counted")
        case "reserve":
            return ReserveInventory(now=NOW, sku=SKU, order_id=order_id, reservation_id=id_, quantity=quantity)
        case "release":
            return ReleaseInventory(now=NOW, sku=SKU, order_id=order_id, reservation_id=id_, reason="cancelled")
        case _:
            return ShipInventory(now=NOW, sku=SKU, order_id=order_id, reservation_id=id_)
