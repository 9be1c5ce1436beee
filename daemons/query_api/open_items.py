"""Works out how far a saga has come and what it may still hold, from the saga's stream and its order's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from core.codec import UNREADABLE
from core.domain.order import Order, OrderCreated
from core.ports.queries import Queries
from core.ports.sagas import READER as SAGA_RUNNER
from core.sagas import SAGAS
from core.sagas.holdings import at_stake, open_holdings, open_items
from core.sagas.progress import Progress
from core.sagas.saga import Saga, unknown_table
from core.sagas.step_lanes import LaneFold
from core.services.fresh_views import order_state
from daemons.query_api.answers import Open, OpenMoney, OpenStock

UNFINISHED = {"RUNNING", "COMPENSATING", "FAILED"}
PAGE = 1_000  # events in one reading
NOTHING = Open(money=None, stock=[], items=[])


class ReadSaga(NamedTuple):
    """A saga's stream as far as it can be read, the state of its order, and why either of them cannot be read.

    What operators have left out for the runners of sagas is left out here too.
    """

    fold: LaneFold
    order: Order | None
    unreadable: str | None


async def read_saga(queries: Queries, row: Mapping[str, Any]) -> ReadSaga:
    """Read the stream of the saga of this row of `sagas`. Of a saga that has ended, the order is not read."""
    table = SAGAS.get((row["name"], row["definition"])) or unknown_table(row["name"], row["definition"])
    fold, unreadable, order, after = LaneFold(table), None, None, 0
    while True:
        page = await queries.events_of_stream(row["saga_id"], after=after, limit=PAGE)
        for event in page:
            try:
                for recorded in event.recorded_for(SAGA_RUNNER):
                    fold.take(recorded.event, recorded.recorded_at)
            except UNREADABLE as error:
                unreadable = unreadable or str(error)
        if len(page) < PAGE:
            break
        after = page[-1].version
    try:
        if row["status"] in UNFINISHED or row["state"] == "expiring":
            order = await order_state(queries, row["order_id"])
    except UNREADABLE as error:
        unreadable = unreadable or str(error)
    return ReadSaga(fold, order, unreadable)


def still_open(found: ReadSaga, row: Mapping[str, Any]) -> Open:
    """What the saga of this row of `sagas` may still hold; nothing when it has ended.

    If the authorisation of a completed saga ends soon, or has ended, its amount is open, and the words say when.

    When its stream cannot be read, the answer says so, and the list of sagas it stands in is answered all the same.
    """
    if row["state"] != "expiring" and row["status"] not in UNFINISHED:
        return NOTHING
    if found.unreadable is not None:
        amount, currency = row["open_amount"], row["currency"]
        money = OpenMoney(amount=amount, currency=currency) if amount and currency else None
        return Open(money=money, stock=[], items=[f"what it holds cannot be read: {found.unreadable}"])
    progress, order = found.fold.progress, found.order
    if order is None or order.created is None:
        return NOTHING
    if row["state"] == "expiring":
        return _authorised(order.created, row)
    return NOTHING if progress is None else _held(found.fold.saga, progress, order, order.created)


def _authorised(created: OrderCreated, row: Mapping[str, Any]) -> Open:
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


def _held(saga: Saga, progress: Progress, order: Order, created: OrderCreated) -> Open:
    kinds = {holding.what for holding in open_holdings(saga, progress)}
    amount, units = at_stake(progress, order)
    stock = [OpenStock(sku=sku, quantity=n) for sku, n in units.items()]
    return Open(
        money=OpenMoney(amount=amount, currency=created.currency) if "money" in kinds else None,
        stock=stock if "stock" in kinds else [],
        items=list(open_items(saga, progress, order)),
    )
