"""What an operator may decide about a saga: the keys for it, and the question with a reason and a dry run before it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.widgets import Input, Label

from core.pictures.shapes import WireSaga
from core.pictures.tracks import ENDED
from core.printable import clean
from core.terminal_text import money
from tui.action_table import Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.ask import Sentences
from tui.dialogs.dialog import ASK_AGAIN, NO_ANSWER, Dialog, key_line, open_dialog
from tui.gateway import CommandToSend, GatewayError, ServiceRefused
from tui.messages import Say, Send
from tui.viewmodels.text import Cell, wrapped
from tui.widgets.painted import TextPane
from tui.wire import WireEvent

LONGEST_REASON = 500  # characters
_SHOWN = 4  # open items, and events of the dry run, that the dialog has room for
_WIDE = 72  # cells of a line in the dialog


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
    """The reason that the saga cannot be steered now; the service knows better, and the dry run asks it."""
    if action not in STEERINGS:
        return None
    if saga is None:
        return "no saga is chosen"
    if saga.status in ENDED and action != "compensate":
        return f"this saga has ended: it is {clean(saga.status.lower(), 20)}"
    return desk.why_no_writes(saga.saga_id)


def ask_steer(node: DOMNode, desk: Desk, saga: WireSaga, steering: Steering) -> None:
    """Send it once the operator has given a reason, and the service has said that it would record it."""

    def answered(answer: Mapping[str, str] | None) -> None:
        if answer is None:
            node.post_message(Say("nothing was sent", "dim"))
        else:
            node.post_message(Send(_command(saga, steering, answer["reason"]), named(saga)))

    open_dialog(node, SteerDialog(desk, saga, steering), answered)


class SteerDialog(Dialog[Mapping[str, str]]):
    """Says where the saga stands and what a dry run would record; a reason and enter send it.

    The dry run begins when the dialog opens, and is asked for again while nobody answers. Enter waits for its first
    answer: what the service refuses is not sent. The reason is kept until a command with it was accepted.
    """

    def __init__(self, desk: Desk, saga: WireSaga, steering: Steering) -> None:
        super().__init__()
        self.desk = desk
        self.kept = desk.unsent(steering.verb, saga.saga_id)
        self.saga = saga
        self.steering = steering
        self.would = TextPane(id="would-record")
        self.would.can_focus = False
        self.refusal = ""
        self._answered = asyncio.Event()
        self._sending = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog small"):
            yield Label(f"{self.steering.label} {named(self.saga)}?", markup=False, classes="dialog-title")
            yield Sentences(told(self.saga, self.steering), focusable=False)
            yield self.would
            yield Label("Reason", markup=False, classes="field-label")
            yield Input(
                self.kept.get("reason", ""), id="reason", compact=True, select_on_focus=False, max_length=LONGEST_REASON
            )
            yield Label("", markup=False, classes="field-error")
            yield key_line([Action("enter", "send", self.steering.verb, "enter")], esc="no, leave it")

    def on_mount(self) -> None:
        self._show([[Cell("dry run …", "dim")]])
        self.run_worker(self._dry_run, group="dry-run", exit_on_error=False)

    async def _dry_run(self) -> None:
        while True:
            try:
                events = await self.desk.gateway.dry_run(_command(self.saga, self.steering, "dry run"))
            except ServiceRefused as refused:
                self.refusal = clean(str(refused), 300)
                self._show([[Cell(line, "bad")] for line in wrapped(f"✖ {self.refusal}", _WIDE)])
            except NO_ANSWER as error:  # what it would record is not known, and it can be sent all the same
                self._show(_no_dry_run(error))
                self._answered.set()
                await asyncio.sleep(ASK_AGAIN)
                continue
            except GatewayError as error:
                self._show(_no_dry_run(error))
            else:
                self._show(would_record(events))
            self._answered.set()
            self.query_one(".field-error", Label).update("")
            return

    def _show(self, lines: Sequence[Sequence[Cell]]) -> None:
        self.would.styles.height = len(lines)
        self.would.show(lines)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.kept["reason"] = event.value

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        reason = event.value.strip()
        if not reason:
            self.query_one(".field-error", Label).update("a reason is needed: it is kept with your name")
        elif self.is_current and not self._sending:
            self._sending = True
            self.run_worker(partial(self._send, reason), group="send", exit_on_error=False)

    async def _send(self, reason: str) -> None:
        await self._answered.wait()
        self._sending = False
        if self.refusal:
            self.query_one(".field-error", Label).update("it would be refused: esc leaves it as it is")
        elif why_not := self.desk.why_no_writes(self.saga.saga_id):
            self.query_one(".field-error", Label).update(why_not)
            self.run_worker(self._dry_run, group="dry-run", exclusive=True, exit_on_error=False)
        elif self.is_current:
            self.dismiss({"reason": reason})


def _no_dry_run(error: GatewayError) -> list[list[Cell]]:
    return [[Cell(line, "warn")] for line in wrapped(f"no dry run: {clean(str(error), 200)}", _WIDE)]


def _command(saga: WireSaga, steering: Steering, reason: str) -> CommandToSend:
    return CommandToSend(steering.verb, saga.saga_id, {"reason": reason}, kind="saga")


def named(saga: WireSaga) -> str:
    return clean(f"{saga.name} of {saga.order_number or saga.order_id}", 80)


def told(saga: WireSaga, steering: Steering) -> list[str]:
    """Where it stands, what is open, and what the decision does."""
    at = f"{clean(saga.status, 20)} at {clean(saga.step, 40)}" if saga.step else clean(saga.status, 20)
    held = saga.open.money
    at_risk = f"   {money(held.amount, held.currency)} open" if held else ""
    error = [f"why: {clean(saga.last_error, _WIDE)}"] if saga.last_error else []
    items = [f"! {clean(item, _WIDE)}" for item in saga.open.items[:_SHOWN]]
    return [f"{at}{at_risk}", *error, *items, steering.consequence]


def would_record(events: Sequence[WireEvent]) -> list[list[Cell]]:
    """What the dry run says, one event a line."""
    if not events:
        return [[Cell("dry run: it would record nothing", "dim")]]
    lines = [[Cell("would record ", "dim"), Cell(clean(event.event_type, 60), "good")] for event in events[:_SHOWN]]
    if len(events) > _SHOWN:
        lines.append([Cell(f"… and {len(events) - _SHOWN:,} more", "dim")])
    return lines
