"""Audit: who asked for what, when, from where, on what, and what came of it, the newest first; for admins."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label
from textual.worker import Worker

from core.filters.words import FilterError
from core.printable import clean
from tui.action_table import LIST, Action, ActionTable
from tui.desk import Desk
from tui.messages import Awaited, Copy, Missed, OpenView
from tui.pane import Pane
from tui.viewmodels.audit import AuditedAct, AuditModel
from tui.viewmodels.audit_filter import OUTCOMES, parse_audit_filter, with_field
from tui.viewmodels.audit_rows import opens, row_cells, whole_lines
from tui.viewmodels.not_let_in import refused_notice, why_refused
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.filter_text import put_text
from tui.widgets.painted import Line, TextPane
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "audit",
    "Audit",
    (
        Action("/", "filter", "filter", "/", bar=True),
        Action("o", "outcome", "outcome", "o", bar=True),
        Action("=", "caller", "only this caller", "=", bar=True),
        Action(".", "further", "look further back", "."),
        Action("x", "order", "order or saga", "x", bar=True),
        Action("y", "copy", "copy the row as JSON", "y"),
    ),
)
_COLUMNS = (
    Column("WHEN", 11),
    Column("WHO", 16),
    Column("FROM", 15, from_width=100),
    Column("WHAT"),
    Column("ON", 12),
    Column("OUTCOME", 11),
)
_LOOK_EVERY = 2.0  # seconds between two readings of the newest rows, while the view is on the screen
_WHAT = "the audit"
_NEAR_THE_END = 20  # rows before the last at which older ones are read
_HINT = "caller:ana outcome:refused since:-1h from:… action:… on:… request:… before:… or a caller or an id"


class AuditView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = AuditModel(desk.gateway)
        self.viewport = Viewport()
        self.filter = Input(placeholder=_HINT, compact=True, select_on_focus=False, id="audit-filter")
        self.filter_error = ""
        self.status = Line(id="audit-status")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="audit-table")
        self.whole = TextPane(id="audit-whole")
        self.whole.can_focus = False
        self._worker: Worker[None] | None = None
        self._looked_at = -math.inf

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return bool(self.model.error) and not self.model.refused

    @property
    def chosen(self) -> AuditedAct | None:
        rows, cursor = self.model.rows, self.viewport.cursor
        return rows[cursor] if 0 <= cursor < len(rows) else None

    def compose(self) -> ComposeResult:
        with Horizontal(classes="filter-bar"):
            yield Label("/", markup=False)
            yield self.filter
        yield self.status
        yield self.table
        yield self.whole

    def enter(self, subject: str | None) -> None:
        """`subject` is a filter, such as `outcome:refused`."""
        if subject is not None and subject != self.filter.value:
            self._show_text(subject)
        elif self.model.head is None:
            self._show_text(self.filter.value)
        self._paint()

    def _show_text(self, text: str) -> None:
        put_text(self.filter, text)
        self.post_message(Awaited(self._work(partial(self._typed, text, 0))))

    def refresh_now(self) -> None:
        self._work(partial(self._typed, self.filter.value, 0))

    def paint(self) -> None:
        """What is refused is not asked for again by itself: each refusal would be a row of the audit."""
        due = self.desk.clock() - self._looked_at >= _LOOK_EVERY
        if self._is_idle and due and not self.model.refused and not self.filter_error:
            self._work(self._look)
        self._paint()

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def _is_idle(self) -> bool:
        """Whether no answer is awaited."""
        return self._worker is None or self._worker.is_finished

    def _work(self, work: Callable[[], Awaitable[object]]) -> Worker[None]:
        self._looked_at = self.desk.clock()

        async def then_paint() -> None:
            await work()
            self._paint()

        self._worker = self.run_worker(then_paint, group="audit", exclusive=True, exit_on_error=False)
        return self._worker

    async def _typed(self, text: str, after: float) -> None:
        await asyncio.sleep(after)
        try:
            asked = parse_audit_filter(text, self.desk.now())
        except FilterError as error:
            self.filter_error = str(error)
            if not self.filter.has_focus:
                self.post_message(Missed(self.filter_error))
            return
        self.filter_error = ""
        self.viewport.go(0)
        await self.model.search(asked)

    async def _look(self) -> None:
        """Rows that come in above leave the chosen one where it is, unless it is the newest."""
        fresh = await self.model.look()
        self.viewport.bound(0, len(self.model.rows))
        if self.viewport.cursor:
            self.viewport.shift(fresh)

    async def _extend(self) -> None:
        gone = await self.model.extend()
        self.viewport.shift(-gone)

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        near_the_end = self.viewport.cursor >= len(self.model.rows) - _NEAR_THE_END
        if self.model.rows and self.model.older is not None and near_the_end and self._is_idle:
            self._work(self._extend)
        self._paint()

    @on(VirtualTable.Edge)
    def _edge(self, event: VirtualTable.Edge) -> None:
        if not event.last and self.model.let_go:
            self._show_text(self.filter.value)

    @on(Input.Changed, "#audit-filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._work(partial(self._typed, event.value, self.desk.debounce))

    @on(Input.Submitted, "#audit-filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.table)
        self._show_text(event.value)

    # --- painting -----------------------------------------------------------------------------------------------------

    def _paint(self) -> None:
        self.viewport.bound(0, len(self.model.rows))
        self.status.show(self._status(), self._place())
        self.table.say(*self._notice())
        self.table.repaint()
        self.whole.show(whole_lines(self.chosen))

    def _status(self) -> Sequence[Cell]:
        model = self.model
        if self.filter_error:
            return [Cell(f" ✖ {clean(self.filter_error)}", "bad")]
        if model.refused:
            return [Cell(f" {why_refused(_WHAT, model.refused)}", "bad")]
        if model.error:
            return [Cell(f" ✖ {clean(model.error)}", "bad")]
        if model.head is None:
            return [Cell(" … reading the audit", "dim")]
        kept = f"   {len(model.rows):,} shown"
        noun = "row" if model.head == 1 else "rows"
        more = "" if model.older is None else ", further down come older ones"
        newer = ", g reads the newest again" if model.let_go else ""
        return [Cell(f" {model.head:,} {noun}, newest first"), Cell(kept + (newer or more), "dim")]

    def _place(self) -> Sequence[Cell]:
        return [Cell(f"row {self.viewport.cursor + 1:,} ", "dim")] if self.model.rows else []

    def _notice(self) -> Sequence[Cell]:
        model = self.model
        if model.refused:
            return refused_notice(_WHAT, model.refused, model.error)
        if model.error:
            return Cell("The audit is not known", "bad"), Cell("ctrl+r tries again", "dim")
        if model.head is None:
            return (Cell("reading …", "dim"),)
        if model.older is not None:
            looked = Cell(f"No row after position {model.older - 1:,} fits this filter")
            return looked, Cell(". looks further back, esc clears the filter", "dim")
        if self.filter.value:
            return Cell("No row of the audit fits this filter"), Cell("esc clears it", "dim")
        return Cell("Nothing was recorded yet"), Cell(f"it is looked at every {_LOOK_EVERY:.0f}s", "dim")

    def _row(self, rank: int) -> Sequence[Cell] | None:
        rows = self.model.rows
        return row_cells(rows[rank], self.desk.now()) if 0 <= rank < len(rows) else None

    # --- actions ------------------------------------------------------------------------------------------------------

    def back(self) -> bool:
        """Esc leads from the filter to the list, and then clears the filter; False when there is none to clear."""
        if self.filter.has_focus:
            self.screen.set_focus(self.table)
            return True
        if self.filter.value:
            self._show_text("")
            return True
        return False

    def why_not(self, action: str) -> str | None:
        act = self.chosen
        if self.model.refused:
            return f"{why_refused(_WHAT, self.model.refused)}: ctrl+r asks again"
        if action in ("order", "copy", "open", "caller") and act is None:
            return "no row is chosen"
        if action in ("order", "open") and act is not None and opens(act) is None:
            return "this row is about no order and no saga"
        if action == "caller" and act is not None and not act.caller:
            return "nobody's key was shown, so there is no caller to look for"
        if action == "further" and self.model.older is None:
            return "nothing is older"
        if action in ("outcome", "caller") and self.filter_error:
            return self.filter_error
        return None

    def action_filter(self) -> None:
        self.screen.set_focus(self.filter)

    def action_outcome(self) -> None:
        """All, then those of one outcome after the other."""
        shown = self.model.asked.get("outcome", "")
        following = ("", *OUTCOMES, "")
        self._show_text(with_field(self.filter.value, "outcome", following[following.index(shown) + 1]))

    def action_caller(self) -> None:
        if (act := self.chosen) is not None:
            already = self.model.asked.get("caller") == act.caller
            self._show_text(with_field(self.filter.value, "caller", "" if already else act.caller))

    def action_further(self) -> None:
        self.post_message(Awaited(self._work(self._extend)))

    def action_order(self) -> None:
        if (act := self.chosen) is not None and (place := opens(act)) is not None:
            self.post_message(OpenView(*place))

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        self.action_order()

    def action_copy(self) -> None:
        if (act := self.chosen) is not None:
            self.post_message(Copy(msgspec.json.encode(act).decode(), f"row {act.position:,} of the audit"))
