"""Order: what a customer bought, and whether it is confirmed, cancelled, shipped or delivered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from core.domain.address import Address, check_address
from core.domain.decider import Decider
from core.domain.item import Item, check_items
from core.domain.message import Command, Event, OrderId
from core.domain.money import DECIMALS, code_of, exact, largest
from core.domain.passage import Passage
from core.domain.payment import Payment
from core.domain.payment_method import PaymentMethod, check_method
from core.domain.refunds import Returned, agree, check
from core.domain.sealed_customer import PSEUDONYM
from core.domain.validation import Fields
from core.errors import NotAllowed, NotFound

CARD = PaymentMethod(type="card")


# --- values -------------------------------------------------------------------------------------------------
class Status(StrEnum):
    ABSENT = "ABSENT"
    CREATED = "CREATED"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"


# --- events: these names and fields are the storage format --------------------------------------------------
class OrderEvent(Event, frozen=True, kw_only=True):
    order_id: OrderId


class OrderCreated(OrderEvent, tag="OrderCreated", frozen=True, kw_only=True):
    schema_version: ClassVar[int] = 2

    customer_id: str
    order_number: str
    items: tuple[Item, ...]
    total_amount: Decimal
    currency: str
    shipping_address: Address
    payment_method: PaymentMethod
    created_at: datetime


class OrderConfirmed(OrderEvent, tag="OrderConfirmed", frozen=True, kw_only=True):
    confirmed_at: datetime


class OrderCancelled(OrderEvent, tag="OrderCancelled", frozen=True, kw_only=True):
    reason: str
    cancelled_at: datetime


class OrderShipped(OrderEvent, tag="OrderShipped", frozen=True, kw_only=True):
    tracking_number: str
    carrier: str
    shipped_at: datetime


class OrderDelivered(OrderEvent, tag="OrderDelivered", frozen=True, kw_only=True):
    delivered_at: datetime


class RefundRequested(OrderEvent, tag="RefundRequested", frozen=True, kw_only=True):
    """Whether the provider has made the refund is recorded with the order's payment, under the same `refund_id`."""

    refund_id: str
    amount: Decimal
    currency: str
    reason: str
    restock: tuple[Returned, ...] = ()
    requested_at: datetime


# --- statuses: which ones each event may follow, and to which one it leads ----------------------------------
PASSAGES: Mapping[type[OrderEvent], Passage[Status]] = {
    OrderCreated: Passage((Status.ABSENT,), Status.CREATED),
    OrderConfirmed: Passage((Status.CREATED,), Status.CONFIRMED),
    OrderCancelled: Passage((Status.CREATED, Status.CONFIRMED), Status.CANCELLED),
    OrderShipped: Passage((Status.CONFIRMED,), Status.SHIPPED),
    OrderDelivered: Passage((Status.SHIPPED,), Status.DELIVERED),
    RefundRequested: Passage((Status.SHIPPED, Status.DELIVERED), None),
}


# --- commands -----------------------------------------------------------------------------------------------
class OrderCommand(Command, frozen=True, kw_only=True):
    order_id: OrderId


class CreateOrder(OrderCommand, frozen=True, kw_only=True):
    customer_id: str
    order_number: str
    items: tuple[Item, ...]
    shipping_address: Address
    payment_method: PaymentMethod = CARD
    currency: str = "USD"


class ConfirmOrder(OrderCommand, frozen=True, kw_only=True):
    pass


class CancelOrder(OrderCommand, frozen=True, kw_only=True):
    reason: str


class ShipOrder(OrderCommand, frozen=True, kw_only=True):
    tracking_number: str
    carrier: str


class DeliverOrder(OrderCommand, frozen=True, kw_only=True):
    pass


class RefundOrder(OrderCommand, frozen=True, kw_only=True):
    """`payment` is the order's payment as it was read with the order. `restock`: None for all that is not back yet."""

    refund_id: str
    amount: Decimal
    currency: str | None = None
    reason: str
    payment: Payment
    restock: tuple[Returned, ...] | None = ()


# --- state --------------------------------------------------------------------------------------------------
class Order(Struct, frozen=True, kw_only=True):
    status: Status = Status.ABSENT
    created: OrderCreated | None = None
    tracking_number: str | None = None
    carrier: str | None = None
    cancel_reason: str | None = None
    refunds: tuple[RefundRequested, ...] = ()


def evolve(order: Order, event: OrderEvent) -> Order:
    passage = PASSAGES.get(type(event))
    if passage is None:
        return order
    status = passage.to or order.status
    match event:
        case OrderCreated():
            return Order(status=status, created=event)
        case OrderCancelled(reason=reason):
            return replace(order, status=status, cancel_reason=reason)
        case OrderShipped(tracking_number=number, carrier=carrier):
            return replace(order, status=status, tracking_number=number, carrier=carrier)
        case RefundRequested():
            return replace(order, refunds=(*order.refunds, event))
        case _:
            return replace(order, status=status)


