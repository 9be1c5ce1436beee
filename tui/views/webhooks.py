"""Webhooks: where events are sent to, what waits for each and when it was last taken; for admins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from core.printable import clean
from core.terminal_text import counted
from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.webhook_acts import ACTIONS, ACTS, ask_add, why_not_act
from tui.messages import Copy, OpenView
from tui.viewmodels.not_let_in import refused_notice, why_refused
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.viewmodels.webhook_rows import dead_letters, webhook_cells, webhook_lines
from tui.viewmodels.webhooks import WebhooksModel, WireWebhook
from tui.webhooks_pane import WHAT, WebhooksPane
from tui.widgets.painted import Line, TextPane
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
_LOOK_EVERY = 2.0  # seconds between two readings, while the view is on the screen


class WebhooksView(WebhooksPane):
    BINDINGS: ClassVar[list[BindingType]] = [*_KEYS.bindings(), *ACTS.bindings()]
    tables = (LIST, _KEYS, ACTS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = WebhooksModel(desk.gateway)
        self.viewport = Viewport()
        self.status = Line(id="webhooks-status")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="webhooks-table")
        self.whole = TextPane(id="webhooks-whole")
        self.whole.can_focus = False
        self._looked_at = -math.inf
        self._chosen_id = ""

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return bool(self.model.error) and not self.model.refused

    @property
    def hooks(self) -> Sequence[WireWebhook]:
        return self.model.webhooks or ()

    @property
    def hook(self) -> WireWebhook | None:
        cursor = self.viewport.cursor
        return self.hooks[cursor] if 0 <= cursor < len(self.hooks) else None

    def compose(self) -> ComposeResult:
        yield self.status
        yield self.table
        yield self.whole

    def enter(self, subject: str | None) -> None:
        super().enter(subject)
        self.refresh_now()

    def refresh_now(self) -> None:
        self._looked_at = self.desk.clock()
        self.run_worker(self._read, group="webhooks", exclusive=True, exit_on_error=False)

    async def _read(self) -> None:
        await self.model.read()
        self._paint()

    def paint(self) -> None:
        """What is refused is not asked for again by itself: each refusal would be a row of the audit."""
        if self.desk.clock() - self._looked_at >= _LOOK_EVERY and not self.model.refused:
            self.refresh_now()
        self._paint()

    def _paint(self) -> None:
        self.viewport.bound(0, len(self.hooks))
        rank = next((n for n, hook in enumerate(self.hooks) if hook.id == self._chosen_id), None)
        if rank is not None and rank != self.viewport.cursor:
            self.viewport.go(rank)
        self._chosen_id = self.hook.id if self.hook is not None else ""
        self.status.show(self._status())
        self.table.say(*self._notice())
        self.table.repaint()
        self.whole.show(webhook_lines(self.hook, self.desk.now()))

    def _status(self) -> Sequence[Cell]:
        model = self.model
        if model.refused:
            return [Cell(f" {why_refused(WHAT, model.refused)}", "bad")]
        if model.error:
            return [Cell(f" ✖ {clean(model.error)}", "bad")]
        if model.webhooks is None:
            return [Cell(" … reading the webhooks", "dim")]
        dead = sum(hook.failed for hook in self.hooks)
        stopped = sum(not hook.enabled for hook in self.hooks)
        told = [Cell(f" {counted(len(self.hooks), 'webhook')}, the oldest first")]
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

    def _row(self, rank: int) -> Sequence[Cell] | None:
        return webhook_cells(self.hooks[rank], self.desk.now()) if 0 <= rank < len(self.hooks) else None

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        self._chosen_id = self.hook.id if self.hook is not None else ""
        self._paint()

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
