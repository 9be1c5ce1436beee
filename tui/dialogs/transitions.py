"""The questions before a transition of an order, and the command that their answer becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from functools import partial

from textual.dom import DOMNode

from core.printable import clean
from core.terminal_text import money
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field, Menu
from tui.dialogs.dialog import open_dialog
from tui.gateway import CommandToSend
from tui.messages import Say, Send
from tui.viewmodels.payments import end_of_authorization, money_warning
from tui.viewmodels.statuses import CANCEL, CONFIRM, DELIVER, SHIP, Transition, legal
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


def ask_transition(node: DOMNode, desk: Desk, order: WireOrder, transition: Transition | None) -> None:
    """Send the transition once the operator has confirmed it; without one, ask first which."""

    def chosen(transition: Transition | None) -> None:
        if transition is not None:
            kept = desk.unsent(transition.verb, order.order_id)
            why_not = partial(desk.why_no_writes, order.order_id)
            asked = question(order, transition, desk.now(), kept, why_not)
            open_dialog(node, asked, partial(answered, transition))

    def answered(transition: Transition, answer: Mapping[str, str] | None) -> None:
        if answer is None:
            node.post_message(Say("nothing was sent", "dim"))
        else:
            node.post_message(Send(command(order, transition, answer), order.order_number))

    if transition is None:
        title = f"{clean(order.order_number)} is {order.status}"
        open_dialog(node, Menu(title, legal(order.status)), chosen)
    else:
        chosen(transition)


def question(
    order: WireOrder,
    transition: Transition,
    now: datetime,
    kept: MutableMapping[str, str] | None = None,
    why_not: Callable[[], str | None] = lambda: None,
) -> Ask:
    """`kept` holds what was typed into this question before, and takes what is typed now."""
    named = f"{clean(order.order_number)}   {money(order.total_amount, order.currency)}   {clean(order.customer_id)}"
    title = f"{transition.verb.capitalize()} {clean(order.order_number)}?"
    warning = money_warning(order) if transition in (SHIP, DELIVER) else ""
    end = end_of_authorization(order, now) if transition is SHIP else ""
    if end.startswith("ended"):
        warning = f"The authorisation of its payment {end}: the amount is authorised anew first, which may be declined."
    told = [named, *([warning] if warning else []), _CONSEQUENCE[transition]]
    return Ask(title, told, _FIELDS.get(transition, ()), kept, why_not)


def command(order: WireOrder, transition: Transition, answer: Mapping[str, str]) -> CommandToSend:
    return CommandToSend(transition.verb, order.order_id, dict(answer))