# --- decisions: a command that is repeated records nothing the second time ----------------------------------
def decide(command: OrderCommand, order: Order) -> Sequence[OrderEvent]:
    if order.status is Status.ABSENT and not isinstance(command, CreateOrder):
        raise NotFound("order", str(command.order_id))
    match command, order.status:
        case CreateOrder() as c, Status.ABSENT:
            return [_create(c)]
        case CreateOrder(), _:
            raise NotAllowed(f"order {command.order_id} exists already")
        case ConfirmOrder() as c, Status.CREATED:
            return [OrderConfirmed(order_id=c.order_id, confirmed_at=c.now)]
        case ConfirmOrder(), Status.CONFIRMED:
            return []
        case CancelOrder() as c, Status.CREATED | Status.CONFIRMED:
            _check_text(reason=c.reason)
            return [OrderCancelled(order_id=c.order_id, reason=c.reason, cancelled_at=c.now)]
        case CancelOrder() as c, Status.CANCELLED:
            _check_text(reason=c.reason)
            return []
        case ShipOrder() as c, Status.CONFIRMED:
            _check_text(tracking_number=c.tracking_number, carrier=c.carrier)
            return [
                OrderShipped(
                    order_id=c.order_id, tracking_number=c.tracking_number, carrier=c.carrier, shipped_at=c.now
                )
            ]
        case ShipOrder() as c, Status.SHIPPED | Status.DELIVERED if (c.tracking_number, c.carrier) == (
            order.tracking_number,
            order.carrier,
        ):
            return []
        case ShipOrder(), Status.SHIPPED:
            raise NotAllowed(f"the order was shipped already, with {order.carrier} {order.tracking_number}")
        case DeliverOrder() as c, Status.SHIPPED:
            return [OrderDelivered(order_id=c.order_id, delivered_at=c.now)]
        case DeliverOrder(), Status.DELIVERED:
            return []
        case RefundOrder() as c, Status.SHIPPED | Status.DELIVERED:
            return _refund(c, order)
        case _:
            verb = type(command).__name__.removesuffix("Order").lower()
            raise NotAllowed(f"cannot {verb} a {order.status.lower()} order")


def _create(c: CreateOrder) -> OrderCreated:
    fields, currency = Fields(), code_of(c.currency)
    fields.text("customer_id", c.customer_id, 100)
    if c.customer_id.startswith(PSEUDONYM):
        fields.check("customer_id", f"must not begin with {PSEUDONYM}, as the pseudonyms of customers do")
    check_items(fields, "items", c.items, currency)
    address = c.shipping_address
    check_address(fields, "shipping_address", address)
    check_method(fields, "payment_method", c.payment_method)
    if currency not in DECIMALS:
        fields.check("currency", "must be the ISO 4217 code of a means of payment, such as USD")
    fields.done()
    items = tuple(replace(item, unit_price=exact(item.unit_price, currency)) for item in c.items)
    total = sum((item.unit_price * item.quantity for item in items), Decimal(0))
    if total > largest(currency):
        fields.check("items", f"come to more than {largest(currency)} in total")
        fields.done()
    country = address.country
    return OrderCreated(
        order_id=c.order_id,
        customer_id=c.customer_id,
        order_number=c.order_number,
        items=items,
        total_amount=exact(total, currency),
        currency=currency,
        shipping_address=address if country.isupper() else replace(address, country=country.upper()),
        payment_method=c.payment_method,
        created_at=c.now,
    )


def _refund(c: RefundOrder, order: Order) -> Sequence[RefundRequested]:
    assert order.created is not None  # noqa: S101 - a shipped order was created
    fields, currency = Fields(), order.created.currency
    fields.text("reason", c.reason, 500)
    if c.currency is not None and code_of(c.currency) != currency:
        fields.check("currency", f"must be that of the order, {currency}")
    check(c.amount, currency, c.restock, fields)
    fields.done()
    if any(refund.refund_id == c.refund_id for refund in order.refunds):
        return []
    amount, restock = agree(c.amount, currency, c.restock, order.created.items, order.refunds, c.payment)
    return [
        RefundRequested(
            order_id=c.order_id,
            refund_id=c.refund_id,
            amount=amount,
            currency=currency,
            reason=c.reason,
            restock=restock,
            requested_at=c.now,
        )
    ]


def _check_text(**values: str) -> None:
    fields = Fields()
    for name, value in values.items():
        fields.text(name, value, 500 if name == "reason" else 100)
    fields.done()


ORDER = Decider(category="order", initial=Order(), decide=decide, evolve=evolve)
