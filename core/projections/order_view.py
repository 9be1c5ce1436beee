"""order_views: every order with the state of its payment, as the query API and the deck show it."""

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
from core.domain.payment import PASSAGES as PAYMENT_PASSAGES
from core.domain.payment import PAYMENT, Payment, PaymentEvent, PaymentStatus
from core.projections.projection import At, Projection, Source

CANCELLED = Status.CANCELLED
CONFIRMED = (Status.CONFIRMED, Status.SHIPPED, Status.DELIVERED)  # no set, whose look-ups hash in Python
"""The statuses of an order that was confirmed and not cancelled since."""


class OrderView(Struct, frozen=True, gc=False):
    """`status` says how far the order is, `payment_status` how far its money is. `version` counts the order's events.

    The amounts and the three fields that begin with `payment_` are those of the order's payment, and `payment_version`
    counts its events. Without one, the payment is ABSENT and the amounts are 0.
    """

    order_id: OrderId
    customer_id: str
    order_number: str
    status: Status
    payment_status: PaymentStatus
    total_amount: Decimal
    authorized_amount: Decimal
    captured_amount: Decimal
    refunded_amount: Decimal
    currency: str
    items: tuple[Item, ...]
    shipping_address: Address
    tracking_number: str | None
    carrier: str | None
    payment_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    payment_version: int


ORDER_EVENTS = Source(ORDER.category, (OrderCreated, OrderConfirmed, OrderCancelled, OrderShipped, OrderDelivered))
PAYMENT_EVENTS = Source(PAYMENT.category, tuple(PAYMENT_PASSAGES), version="payment_version")


def stream(view: OrderView) -> StreamId:
    return StreamId(view.order_id)


def evolve(view: OrderView | None, event: OrderEvent | PaymentEvent, at: At) -> OrderView | None:
    match event:
        case OrderCreated() as e:
            nothing = e.total_amount - e.total_amount  # 0 with the decimals of the currency
            return OrderView(  # in the order of the fields: so many take seven times as long by their names
                e.order_id,
                e.customer_id,
                e.order_number,
                Status.CREATED,
                PaymentStatus.ABSENT,
                e.total_amount,
                nothing,  # authorised
                nothing,  # captured
                nothing,  # refunded
                e.currency,
                e.items,
                e.shipping_address,
                None,  # no number to track it by
                None,  # no carrier
                None,  # the payment does not expire
                e.created_at,
                at.time,
                at.version,
                0,  # no event of the payment
            )
        case _ if view is None:
            return None
        case OrderConfirmed():
            return replace(view, status=Status.CONFIRMED)
        case PaymentEvent():
            return _with_payment(view, event)
        case OrderCancelled():
            return replace(view, status=Status.CANCELLED)
        case OrderShipped(tracking_number=number, carrier=carrier):
            return replace(view, status=Status.SHIPPED, tracking_number=number, carrier=carrier)
        case OrderDelivered():
            return replace(view, status=Status.DELIVERED)
        case _:
            return view


def _with_payment(view: OrderView, event: PaymentEvent) -> OrderView:
    before = Payment(
        status=view.payment_status,
        amount=view.authorized_amount,
        currency=view.currency,
        captured=view.captured_amount,
        refunded=view.refunded_amount,
        expires_at=view.payment_expires_at,
    )
    payment = PAYMENT.evolve(before, event)
    return replace(
        view,
        payment_status=payment.status,
        authorized_amount=payment.amount,
        captured_amount=payment.captured,
        refunded_amount=payment.refunded,
        payment_expires_at=payment.expires_at,
    )


def spent(view: OrderView | None) -> Decimal:
    """What the customer has paid for the order: the amount captured, without what was refunded of it."""
    return view.captured_amount - view.refunded_amount if view is not None else Decimal(0)


def spent_since(before: OrderView | None, after: OrderView) -> Decimal:
    """How much more is spent than before."""
    now = after.captured_amount - after.refunded_amount
    return now if before is None else now - (before.captured_amount - before.refunded_amount)


ORDER_VIEW = Projection(
    name="order_views",
    revision=2,
    sources=(ORDER_EVENTS, PAYMENT_EVENTS),
    view=OrderView,
    key="order_id",
    stream=stream,
    evolve=evolve,
)
