"""What money and stock a saga may still hold, from its own stream and its order's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.domain.message import StreamId
from core.domain.order import ORDER
from core.ports import EventStore
from core.sagas import SAGAS
from core.sagas.actions import quantities
from core.sagas.record import open_items, open_steps
from core.sagas.saga import Progress, evolve
from core.services.load import load_state
from daemons.query_api.answers import Open, OpenMoney, OpenStock

HOLDS_MONEY = {"authorize_payment", "void_payment", "capture_payment"}
HOLDS_STOCK = {"reserve_inventory", "release_inventory", "ship_inventory"}
UNFINISHED = {"RUNNING", "COMPENSATING", "FAILED"}


async def still_open(store: EventStore, row: Mapping[str, Any]) -> Open:
    """Of one row of `sagas`; nothing for a saga that has ended, or whose table this release does not have."""
    saga = SAGAS.get((row["name"], row["definition"]))
    if saga is None or row["status"] not in UNFINISHED:
        return Open(money=None, stock=[], items=[])
    progress: Progress | None = None
    for event in await store.load(StreamId(row["saga_id"])):
        progress = evolve(progress, event.event, event.recorded_at)
    order = (await load_state(store, ORDER, StreamId(row["order_id"]))).state
    if progress is None or order.created is None:
        return Open(money=None, stock=[], items=[])
    steps = set(open_steps(saga, progress))
    money = OpenMoney(amount=order.created.total_amount, currency=order.created.currency)
    return Open(
        money=money if steps & HOLDS_MONEY else None,
        stock=[OpenStock(sku=sku, quantity=n) for sku, n in quantities(order).items()] if steps & HOLDS_STOCK else [],
        items=list(open_items(saga, progress, order)),
    )
