"""What an operator may decide about a saga: the keys for it, and the question with a reason before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from textual.dom import DOMNode

from core.pictures.shapes import WireSaga
from core.pictures.tracks import ENDED
from core.printable import clean
from tui.action_table import Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field
from tui.dialogs.dialog import open_dialog
from tui.gateway import CommandToSend
from tui.messages import Say, Send


class Steering(NamedTuple):
    """`verb` is what the API calls it, `consequence` what it does."""

    verb: str
    label: str
    consequence: str


RETRY = Steering("retry", "Retry", "The step at which it stands begins again at once, with all its tries.")
SKIP = Steering("skip-step", "Skip a step of", "The step at which it stands is left as it is, and the rest is done.")
COMPENSATE = Steering("compensate", "Compensate", "What may have happened is undone, the last step first.")
RESOLVE = Steering("resolve", "Resolve", "It ends here: what is open you have settled elsewhere.")

STEER = ActionTable(
    "steer",
    "Steering a saga",
    (
        Action("r", "retry", "retry…", "r", bar=True, danger=Danger.TYPED),
        Action("S", "skip", "skip…", "S", bar=True, danger=Danger.TYPED),
        Action("C", "compensate", "compensate…", "C", danger=Danger.TYPED),
        Action("V", "resolve", "resolve…", "V", bar=True, danger=Danger.TYPED),
    ),
)
STEERINGS = {"retry": RETRY, "skip": SKIP, "compensate": COMPENSATE, "resolve": RESOLVE}


def why_not_steer(desk: Desk, action: str, saga: WireSaga | None) -> str | None:
    """The reason that the saga cannot be steered now; the service knows better, and says so before anything is sent."""
    if action not in STEERINGS:
        return None
    if saga is None:
        return "no saga is chosen"
    if saga.status in ENDED and action != "compensate":
        return f"this saga has ended: it is {clean(saga.status.lower(), 20)}"
    return desk.why_no_writes(saga.saga_id)


def ask_steer(node: DOMNode, saga: WireSaga, steering: Steering) -> None:
    """Send it once the operator has given a reason."""

    def answered(answer: Mapping[str, str] | None) -> None:
        if answer is None:
            node.post_message(Say("nothing was sent", "dim"))
        else:
            command = CommandToSend(steering.verb, saga.saga_id, dict(answer), kind="saga")
            node.post_message(Send(command, named(saga)))

    open_dialog(
        node, Ask(f"{steering.label} {named(saga)}?", told(saga, steering), [Field("reason", "Reason")]), answered
    )


def named(saga: WireSaga) -> str:
    return clean(f"{saga.name} of {saga.order_number or saga.order_id}", 80)


def told(saga: WireSaga, steering: Steering) -> list[str]:
    """Where it stands, what is open, and what the decision does."""
    at = f"{clean(saga.status, 20)} at {clean(saga.step, 40)}" if saga.step else clean(saga.status, 20)
    error = [f"why: {clean(saga.last_error, 200)}"] if saga.last_error else []
    return [at, *error, *(f"! {clean(item, 200)}" for item in saga.open.items[:4]), steering.consequence]
