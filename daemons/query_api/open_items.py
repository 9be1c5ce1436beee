"""Works out what money and stock a saga may still hold, from the saga's stream and its order's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
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

    If the authorisation of a completed saga ends soon, or has ended, its amount is open, and the words say when.

    When its stream cannot be read, the answer says so, and the list of sagas it stands in is answered all the same.
    """
    try:
        if row["state"] == "expiring":
            return await _authorised(store, row)
        return await _read(store, row) if row["status"] in UNFINISHED else NOTHING
    except UNREADABLE as error:
        return Open(money=None, stock=[], items=[f"what it holds cannot be read: {error}"])


async def _authorised(store: EventStore, row: Mapping[str, Any]) -> Open:
    created = (await load_state(store, ORDER, StreamId(row["order_id"]))).state.created
    if created is None:
        return NOTHING
    money = f"{created.total_amount} {created.currency}"
    words = end_of_authorisation(money, row["authorization_ends_at"], row["authorization_ends_in"])
    return Open(money=OpenMoney(amount=created.total_amount, currency=created.currency), stock=[], items=[words])


def end_of_authorisation(money: str, ends_at: datetime, seconds: float) -> str:
    """A sentence that says when the authorisation of this amount ends; `seconds` are those until then."""
    if seconds > 0:
        return f"the authorisation of {money} ends in {_span(seconds)}, at {ends_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"the authorisation of {money} ended {_span(-seconds)} ago: shipping the order authorises it anew"


def _span(seconds: float) -> str:
    """A time in its largest unit: `3 h`."""
    for unit, length in (("days", 48 * 3600), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // (24 * 3600 if unit == 'days' else length):.0f} {unit}"
    return f"{seconds:.0f} s"


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
