"""Webhooks: where events are sent to, what waits for each and when it was last taken; for admins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.binding import BindingType

from core.printable import clean
from core.terminal_text import counted
from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.webhook_acts import ACTIONS, ACTS, ask_add, why_not_act
from tui.messages import Copy, OpenView
from tui.viewmodels.not_let_in import refused_notice, why_refused
from tui.viewmodels.text import Cell
from tui.viewmodels.webhook_rows import dead_letters, webhook_cells, webhook_lines
from tui.viewmodels.webhooks import WebhooksModel, WireWebhook
from tui.webhooks_pane import WHAT, WebhooksPane
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "webhooks",
    "Webhooks",
    (
        Action("n", "add", "add…", "n", bar=True, danger=Danger.ASKS),
        Action("y", "copy", "copy its id", "y"),
    ),
)
_COLUMNS = (
    Column("LEADS TO"),
    Column("STATE", 8),
    Column("GETS", 24, from_width=120),
    Column("BEHIND", 6, right=True),
    Column("WAIT", 5, right=True),
    Column("DEAD", 5, right=True),
    Column("TAKEN", 11),
    Column("NEXT TRY", 8),
)


class WebhooksView(WebhooksPane[WireWebhook]):
    BINDINGS: ClassVar[list[BindingType]] = [*_KEYS.bindings(), *ACTS.bindings()]
    tables = (LIST, _KEYS, ACTS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "webhooks", _COLUMNS)
        self.model = WebhooksModel(desk.gateway)

    @property
    def needs_reading(self) -> bool:
        return bool(self.model.error) and not self.model.refused

    @property
    def rows(self) -> Sequence[WireWebhook]:
        return self.model.webhooks or ()

    @property
    def hook(self) -> WireWebhook | None:
        return self.chosen

    @property
    def looks_again(self) -> bool:
        return not self.model.refused

    def key_of(self, row: WireWebhook) -> str:
        return row.id

    def cells_of(self, row: WireWebhook) -> Sequence[Cell]:
        return webhook_cells(row, self.desk.now())

    async def read(self) -> None:
        await self.model.read()

    def paint_around(self) -> None:
        self.status.show(self._status())
        self.table.say(*self._notice())
        self.whole.show(webhook_lines(self.hook, self.desk.now()))

    def _status(self) -> Sequence[Cell]:
        model = self.model
        if model.refused:
            return [Cell(f" {why_refused(WHAT, model.refused)}", "bad")]
        if model.error:
            return [Cell(f" ✖ {clean(model.error)}", "bad")]
        if model.webhooks is None:
            return [Cell(" … reading the webhooks", "dim")]
        dead = sum(hook.failed for hook in self.rows)
        stopped = sum(not hook.enabled for hook in self.rows)
        told = [Cell(f" {counted(len(self.rows), 'webhook')}, the oldest first")]
        told += [Cell(f"   {stopped:,} disabled", "warn")] if stopped else []
        return [*told, *([Cell(f"   {dead_letters(dead)}", "bad")] if dead else [])]

    def _notice(self) -> Sequence[Cell]:
        model = self.model
        if model.refused:
            return refused_notice(WHAT, model.refused, model.error)
        if model.error:
            return Cell("The webhooks are not known", "bad"), Cell("ctrl+r tries again", "dim")
        if model.webhooks is None:
            return (Cell("reading …", "dim"),)
        return Cell("There is no webhook"), Cell("n adds one: events are then sent to an address", "dim")

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if self.hook is not None:
            self.post_message(OpenView("webhook", self.hook.id))

    def why_not(self, action: str) -> str | None:
        if self.model.refused:
            return f"{why_refused(WHAT, self.model.refused)}: ctrl+r asks again"
        if action in (*ACTIONS, "copy", "open") and self.hook is None:
            return "there is no webhook" if self.model.webhooks is not None else "the webhooks are not known"
        return why_not_act(self.desk, action, self.hook)

    def action_add(self) -> None:
        ask_add(self, self.desk)

    def action_copy(self) -> None:
        if self.hook is not None:
            self.post_message(Copy(self.hook.id, self.hook.id))
