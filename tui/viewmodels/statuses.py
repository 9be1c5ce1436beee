"""Order statuses as the deck shows them: a glyph, a word, a tone, and what may be done next."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from core.domain.order import PASSAGES, OrderCancelled, OrderConfirmed, OrderDelivered, OrderShipped
from core.printable import clean
from tui.viewmodels.payments import PAYMENT_EVENTS, after_payment_event
from tui.viewmodels.text import Cell
from tui.wire import WireAddress, WireEvent, WireOrder, payload_of


class Transition(NamedTuple):
    """One thing an operator can do with an order; `verb` is what the API calls it."""

    verb: str
    key: str
    label: str


CONFIRM = Transition("confirm", "o", "Confirm")
SHIP = Transition("ship", "s", "Ship…")
DELIVER = Transition("deliver", "d", "Deliver")
CANCEL = Transition("cancel", "c", "Cancel…")

_EVENTS = {CONFIRM: OrderConfirmed, SHIP: OrderShipped, DELIVER: OrderDelivered, CANCEL: OrderCancelled}
_LOOKS = {
    "CREATED": ("○", "fresh"),
    "CONFIRMED": ("◆", "good"),
    "SHIPPED": ("▶", "moving"),
    "DELIVERED": ("✔", "done"),
    "CANCELLED": ("✖", "bad"),
}
STATUSES = tuple(_LOOKS)
_LEGAL = {status: tuple(t for t, event in _EVENTS.items() if status in PASSAGES[event].after) for status in STATUSES}
STATUS_AFTER = {str(kind.__struct_config__.tag): passage.to.value for kind, passage in PASSAGES.items() if passage.to}
SHOWN = frozenset({*STATUS_AFTER, *PAYMENT_EVENTS})
"""The types of the events that change what the list shows of an order."""


def status_cell(status: str) -> Cell:
    glyph, tone = _LOOKS.get(status, ("?", "warn"))
    return Cell(f"{glyph} {clean(status, 20)}", tone)


def legal(status: str) -> tuple[Transition, ...]:
    return _LEGAL.get(status, ())


def why_not(transition: Transition, status: str) -> str | None:
    """The reason that this transition is not allowed, as a sentence; None when it is."""
    if transition in legal(status):
        return None
    allowed = " or ".join(t.verb for t in legal(status))
    now = f"allowed is {allowed}" if allowed else "it has ended"
    return f"cannot {transition.verb} an order that is {status}: {now}"


def after_event(order: WireOrder, event: WireEvent) -> WireOrder:
    """The order as it is after one more event of its own or of its payment; an older event changes nothing."""
    if event.event_type in PAYMENT_EVENTS:
        return after_payment_event(order, event)
    if event.version <= order.version or event.event_type not in STATUS_AFTER:
        return order
    payload = payload_of(event) if event.event_type == "OrderShipped" else {}
    return msgspec.structs.replace(
        order,
        status=STATUS_AFTER[event.event_type],
        version=event.version,
        updated_at=event.timestamp,
        tracking_number=payload.get("tracking_number", order.tracking_number),
        carrier=payload.get("carrier", order.carrier),
    )


def order_from(event: WireEvent) -> WireOrder | None:
    """The order that an OrderCreated event creates; None when its payload cannot be read."""
    payload = payload_of(event)
    fields: dict[str, Any] = {
        "created_at": event.timestamp,
        **payload,
        "order_id": event.aggregate_id,
        "status": "CREATED",
        "updated_at": event.timestamp,
        "version": event.version,
    }
    try:
        return msgspec.convert(fields, WireOrder)
    except (msgspec.MsgspecError, ValueError, ArithmeticError):
        return None


def one_line(address: WireAddress) -> str:
    """The address; of a customer who is erased, whose address says so in each part, it is this word alone."""
    parts = [address.street, address.city, address.state, address.zip, address.country]
    given = [part for part in parts if part]
    return clean(given[0] if len(given) > 1 and len(set(given)) == 1 else ", ".join(given))
