"""One webhook: what it is, and what became of each of its messages; a dead letter is sent again, or left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

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
from tui.viewmodels.webhook_rows import address, dead_letters, delivery_cells, delivery_lines, webhook_lines
from tui.viewmodels.webhooks import STATES, WebhookModel, WireDelivery, WireWebhook
from tui.webhooks_pane import WHAT, WebhooksPane
from tui.widgets.painted import TextPane
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
_TOLD = {
    "retry": "It is sent again at once; if it is not taken, it stays a dead letter.",
    "skip": "It is left out for ever.",
}


class WebhookView(WebhooksPane[WireDelivery]):
    BINDINGS: ClassVar[list[BindingType]] = [*_KEYS.bindings(), *ACTS.bindings()]
    tables = (LIST, _KEYS, ACTS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "webhook", _COLUMNS)
        self.model: WebhookModel | None = None
        self.head = TextPane(id="webhook-head")
        self.head.can_focus = False

    @property
    def needs_reading(self) -> bool:
        return self.model is not None and bool(self.model.error) and not self.model.refused

    @property
    def hook(self) -> WireWebhook | None:
        return None if self.model is None else self.model.webhook

    @property
    def rows(self) -> Sequence[WireDelivery]:
        return () if self.model is None else self.model.deliveries

    @property
    def looks_again(self) -> bool:
        return self.model is not None and not self.model.refused and not self.model.is_gone

    def key_of(self, row: WireDelivery) -> str:
        return row.id

    def cells_of(self, row: WireDelivery) -> Sequence[Cell]:
        return delivery_cells(row, self.desk.now(), enabled=self.hook is None or self.hook.enabled)

    def compose(self) -> ComposeResult:
        yield self.head
        yield from super().compose()

    def enter(self, subject: str | None) -> None:
        if subject is not None and (self.model is None or self.model.webhook_id != subject):
            self.model = WebhookModel(self.desk.gateway, subject)
            self.choose_first()
        self.post_message(Awaited(self.look()))  # the next key is meant for this webhook
        self.paint_all()

    async def read(self) -> None:
        if self.model is not None:
            await self.model.read()

    def paint_around(self) -> None:
        lines = webhook_lines(self.hook, self.desk.now())
        if self.head.styles.height is None or self.head.styles.height.value != len(lines):
            self.head.styles.height = len(lines)
        self.head.show(lines)
        self.status.show(self._status())
        self.table.say(*self._notice())
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
        return [Cell(f" {counted(len(self.rows), 'message')}, the newest first"), Cell(f"   {which}", "dim")]

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
            self.post_message(Awaited(self.look()))

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
