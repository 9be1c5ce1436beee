"""order_views: every order as the query API and the deck show it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from core.domain.message import OrderId, StreamId
from core.domain.order import (
    ORDER,
    Address,
    Item,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderDelivered,
    OrderEvent,
    OrderShipped,
    Status,
)
from core.projections.projection import At, Projection

SOLD = frozenset({Status.CONFIRMED, Status.SHIPPED, Status.DELIVERED})
"""The statuses in which an order's total counts as money spent."""


class OrderView(Struct, frozen=True, kw_only=True):
    order_id: OrderId
    customer_id: str
    order_number: str
    status: Status
    total_amount: Decimal
    currency: str
    items: tuple[Item, ...]
    shipping_address: Address
    tracking_number: str | None
    carrier: str | None
    created_at: datetime
    updated_at: datetime
    version: int


READS: tuple[type[OrderEvent], ...] = (OrderCreated, OrderConfirmed, OrderCancelled, OrderShipped, OrderDelivered)


def stream(view: OrderView) -> StreamId:
    return StreamId(view.order_id)


def evolve(view: OrderView | None, event: OrderEvent, at: At) -> OrderView | None:
    match event:
        case OrderCreated() as e:
            return OrderView(
                order_id=e.order_id,
                customer_id=e.customer_id,
                order_number=e.order_number,
                status=Status.CREATED,
                total_amount=e.total_amount,
                currency=e.currency,
                items=e.items,
                shipping_address=e.shipping_address,
                tracking_number=None,
                carrier=None,
                created_at=e.created_at,
                updated_at=at.time,
                version=at.version,
            )
        case _ if view is None:
            return None
        case OrderConfirmed():
            return replace(view, status=Status.CONFIRMED)
        case OrderCancelled():
            return replace(view, status=Status.CANCELLED)
        case OrderShipped(tracking_number=number, carrier=carrier):
            return replace(view, status=Status.SHIPPED, tracking_number=number, carrier=carrier)
        case OrderDelivered():
            return replace(view, status=Status.DELIVERED)
        case _:
            return view


def spent(view: OrderView | None) -> Decimal:
    """The order's total if it counts as money spent, and 0 if it does not."""
    return view.total_amount if view is not None and view.status in SOLD else Decimal(0)


ORDER_VIEW = Projection(
    name="order_views",
    revision=1,
    category=ORDER.category,
    view=OrderView,
    key="order_id",
    stream=stream,
    reads=READS,
    evolve=evolve,
)
