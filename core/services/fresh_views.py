"""Fresh views: an order or a SKU with its newest events, even when the read models do not have them yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec

from core import codec
from core.domain.message import OrderId, Sku, StreamId, inventory_stream, payment_of
from core.domain.order import ORDER, Order
from core.errors import NotFound
from core.ports.listed_orders import OrderDocument
from core.ports.log import EventStore
from core.ports.queries import Queries
from core.ports.replicas import PositionNotReached
from core.ports.sagas import READER as SAGA_RUNNER
from core.projections import ORDERS, STOCK
from core.projections.inventory_level import STOCK_EVENTS, InventoryLevel
from core.projections.order_view import ORDER_EVENTS, PAYMENT_EVENTS, OrderView
from core.projections.projection import Group, Source, View
from core.services.fold_events import applied

ALL = 2**31  # above every version
PAGE = 1_000  # events that are in memory at once while a long stream is folded
LONGEST_CATCH_UP = 1.0  # seconds
YOUNG = timedelta(seconds=60)

V = TypeVar("V", bound=View)

ReadFrom = Literal["view", "log"]
"""Where an answer was read from: the read model as it is, or the log, whose newest events the read model lacks."""

_order_view = msgspec.json.Decoder(OrderView).decode


async def fresh_order(
    queries: Queries, order_id: OrderId, *, min_version: int = 0, min_payment_version: int = 0, wait: float = 0
) -> tuple[OrderDocument, ReadFrom]:
    """The view of an order at these versions of it and its payment, or later; or the newest, if these do not exist.

    Waits up to `wait` seconds for the read model, and then folds the events that the read model does not have yet. Of a
    YOUNG order that the read model does not have at all, only those that were asked for: the read model is getting it,
    and has its later events after the first ones, so that the next answer from there could be older than this one.
    Raises NotFound, Unavailable, UnknownEvent, PositionNotReached.
    """
    everything = False
    try:
        document = await queries.order(order_id)
    except PositionNotReached as error:
        if error.position > error.head:
            raise
        document, wait, everything = None, 0, True  # the log has that position, so all events of the order are folded
    if wait > 0 and (document is None or not document.shows(min_version, min_payment_version)):
        document = await queries.wait_for_order(
            order_id, version=max(1, min_version), payment_version=min_payment_version, within=wait
        )
    if document is not None and document.shows(min_version, min_payment_version):
        return document, "view"
    view = _order_view(document.json) if document is not None else None
    upto = (max(1, min_version), min_payment_version) if view is None and not everything else (ALL, ALL)
    view = await fold_on(queries, ORDERS, ORDER_EVENTS, StreamId(order_id), view, upto=upto[0])
    if view is None:
        raise NotFound("order", str(order_id))
    if upto[0] < ALL and abs(datetime.now(UTC) - view.created_at) > YOUNG:
        upto = ALL, ALL
        view = await fold_on(queries, ORDERS, ORDER_EVENTS, StreamId(order_id), view) or view
    payment = StreamId(payment_of(order_id))
    view = await fold_on(queries, ORDERS, PAYMENT_EVENTS, payment, view, upto=upto[1]) or view
    return OrderDocument(view.version, view.payment_version, codec.json(view)), "log"


async def fresh_order_of_number(queries: Queries, store: EventStore, number: str) -> OrderDocument:
    """The view of the order with this number. Raises NotFound, Unavailable.

    The log cannot be searched for a number, so if the read model does not know it, this waits up to 1 s until it does.
    """
    document = await queries.order_of_number(number)
    if document is None:
        await queries.wait_for_reader(ORDERS.reader, position=await store.head(), within=LONGEST_CATCH_UP)
        document = await queries.order_of_number(number)
    if document is None:
        raise NotFound("order", number)
    return document


async def fresh_level(queries: Queries, sku: Sku) -> tuple[InventoryLevel, ReadFrom]:
    """The stock of a SKU. If the read model does not have the SKU yet, its events are folded.

    Raises NotFound, Unavailable, UnknownEvent.
    """
    level = await queries.stock_level(sku)
    if level is not None:
        return level, "view"
    level = await fold_on(queries, STOCK, STOCK_EVENTS, inventory_stream(sku), None)
    if level is None:
        raise NotFound("SKU", sku)
    return level, "log"


async def order_state(queries: Queries, order_id: OrderId) -> Order:
    """The state of an order after all its events, as sagas see it. Raises UnknownEvent if one cannot be read."""
    state, version = ORDER.initial, 0
    while True:
        page = await queries.events_of_stream(order_id, after=version, limit=PAGE)
        events: Any = (each.event for stored in page for each in stored.recorded_for(SAGA_RUNNER))
        state = ORDER.fold(events, state)
        if len(page) < PAGE:
            return state
        version = page[-1].version


async def fold_on(
    queries: Queries,
    group: Group[V],
    source: Source,
    stream: StreamId,
    view: V | None,
    *,
    upto: int = ALL,
) -> V | None:
    """The view after the events of one stream of a source, up to a version. What it lacks is folded page by page.

    Without a view, the fold begins at the first event. Returns None if the events make no view. It ends before an event
    that cannot be applied; raises the error if that is the first one, such as UnknownEvent.
    """
    version = getattr(view, source.version) if view is not None else 0
    while version < upto:
        limit = min(PAGE, upto - version)
        page = await queries.events_of_stream(stream, after=version, limit=limit)
        for stored in page:
            try:
                view = applied(group, source, view, stored)
            except Exception:  # whatever it is: a projector sets such an event aside
                if view is None:
                    raise
                return view
        if len(page) < limit:
            break
        version = page[-1].version
    return view
