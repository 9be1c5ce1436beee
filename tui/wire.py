"""The shapes of what the APIs answer: events, orders and problems; fields that the deck does not know are ignored."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

# A service may be foreign or broken. Python cannot write a number of more than 4,300 digits as text, and cannot compare
# a time without a zone with one that has a zone.
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Moment = Annotated[datetime, Meta(tz=True)]

NO_PAYLOAD = msgspec.Raw(b"{}")


class WireMetadata(Struct, frozen=True):
    correlation_id: str = ""
    causation_id: str | None = None
    user_id: str | None = None


class WireNewerEvent(Struct, frozen=True):
    """An event of a type that is recorded today, as which an older one counts."""

    event_type: str
    schema_version: Count
    payload: msgspec.Raw = NO_PAYLOAD


class WireEvent(Struct, frozen=True):
    """One recorded event; its payload stays bytes until it is needed. `became`: as what it counts, if not as itself."""

    event_type: str
    position: Count
    aggregate_id: str
    aggregate_type: str
    timestamp: Moment
    version: Count
    event_id: str = ""
    event_version: Count = 1
    schema_version: Count = 0  # of the payload as it is shown; 0 from a service that does not say it
    payload: msgspec.Raw = NO_PAYLOAD
    became: tuple[WireNewerEvent, ...] = ()
    metadata: WireMetadata = WireMetadata()

    @property
    def order_id(self) -> str:
        """The id of the order that the event is about: every event about an order carries it as its correlation."""
        return self.metadata.correlation_id or (self.aggregate_id if self.aggregate_type == "order" else "")


class WireItem(Struct, frozen=True):
    sku: str
    quantity: Count
    unit_price: Decimal
    product_id: str | None = None


class WireAddress(Struct, frozen=True):
    street: str = ""
    city: str = ""
    state: str = ""
    zip: str = ""
    country: str = ""


class WireOrder(Struct, frozen=True):
    """An order view, as the query API answers it."""

    order_id: str
    order_number: str
    customer_id: str
    status: str
    total_amount: Decimal
    currency: str
    created_at: Moment
    updated_at: Moment
    version: Count
    items: tuple[WireItem, ...] = ()
    shipping_address: WireAddress = WireAddress()
    tracking_number: str | None = None
    carrier: str | None = None
    payment_status: str = "ABSENT"
    authorized_amount: Decimal = Decimal(0)
    captured_amount: Decimal = Decimal(0)
    refunded_amount: Decimal = Decimal(0)
    payment_expires_at: Moment | None = None
    payment_version: Count = 0
    saga_state: str | None = None
    open_amount: Decimal | None = None
    read_from: str = "view"  # "log": the service folded it from the log, since its read model does not show it yet


class OrderPage(Struct, frozen=True):
    """One page of orders, newest first; `next_cursor` leads to older ones, `prev_cursor` to newer ones."""

    orders: tuple[WireOrder, ...]
    next_cursor: str | None = None
    prev_cursor: str | None = None
    total: Count | None = None
    total_estimated: bool = False


class FieldProblem(Struct, frozen=True):
    field: str = ""
    message: str = ""


class WireProblem(Struct, frozen=True):
    """An RFC 9457 document."""

    title: str = ""
    detail: str = ""
    code: str = ""
    error: str = ""
    errors: tuple[FieldProblem, ...] = ()


_payloads = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
T = TypeVar("T")


class Unreadable(ValueError):
    """Bytes that are not what they should be."""


def read_json(data: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    """Raises Unreadable, also for a number of thousands of digits or a text that is nested without end."""
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
        raise Unreadable(str(error)[:200]) from None


def payload_of(event: WireEvent) -> dict[str, Any]:
    """The payload as plain data; money stays decimal, and a payload that is no JSON object counts as empty."""
    try:
        return read_json(event.payload, _payloads)
    except Unreadable:
        return {}
