"""Refunds as an operator asks for them: when one is possible, how much at most, and the body that is sent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.domain.order import PASSAGES, RefundRequested
from core.terminal_text import money
from tui.wire import WireOrder

_AFTER = tuple(status.value for status in PASSAGES[RefundRequested].after)
_PAID = ("CAPTURED", "PARTLY_REFUNDED", "REFUNDED")
_RESTOCK = {"": False, "no": False, "n": False, "yes": True, "y": True}


def refundable(order: WireOrder) -> Decimal:
    """What was captured and is not refunded; refunds under way are known to the server only."""
    return max(Decimal(0), order.captured_amount - order.refunded_amount)


def why_no_refund(order: WireOrder) -> str | None:
    """The reason that nothing can be refunded, as a sentence; None when something can."""
    if order.status not in _AFTER:
        return f"cannot refund an order that is {order.status}: only one that is {' or '.join(_AFTER)}"
    if order.payment_status not in _PAID:
        return f"there is nothing to refund: the payment is {order.payment_status}, and nothing was captured"
    if not refundable(order):
        return f"all of it is refunded: {money(order.refunded_amount, order.currency)}"
    return None


def refund_body(texts: Mapping[str, str]) -> dict[str, Any]:
    """The body to send. A text that means nothing is sent as it is, and the server names the error."""
    restock = texts["restock"].strip()
    return {
        "amount": texts["amount"].strip(),
        "reason": texts["reason"].strip(),
        "restock": _RESTOCK.get(restock.lower(), restock),
    }
