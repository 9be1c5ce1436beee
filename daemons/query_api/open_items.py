"""Works out what money and stock a saga may still hold, from the saga's stream and its order's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.codec import UNREADABLE
from core.domain.message import StreamId
from core.domain.order import ORDER
from core.ports.log import EventStore
from core.sagas import SAGAS
from core.sagas.holdings import at_stake, open_holdings, open_items
from core.sagas.progress import Progress, evolve
from core.sagas.saga import unknown_table
from core.services.load import load_state
from daemons.query_api.answers import Open, OpenMoney, OpenStock

UNFINISHED = {"RUNNING", "COMPENSATING", "FAILED"}
NOTHING = Open(money=None, stock=[], items=[])


async def still_open(store: EventStore, row: Mapping[str, Any]) -> Open:
    """What the saga of this row of `sagas` may still hold; nothing when it has ended.

    When its stream cannot be read, the answer says so, and the list of sagas it stands in is answered all the same.
    """
    if row["status"] not in UNFINISHED:
        return NOTHING
    try:
        return await _read(store, row)
    except UNREADABLE as error:
        return Open(money=None, stock=[], items=[f"what it holds cannot be read: {error}"])


async def _read(store: EventStore, row: Mapping[str, Any]) -> Open:
    progress: Progress | None = None
    for event in await store.load(StreamId(row["saga_id"])):
        progress = evolve(progress, event.event, event.recorded_at)
    order = (await load_state(store, ORDER, StreamId(row["order_id"]))).state
    if progress is None or order.created is None:
        return NOTHING
    saga = SAGAS.get((row["name"], row["definition"])) or unknown_table(row["name"], row["definition"])
    kinds = {holding.what for holding in open_holdings(saga, progress)}
    amount, units = at_stake(progress, order)
    money = OpenMoney(amount=amount, currency=order.created.currency)
    stock = [OpenStock(sku=sku, quantity=n) for sku, n in units.items()]
    return Open(
        money=money if "money" in kinds else None,
        stock=stock if "stock" in kinds else [],
        items=list(open_items(saga, progress, order)),
    )
