"""One webhook: what it is, and what became of each of its messages; a dead letter is sent again, or left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.worker import Worker

from core.printable import clean
from core.terminal_text import counted
from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field
from tui.dialogs.dialog import open_dialog
from tui.dialogs.lines import LinesDialog
from tui.dialogs.webhook_acts import ACTS, why_not_act
from tui.gateway import CommandToSend
from tui.messages import Awaited, Copy, Say, Send
from tui.viewmodels.not_let_in import refused_notice, why_refused
from tui.viewmodels.parked import KIND
from tui.viewmodels.text import Cell, wrapped
from tui.viewmodels.viewport import Viewport
from tui.viewmodels.webhook_rows import address, dead_letters, delivery_cells, delivery_lines, webhook_lines
from tui.viewmodels.webhooks import STATES, WebhookModel, WireDelivery, WireWebhook
from tui.webhooks_pane import WHAT, WebhooksPane
from tui.widgets.painted import Line, TextPane
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "webhook",
    "A webhook",
    (
        Action("o", "state", "state", "o", bar=True),
        Action("r", "retry", "retry…", "r", bar=True, danger=Danger.TYPED),
        Action("A", "retry_all", "retry all…", "A", danger=Danger.TYPED),
        Action("S", "skip", "skip for ever…", "S", danger=Danger.TYPED),
        Action("y", "copy", "copy its webhook-id", "y"),
    ),
)
_COLUMNS = (
    Column("WHEN", 11),
    Column("STATE", 9),
    Column("TRIES", 5, right=True),
    Column("NEXT TRY", 8),
    Column("POSITION", 9, right=True),
    Column("TYPE", 16),
    Column("LAST ANSWER"),
)
_LOOK_EVERY = 2.0  # seconds between two readings, while the view is on the screen
_TOLD = {
    "retry": "It is sent again at once; if it is not taken, it stays a dead letter.",
    "skip": "It is left out for ever.",
}


class WebhookView(WebhooksPane):
    BINDINGS: ClassVar[list[BindingType]] = [*_KEYS.bindings(), *ACTS.bindings()]
    tables = (LIST, _KEYS, ACTS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model: WebhookModel | None = None
        self.viewport = Viewport()
        self.head = TextPane(id="webhook-head")
        self.head.can_focus = False
        self.status = Line(id="webhook-status")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="webhook-table")
        self.whole = TextPane(id="webhook-whole")
        self.whole.can_focus = False
        self._looked_at = -math.inf
        self._chosen_id = ""

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return self.model is not None and bool(self.model.error) and not self.model.refused

    @property
    def hook(self) -> WireWebhook | None:
        return None if self.model is None else self.model.webhook

    @property
    def deliveries(self) -> Sequence[WireDelivery]:
        return () if self.model is None else self.model.deliveries

    @property
    def chosen(self) -> WireDelivery | None:
        cursor = self.viewport.cursor
        return self.deliveries[cursor] if 0 <= cursor < len(self.deliveries) else None

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.status
        yield self.table
        yield self.whole

    def enter(self, subject: str | None) -> None:
        if subject is not None and (self.model is None or self.model.webhook_id != subject):
            self.model = WebhookModel(self.desk.gateway, subject)
            self._chosen_id = ""
            self.viewport.bound(0, 0)
        if (reading := self._look()) is not None:
            self.post_message(Awaited(reading))  # the next key is meant for this webhook
        self._paint()

    def refresh_now(self) -> None:
        self._look()

    def _look(self) -> Worker[None] | None:
        self._looked_at = self.desk.clock()
        if self.model is None:
            return None
        return self.run_worker(partial(self._read, self.model), group="webhook", exclusive=True, exit_on_error=False)

    async def _read(self, model: WebhookModel) -> None:
        await model.read()
        self._paint()

    def paint(self) -> None:
        """What is refused or gone is not asked for again by itself."""
        model = self.model
        due = self.desk.clock() - self._looked_at >= _LOOK_EVERY
        if model is not None and due and not model.refused and not model.is_gone:
            self._look()
        self._paint()

    def _paint(self) -> None:
        self.viewport.bound(0, len(self.deliveries))
        rank = next((n for n, each in enumerate(self.deliveries) if each.id == self._chosen_id), None)
        if rank is not None and rank != self.viewport.cursor:
            self.viewport.go(rank)
        self._chosen_id = self.chosen.id if self.chosen is not None else ""
        lines = webhook_lines(self.hook, self.desk.now())
        if self.head.styles.height is None or self.head.styles.height.value != len(lines):
            self.head.styles.height = len(lines)
        self.head.show(lines)
        self.status.show(self._status())
        self.table.say(*self._notice())
        self.table.repaint()
        self.whole.show(delivery_lines(self.chosen))

    def _status(self) -> Sequence[Cell]:
        model = self.model
        if model is None:
            return []
        if model.refused:
            return [Cell(f" {why_refused(WHAT, model.refused)}", "bad")]
        if model.error:
            return [Cell(f" ✖ {clean(model.error)}", "bad")]
        if model.webhook is None:
            return [Cell(" … reading the webhook", "dim")]
        which = f"those that are {model.state}" if model.state else "all"
        return [Cell(f" {counted(len(self.deliveries), 'message')}, the newest first"), Cell(f"   {which}", "dim")]

    def _notice(self) -> Sequence[Cell]:
        model = self.model
        if model is None:
            return Cell("enter on a webhook in the list (8) opens it", "dim"), Cell("")
        if model.refused:
            return refused_notice(WHAT, model.refused, model.error)
        if model.is_gone:
            return Cell("This webhook was removed", "warn"), Cell("esc leads back", "dim")
        if model.error:
            return Cell("The webhook is not known", "bad"), Cell("ctrl+r tries again", "dim")
        if model.webhook is None:
            return (Cell("reading …", "dim"),)
        if model.state:
            return Cell(f"No message is {model.state}"), Cell("o goes on to other states", "dim")
        return Cell("Nothing was sent there yet"), Cell(
            "t sends a test; what was taken is listed for three days", "dim"
        )

    def _row(self, rank: int) -> Sequence[Cell] | None:
        if not 0 <= rank < len(self.deliveries):
            return None
        enabled = self.hook is None or self.hook.enabled
        return delivery_cells(self.deliveries[rank], self.desk.now(), enabled=enabled)

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        self._chosen_id = self.chosen.id if self.chosen is not None else ""
        self._paint()

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if self.chosen is not None:
            width = min(self.size.width, 120) - 16
            texts = ["".join(cell.text for cell in line) for line in delivery_lines(self.chosen)]
            lines = [row for text in texts for row in wrapped(text, width)]
            open_dialog(self, LinesDialog("A message", lines), lambda _: None)

    # --- actions ------------------------------------------------------------------------------------------------------
    def why_not(self, action: str) -> str | None:
        model, delivery = self.model, self.chosen
        if model is None or model.webhook is None:
            refused = model is not None and model.refused
            return f"{why_refused(WHAT, refused)}: ctrl+r asks again" if refused else "no webhook is read"
        if action == "retry_all" and not model.letters:
            return "none of its messages is a dead letter"
        if action in ("retry", "skip", "copy", "open") and delivery is None:
            return "no message is chosen"
        if action in ("retry", "skip") and delivery is not None and delivery.id not in model.letters:
            return "only a dead letter is retried or skipped, and this message is none"
        return why_not_act(self.desk, action, model.webhook)

    def action_state(self) -> None:
        """All, then those of one state after the other."""
        if self.model is not None:
            following = ("", *STATES, "")
            self.model.state = following[following.index(self.model.state) + 1]
            if (reading := self._look()) is not None:
                self.post_message(Awaited(reading))

    def action_retry(self) -> None:
        self._ask_letter("retry")

    def action_skip(self) -> None:
        self._ask_letter("skip")

    def _ask_letter(self, verb: str) -> None:
        if self.model is not None and (delivery := self.chosen) is not None:
            named = f"{clean(delivery.message_type, 40)} at position {delivery.position or 0:,}"
            self._ask_reason(verb, self.model.letters[delivery.id], {}, named, _TOLD[verb])

    def action_retry_all(self) -> None:
        if (hook := self.hook) is not None:
            named = f"the {dead_letters(hook.failed)} of {address(hook)[:40]}"
            self._ask_reason("retry", None, {"reader": hook.reader}, named, "They are sent again at once.")

    def _ask_reason(self, verb: str, letter: str | None, of: Mapping[str, str], named: str, told: str) -> None:
        def answered(answer: Mapping[str, str] | None) -> None:
            if answer is None:
                self.post_message(Say("nothing was sent", "dim"))
            else:
                body = {"reason": answer["reason"], **of}
                self.post_message(Send(CommandToSend(verb, letter, body, kind=KIND), named))

        dialog = Ask(
            f"{verb.capitalize()} {named}?",
            [told],
            [Field("reason", "Reason")],
            kept=self.desk.unsent(verb, letter or of.get("reader", "")),
            why_not=partial(self.desk.why_no_writes, letter),
        )
        open_dialog(self, dialog, answered)

    def action_copy(self) -> None:
        if (delivery := self.chosen) is not None:
            self.post_message(Copy(delivery.message_id, delivery.message_id))
