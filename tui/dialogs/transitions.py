"""The question before each transition of an order, and the command that its answer becomes."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from datetime import datetime

from core.printable import clean
from tui.dialogs.ask import Ask, Field
from tui.gateway import CommandToSend
from tui.viewmodels.payments import end_of_authorization, money_warning
from tui.viewmodels.statuses import CANCEL, CONFIRM, DELIVER, SHIP, Transition
from tui.viewmodels.text import money
from tui.wire import WireOrder

_CONSEQUENCE = {
    CONFIRM: "Fulfilment goes on by itself; should its payment fail later, the order is cancelled.",
    SHIP: "The payment is captured and the stock leaves the books.",
    DELIVER: "This ends the order.",
    CANCEL: "Stock is released and the payment voided. This cannot be taken back.",
}
_FIELDS = {
    SHIP: (Field("carrier", "Carrier"), Field("tracking_number", "Tracking number")),
    CANCEL: (Field("reason", "Reason"),),
}


def question(
    order: WireOrder, transition: Transition, now: datetime, kept: MutableMapping[str, str] | None = None
) -> Ask:
    """`kept` holds what was typed into this question before, and takes what is typed now."""
    named = f"{clean(order.order_number)}   {money(order.total_amount, order.currency)}   {clean(order.customer_id)}"
    title = f"{transition.verb.capitalize()} {clean(order.order_number)}?"
    warning = money_warning(order) if transition in (SHIP, DELIVER) else ""
    end = end_of_authorization(order, now) if transition is SHIP else ""
    if end.startswith("ended"):
        warning = f"The authorisation of its payment {end}: the amount is authorised anew first, which may be declined."
    told = [named, *([warning] if warning else []), _CONSEQUENCE[transition]]
    return Ask(title, told, _FIELDS.get(transition, ()), kept)


def command(order: WireOrder, transition: Transition, answer: Mapping[str, str]) -> CommandToSend:
    return CommandToSend(transition.verb, order.order_id, dict(answer))
