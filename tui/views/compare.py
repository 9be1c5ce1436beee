"""Compare: what changed between two moments, number by number; enter leads to the orders that a number counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.worker import Worker

from core.filters.words import FilterError
from core.printable import clean
from tui.action_table import LIST, Action, ActionTable
from tui.desk import Desk
from tui.messages import Awaited, OpenView, Say
from tui.pane import Pane
from tui.viewmodels.text import Cell
from tui.viewmodels.two_moments import (
    Changed,
    ComparisonModel,
    Heading,
    Row,
    point_named,
    progress,
    tone_of,
    two_moments,
)
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable, WholeLine

_KEYS = ActionTable(
    "compare",
    "Two moments",
    (Action("f", "only_changed", "only what changed, or all", "f", bar=True),),
)
_COLUMNS = (
    Column("WHAT", 34),
    Column("BEFORE", 14, right=True),
    Column("AFTER", 14, right=True),
    Column("CHANGE", 13, right=True),
    Column(""),
)


class CompareView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model: ComparisonModel | None = None
        self.subject: str | None = None
        self.wrong = ""
        self.viewport = Viewport()
        self.head = [Line(classes="compare-head") for _ in range(2)]
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="compare-table")
        self.rows: Sequence[Row] = ()

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return self.model is not None and bool(self.model.error)

    def compose(self) -> ComposeResult:
        yield from self.head
        yield self.table

    def enter(self, subject: str | None) -> None:
        """`subject` names two moments, as `two_moments` reads them. The same ones are not asked for again."""
        if subject is not None and subject != self.subject:
            self.subject, self.wrong, self.model, self.rows = subject, "", None, ()
            self.viewport.go(0)
            try:
                moments = two_moments(subject, self.desk.now())
            except FilterError as error:
                self.wrong = str(error)
            else:
                self.model = ComparisonModel(self.desk.gateway, moments)
                self.post_message(Awaited(self._read(self.model)))
        self.paint()

    def refresh_now(self) -> None:
        if self.model is not None:
            self._read(self.model)

    def _read(self, model: ComparisonModel) -> Worker[None]:
        return self.run_worker(partial(self._load, model), group="compare", exclusive=True, exit_on_error=False)

    async def _load(self, model: ComparisonModel) -> None:
        await model.load(self.paint)
        if model is self.model:
            self.rows = model.rows()
            self.paint()

    def paint(self) -> None:
        self.viewport.bound(0, len(self.rows))
        for line, cells in zip(self.head, self._head(), strict=True):
            line.show(cells)
        self.table.say(*self._notice())
        self.table.repaint()

    def _head(self) -> tuple[Sequence[Cell], Sequence[Cell]]:
        model = self.model
        if model is None or model.answer is None:
            named = "" if model is None else f" {model.moments.text}"
            return [Cell(named, "head")], []
        earlier, later = map(point_named, (model.answer.earlier, model.answer.later))
        stale = [Cell(f"   ✖ not read again: {clean(model.error)}", "bad")] if model.error else []
        return [Cell(" from ", "dim"), Cell(earlier, "head")], [Cell("   to ", "dim"), Cell(later, "head"), *stale]

    def _notice(self) -> Sequence[Cell]:
        model = self.model
        if self.wrong or model is None:
            return Cell(clean(self.wrong) or "No moments are compared", "warn"), Cell("D asks for two moments", "dim")
        if model.making is not None:
            return Cell("The lists of that moment are being made"), Cell(progress(model.making), "accent")
        if model.error:
            return Cell("It cannot be compared", "bad"), Cell(clean(model.error), "dim")
        if model.answer is None:
            return (Cell("comparing …", "dim"),)
        return Cell("Nothing changed between the two", "good"), Cell("f shows every number", "dim")

    def _row(self, rank: int) -> Sequence[Cell] | None:
        if rank >= len(self.rows):
            return None
        row = self.rows[rank]
        if isinstance(row, Heading):
            return WholeLine([Cell(f" {row.text}", "head")])
        tone = "" if row.change else "dim"
        return (
            Cell(f"  {row.name}", tone),
            Cell(row.before, tone),
            Cell(row.after, tone),
            Cell(row.change or "·", tone_of(row) or "dim"),
            Cell(""),
        )

    @property
    def chosen(self) -> Row | None:
        return self.rows[self.viewport.cursor] if self.viewport.cursor < len(self.rows) else None

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        """Show the orders that the number counts, as they are at the moment that this deck shows."""
        chosen = self.chosen
        if isinstance(chosen, Changed) and chosen.fits:
            self.post_message(OpenView("orders", chosen.fits))
        else:
            self.post_message(Say("this number counts no list of orders", "dim"))

    def why_not(self, action: str) -> str | None:
        if action == "only_changed" and (self.model is None or self.model.answer is None):
            return "nothing is compared yet"
        return None

    def action_only_changed(self) -> None:
        if self.model is not None:
            self.model.only_changed = not self.model.only_changed
            self.rows = self.model.rows()
            self.viewport.go(0)
            self.paint()
