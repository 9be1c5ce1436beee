"""Payments of orders as the deck shows them: a word and a tone, how much, and what their events change."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from core.domain.payment import PASSAGES, PAYMENT, Payment, PaymentStatus
from core.printable import clean
from core.terminal_text import money
from tui.viewmodels.text import Cell, age
from tui.wire import WireEvent, WireOrder, payload_of

_LOOKS = {
    "ABSENT": Cell("–", "dim"),
    "AUTHORIZED": Cell("AUTHORIZED", "fresh"),
    "FAILED": Cell("FAILED", "bad"),
    "VOIDED": Cell("VOIDED", "dim"),
    "CAPTURED": Cell("CAPTURED", "done"),
    "UNPAID": Cell("UNPAID", "bad"),
    "PARTLY_REFUNDED": Cell("PART REFUND", "warn"),
    "REFUNDED": Cell("REFUNDED", "warn"),
}
_SOON = timedelta(days=1)
PAYMENT_STATUSES = tuple(_LOOKS)
PAYMENT_EVENTS = {str(kind.__struct_config__.tag): kind for kind in PASSAGES}


def payment_cell(status: str) -> Cell:
    return _LOOKS.get(status) or Cell(f"? {clean(status, 20)}", "warn")


def how_much(order: WireOrder) -> str:
    """The amount that the payment's status speaks of, if it is not simply the order's total: `5.00 of 20.00 USD`."""
    captured = money(order.captured_amount, order.currency)
    match order.payment_status:
        case "PARTLY_REFUNDED" | "REFUNDED":
            return f"{money(order.refunded_amount, order.currency).split(' ')[0]} of {captured}"
        case "UNPAID":
            return money(order.authorized_amount, order.currency)
        case "CAPTURED" if captured != money(order.total_amount, order.currency):
            return captured
        case _:
            return ""


def money_warning(order: WireOrder) -> str:
    """A sentence for an operator who sends or hands over goods that are not paid; empty if there is nothing to say."""
    match order.payment_status:
        case "PARTLY_REFUNDED" | "REFUNDED":
            return f"The customer got money back: {how_much(order)} is refunded."
        case "UNPAID":
            return f"This order is not paid: the provider refuses to pay {how_much(order)}."
        case "VOIDED" | "FAILED":
            return f"This order is not paid: its payment is {order.payment_status.lower()}."
        case _:
            return ""


def end_of_authorization(order: WireOrder, now: datetime) -> str:
    """`ends in 3h` or `ended 5m ago`, from a day before the end until the order is shipped or cancelled; else empty."""
    ends_at = order.payment_expires_at
    if order.payment_status != "AUTHORIZED" or order.status not in ("CREATED", "CONFIRMED"):
        return ""
    if ends_at is None or ends_at.tzinfo is None or ends_at - now > _SOON:
        return ""
    return f"ends in {age(now, ends_at)}" if ends_at > now else f"ended {age(ends_at, now)} ago"


def payment_in_list(order: WireOrder, now: datetime) -> Cell:
    """The payment in a word; `ends in 3h` or `ended 5m` when somebody has to ship the order soon."""
    end = end_of_authorization(order, now)
    return Cell(end.removesuffix(" ago"), "warn") if end else payment_cell(order.payment_status)


def payment_after(payment: Payment, event: WireEvent) -> Payment:
    """The payment after one more of its events; one that cannot be read changes nothing."""
    try:
        return PAYMENT.evolve(payment, msgspec.convert(payload_of(event), PAYMENT_EVENTS[event.event_type]))
    except (msgspec.ValidationError, ArithmeticError):
        return payment


def after_payment_event(order: WireOrder, event: WireEvent) -> WireOrder:
    """The order as it is after one more event of its payment; an older event changes nothing."""
    if event.version <= order.payment_version:
        return order
    known = order.payment_status in PAYMENT_STATUSES
    payment = payment_after(
        Payment(
            status=PaymentStatus(order.payment_status) if known else PaymentStatus.ABSENT,
            amount=order.authorized_amount,
            currency=order.currency,
            captured=order.captured_amount,
            refunded=order.refunded_amount,
            expires_at=order.payment_expires_at,
        ),
        event,
    )
    return msgspec.structs.replace(
        order,
        payment_status=payment.status.value,
        authorized_amount=payment.amount,
        captured_amount=payment.captured,
        refunded_amount=payment.refunded,
        payment_expires_at=payment.expires_at,
        payment_version=event.version,
        updated_at=event.timestamp,
    )


def refund_words(payment: Payment, reason: str) -> str:
    """`refunded 5.00 of 20.00 USD: sent back`, where 5.00 is all that was refunded so far."""
    part, whole = money(payment.refunded, payment.currency), money(payment.captured, payment.currency)
    return f"refunded {part.split(' ')[0]} of {whole}{f': {reason}' if reason else ''}"
