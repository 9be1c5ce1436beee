"""Trial: a form for one command that shows what it would record while it is filled in, and sends it only then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.widgets import Input, Label

from core.printable import clean
from core.terminal_text import money
from tui.action_table import Action, ActionTable, bar
from tui.desk import Desk
from tui.dialogs.dialog import ASK_AGAIN, NO_ANSWER, Dialog, key_line, open_dialog
from tui.dialogs.new_order import FormField
from tui.gateway import CommandToSend, GatewayError, ServiceRefused
from tui.messages import Say, Send
from tui.viewmodels.not_let_in import is_of_the_key
from tui.viewmodels.refunds import refund_body, refundable
from tui.viewmodels.text import Cell
from tui.viewmodels.timeline import summary
from tui.widgets.painted import TextPane
from tui.wire import WireOrder

KEYS = ActionTable(
    "trial",
    "A command that is tried first",
    (Action("ctrl+s", "send", "send", "ctrl+s", bar=True),),
)
Texts = Mapping[str, str]


class Trial(NamedTuple):
    """A command to be tried, made by `make` of the texts in the fields; a field is its name, label and first text."""

    title: str
    lines: Sequence[str]
    fields: Sequence[tuple[str, str, str]]
    make: Callable[[Texts], CommandToSend]


class TrialDialog(Dialog[CommandToSend]):
    """Its answer is the command, once the server has said of just these texts what they would record.

    What is typed is kept until the command was accepted, and stands there again when it is tried anew.
    """

    BINDINGS: ClassVar[list[BindingType]] = KEYS.bindings()

    def __init__(self, desk: Desk, trial: Trial) -> None:
        super().__init__()
        self.desk = desk
        self.trial = trial
        untouched = trial.make({name: text for name, _, text in trial.fields})
        self.kept = desk.unsent(untouched.verb, untouched.subject_id or "")
        self.outcome = TextPane()
        self.outcome.can_focus = False
        self.verdict = Label("", markup=False, classes="field-error")
        self._may_not = False
        self._tried: CommandToSend | None = None  # what the server would accept

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog small"):
            yield Label(clean(self.trial.title), markup=False, classes="dialog-title")
            for line in self.trial.lines:
                yield Label(clean(line), markup=False, classes="trial-line")
            for field in self.trial.fields:
                name, label, text = field
                yield FormField(name, label, self.kept.get(name, text))
            self.outcome.styles.height = 4
            yield self.outcome
            yield self.verdict
            yield key_line(bar(KEYS), esc="no, leave it")

    def on_mount(self) -> None:
        self._try_soon(after=0)

    @property
    def command(self) -> CommandToSend:
        return self.trial.make({field.field_name: field.input.value.strip() for field in self.query(FormField)})

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.kept[event.input.query_ancestor(FormField).field_name] = event.value
        self._tried = None
        self._try_soon(after=self.desk.debounce)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input is self.query(FormField).last().input:
            self.action_send()
        else:
            self.focus_next()

    def pressed(self, key: str) -> bool:
        if key not in ("down", "up"):
            return super().pressed(key)
        _ = self.focus_next() if key == "down" else self.focus_previous()
        return True

    def action_send(self) -> None:
        empty = [field for field in self.query(FormField) if not field.input.value.strip()]
        if empty:
            empty[0].say("is needed")
            self.set_focus(empty[0].input)
        elif reason := self.desk.why_no_writes():
            self.verdict.update(reason)
            self._try_soon(after=0)
        elif self._tried == self.command:
            self.dismiss(self._tried)
        else:
            self.verdict.update("what it would record is not known yet: look at it above, then send it")
            self._try_soon(after=0)

    def _try_soon(self, *, after: float) -> None:
        """Ask the server what the command would record; an earlier question that is not answered is given up.

        Whoever may not send it is told so once: each further refusal would be a row of the audit.
        """
        if not self._may_not:
            self.run_worker(partial(self._try, after), group="trial", exclusive=True, exit_on_error=False)

    async def _try(self, after: float) -> None:
        await asyncio.sleep(after)
        if any(not field.input.value.strip() for field in self.query(FormField)):
            self._say(None)
            self._show(Cell(" shown when every field is filled in", "dim"))
            return
        command = self.command
        try:
            events = await self.desk.gateway.dry_run(command)
        except ServiceRefused as refused:
            self._may_not = is_of_the_key(refused)
            self._say(refused)
            self._show([Cell(" ✖ would be refused", "bad")])
        except GatewayError as error:
            self._show([Cell(f" ✖ {clean(str(error))}", "bad")])
            if isinstance(error, NO_ANSWER):
                self.call_later(self._try_soon, after=ASK_AGAIN)
        else:
            self._say(None)
            self._tried = command
            self._show(
                *(
                    [Cell(f" {n} {clean(event.event_type)}", "good"), Cell(f"   {summary(event)}")]
                    for n, event in enumerate(events, 1)
                ),
                *([] if events else [[Cell(" nothing: it is so already", "dim")]]),
            )

    def _show(self, *lines: Sequence[Cell] | Cell) -> None:
        listed = [[line] if isinstance(line, Cell) else line for line in lines]
        self.outcome.show([[Cell("Dry run (nothing is sent yet)", "head")], *listed])

    def _say(self, refused: ServiceRefused | None) -> None:
        """Put the server's errors under the fields that they name, and the others into the line below."""
        fields = {field.field_name: field for field in self.query(FormField)}
        errors: dict[str, str] = {}
        for problem in refused.errors if refused else ():
            name = problem.field.partition("[")[0].partition(".")[0]
            errors[name if name in fields else ""] = problem.message
        if refused and not errors:
            errors[""] = str(refused)
        for name, field in fields.items():
            field.say(errors.get(name, ""))
        self.verdict.update(clean(errors.get("", "")))


def try_command(node: DOMNode, desk: Desk, trial: Trial, named: str) -> None:
    """Open the form; what it answers is sent for the order that the operator calls `named`."""

    def tried(command: CommandToSend | None) -> None:
        node.post_message(Say("nothing was sent", "dim") if command is None else Send(command, named))

    open_dialog(node, TrialDialog(desk, trial), tried)


def refund_trial(order: WireOrder, *told: str, title: str = "") -> Trial:
    """The amount that may be refunded is filled in, so that only a reason has to be typed."""
    most = money(refundable(order), order.currency)
    return Trial(
        title or f"Refund {order.order_number}",
        [*told, f"{most} of {money(order.captured_amount, order.currency)} were captured and not refunded."],
        [
            ("amount", "Amount", most.split(" ")[0].replace(",", "")),
            ("reason", "Reason", ""),
            ("restock", "Restock y/n", "no"),
        ],
        partial(_refund, order.order_id),
    )


def _refund(order_id: str, texts: Texts) -> CommandToSend:
    return CommandToSend("refund", order_id, refund_body(texts))


def cancel_trial(order: WireOrder, *told: str, title: str = "") -> Trial:
    return Trial(
        title or f"Cancel {order.order_number}",
        [*told, "Stock is released and the payment voided. This cannot be taken back."],
        [("reason", "Reason", "")],
        partial(CommandToSend, "cancel", order.order_id),
    )
