"""Own actions: the commands that this deck has sent, the newest last, and what would take the last one back."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import NamedTuple

from tui.gateway import CommandToSend
from tui.receipts import Receipt
from tui.viewmodels.refunds import why_no_refund
from tui.viewmodels.statuses import CANCEL, why_not
from tui.wire import WireOrder

MOST_ACTIONS = 50

# The command that takes back what a command did, and the reason where none does.
_TAKES_BACK = {"place": "cancel", "confirm": "cancel", "ship": "refund"}
_NOTHING = {
    "cancel": "nothing takes back a cancellation: place the order anew",
    "deliver": "nothing takes back a delivery; R refunds what the customer sends back",
    "refund": "nothing takes back a refund: the customer has to pay anew",
}
_DONE = {
    "place": "placed",
    "confirm": "confirmed",
    "cancel": "cancelled",
    "ship": "shipped",
    "deliver": "delivered",
    "refund": "refunded",
}


class OwnAction(NamedTuple):
    """A command that was accepted; `named` is the order's number, `version` that of the order or saga after it."""

    command: CommandToSend
    subject_id: str
    named: str
    version: int
    at: datetime

    @property
    def words(self) -> str:
        """`shipped ORD-1 at 10:42:11`."""
        verb = self.command.verb
        return f"{_DONE.get(verb, verb)} {self.named} at {self.at:%H:%M:%S}"


def own_action(receipt: Receipt, at: datetime) -> OwnAction:
    accepted = receipt.accepted
    number = receipt.order.order_number if receipt.order else accepted.order_number or accepted.subject_id
    return OwnAction(receipt.command, accepted.subject_id, number, accepted.version, at)


class OwnActions:
    def __init__(self) -> None:
        self._actions: deque[OwnAction] = deque(maxlen=MOST_ACTIONS)

    def note(self, action: OwnAction) -> None:
        self._actions.append(action)

    @property
    def order_ids(self) -> list[str]:
        """The orders of the commands, each once, the newest command first."""
        return list(dict.fromkeys(a.subject_id for a in reversed(self._actions) if a.command.kind == "order"))

    @property
    def last(self) -> OwnAction | None:
        return self._actions[-1] if self._actions else None


def why_no_way_back(action: OwnAction | None) -> str | None:
    """The reason that nothing takes the action back, whatever its order has become since; None if something may."""
    if action is None:
        return "you have sent no command since you opened this deck"
    verb = action.command.verb
    if action.command.kind == "saga":
        return f"nothing takes back your last action, {verb} of a saga: steer the saga on from where it is"
    if action.command.kind == "dead-letter":
        return f"nothing takes back your last action, {verb} of events that were set aside"
    if action.command.kind == "webhook":
        return f"nothing takes back your last action, {verb} of a webhook: 8 leads to the webhooks"
    return None if verb in _TAKES_BACK else f"{_NOTHING.get(verb, f'nothing takes back {verb}')} ({action.named})"


def way_back(action: OwnAction, order: WireOrder) -> tuple[str, str | None]:
    """The verb of the command that takes the action back, and the reason that its order does not allow it now, if any.

    What was to be cancelled and is shipped meanwhile can be refunded.
    """
    verb = _TAKES_BACK[action.command.verb]
    reason = why_not(CANCEL, order.status) if verb == "cancel" else why_no_refund(order)
    if verb == "cancel" and reason is not None and why_no_refund(order) is None:
        return "refund", None
    return verb, reason
