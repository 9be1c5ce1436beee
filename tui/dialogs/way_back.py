"""Taking back the operator's last own action: the command that does it is proposed, tried and then asked for."""

from __future__ import annotations

from textual.dom import DOMNode

from tui.desk import Desk
from tui.dialogs.trial import cancel_trial, refund_trial, try_command
from tui.gateway import GatewayError
from tui.messages import Missed, Say
from tui.own_actions import OwnAction, way_back

_WAIT = 2.0  # seconds for the read model to show the action


async def propose_way_back(node: DOMNode, desk: Desk, action: OwnAction, on_screen: str) -> None:
    """Read the order as it is now and open the trial of the command; `on_screen` is the id of the order shown."""
    try:
        order = await desk.gateway.order(action.subject_id, min_version=action.version, wait=_WAIT)
    except GatewayError as error:
        node.post_message(Say(f"{action.named} could not be read: {error}"))
        node.post_message(Missed(f"{action.named} could not be read"))
        return
    verb, reason = way_back(action, order)
    if reason:
        node.post_message(Say(f"you {action.words}, which cannot be taken back now: {reason}"))
        node.post_message(Missed(reason))
        return
    told = [f"Your last action: you {action.words}. It is {order.status} now."]
    if order.order_id != on_screen:
        told.append("It is not the order on the screen.")
    make = cancel_trial if verb == "cancel" else refund_trial
    try_command(node, desk, make(order, *told, title=f"Take it back: {verb} {order.order_number}"), order.order_number)
