"""Parked: the events that a reader could not apply, by cause; retry one, a cause or all, or leave one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.binding import BindingType

from core.printable import clean
from core.terminal_text import counted, span
from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field
from tui.dialogs.dialog import open_dialog
from tui.messages import Copy, Missed, OpenView, Say, Send
from tui.reread_list import LOOK_EVERY, RereadList
from tui.viewmodels.not_let_in import refused_notice, why_refused
from tui.viewmodels.parked import ParkedLine, ParkedModel, command, row_cells, whole_lines
from tui.viewmodels.text import Cell
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "parked",
    "Parked events",
    (
        Action("r", "retry", "retry…", "r", bar=True, danger=Danger.TYPED),
        Action("A", "retry_all", "retry all…", "A", bar=True, danger=Danger.TYPED),
        Action("S", "skip", "skip for ever…", "S", bar=True, danger=Danger.TYPED),
        Action("x", "order", "order", "x", bar=True),
        Action("y", "copy", "copy its id", "y"),
    ),
)
_COLUMNS = (
    Column("WHAT", 28),
    Column("READER", 17, from_width=100),
    Column("POSITION", 9, right=True),
    Column("TRIES", 5, right=True),
    Column("WAIT", 5, right=True),
    Column("SINCE", 7, right=True),
    Column("ERROR"),
)
_WHAT = "parked events"
_RETRY = "The reader tries it again, and then all that waits behind it, in their order."
_SKIP = "This reader leaves the event out for ever, and what waits behind it is applied."


class ParkedView(RereadList[ParkedLine]):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "parked", _COLUMNS)
        self.model = ParkedModel(desk.gateway)

    @property
    def needs_reading(self) -> bool:
        return bool(self.model.error) and not self.model.refused

    @property
    def rows(self) -> Sequence[ParkedLine]:
        return self.model.lines

    @property
    def looks_again(self) -> bool:
        return not self.model.refused

    def key_of(self, row: ParkedLine) -> str:
        return row.key

    def cells_of(self, row: ParkedLine) -> Sequence[Cell]:
        return row_cells(row, self.desk.now())

    async def read(self) -> None:
        await self.model.read()

    def paint_around(self) -> None:
        self.status.show(self._status())
        self.table.say(*self._notice())
        self.whole.show(whole_lines(self.chosen))

    def _status(self) -> Sequence[Cell]:
        model = self.model
        if model.refused:
            return [Cell(f" {why_refused(_WHAT, model.refused)}", "bad")]
        if model.error:
            return [Cell(f" ✖ {clean(model.error)}", "bad")]
        if model.total is None:
            return [Cell(" … reading what waits", "dim")]
        causes = sum(line.event is None for line in model.lines)
        shown = len(model.lines) - causes
        of = f", {shown:,} of them are shown" if shown < model.total else ""
        noun = "row waits" if model.total == 1 else "rows wait"
        return [
            Cell(
                f" {model.total:,} {noun} behind an event that could not be applied", "bad" if model.total else "good"
            ),
            Cell(f"   {counted(causes, 'cause')}{of}", "dim"),
        ]

    def _notice(self) -> Sequence[Cell]:
        if self.model.refused:
            return refused_notice(_WHAT, self.model.refused, self.model.error)
        if self.model.error:
            return Cell("What waits is not known", "bad"), Cell("ctrl+r tries again", "dim")
        if self.model.total is None:
            return (Cell("reading …", "dim"),)
        return Cell("Every event was applied", "good"), Cell(f"it is looked at every {span(LOOK_EVERY)}", "dim")

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if reason := self.why_not("open"):
            self.post_message(Say(reason))
            self.post_message(Missed(reason))
        else:
            self.action_order()

    # --- actions ------------------------------------------------------------------------------------------------------
    def why_not(self, action: str) -> str | None:
        line = self.chosen
        if self.model.refused:
            return f"{why_refused(_WHAT, self.model.refused)}: ctrl+r asks again"
        if action in ("retry", "retry_all", "skip", "order", "copy", "open") and line is None:
            return "what waits is not known" if self.model.total is None else "every event was applied"
        if action == "skip" and line is not None and line.event is None:
            return "choose one event: each that is left out needs a reason of its own"
        if action in ("order", "open") and line is not None:
            if line.event is None:
                return "choose one event: a cause has several"
            if line.event.category not in ("order", "payment"):
                return "this event belongs to no order"
        return None

    def action_retry(self) -> None:
        self._ask(self.chosen, "retry", "Retry", _RETRY)

    def action_retry_all(self) -> None:
        self._ask(None, "retry", "Retry", _RETRY)

    def action_skip(self) -> None:
        self._ask(self.chosen, "skip", "Skip", _SKIP)

    def _ask(self, line: ParkedLine | None, verb: str, label: str, consequence: str) -> None:
        named = "all of them" if line is None else line.named
        error = [] if line is None else [f"why it waits: {clean((line.event or line.cause).error, 60)}"]
        subject = "" if line is None else line.key

        def answered(answer: Mapping[str, str] | None) -> None:
            if answer is None:
                self.post_message(Say("nothing was sent", "dim"))
            else:
                self.post_message(Send(command(line, verb, answer["reason"]), named))
                self.set_timer(1.0, self.refresh_now)

        dialog = Ask(
            f"{label} {named}?",
            [*error, consequence],
            [Field("reason", "Reason")],
            kept=self.desk.unsent(verb, subject),
            why_not=partial(self.desk.why_no_writes, subject),
        )
        open_dialog(self, dialog, answered)

    def action_order(self) -> None:
        if (line := self.chosen) is not None and line.event is not None:
            self.post_message(OpenView("detail", line.event.correlation_id))

    def action_copy(self) -> None:
        if (line := self.chosen) is not None:
            self.post_message(Copy(line.key, line.key))
