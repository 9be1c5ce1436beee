"""Sales: what was sold on each of the last days, by currency (its place would be tui/views)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from core.printable import clean
from core.terminal_text import money
from tests.recipes.screen.sales_model import SalesModel
from tui.action_table import LIST, Action, ActionTable
from tui.desk import Desk
from tui.pane import Pane
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable("sales", "Sales", (Action("o", "sort", "best day first", "o", bar=True),))
_COLUMNS = (
    Column("DAY", 10),
    Column("ORDERS", 8, right=True),
    Column("CANCELLED", 9, right=True),
    Column("REVENUE", right=True),
)


class SalesView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    DEFAULT_CSS = "SalesView #sales-summary { background: $surface; }"
    tables = (LIST, _KEYS)
    needs_paint = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = SalesModel(desk.gateway)
        self.viewport = Viewport()
        self.summary = Line(id="sales-summary")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="sales-table")

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return self.model.phase == "error"

    def compose(self) -> ComposeResult:
        yield self.summary
        yield self.table

    def enter(self, subject: str | None) -> None:  # noqa: ARG002 - it is opened for no day in particular
        self.refresh_now()
        self.paint()

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        self.model.absorb(fresh)

    def refresh_now(self) -> None:
        self.run_worker(self._load, group="sales", exclusive=True, exit_on_error=False)

    async def _load(self) -> None:
        await self.model.load()
        self.paint()

    def paint(self) -> None:
        model = self.model
        self.viewport.bound(0, len(model.days))
        order = "best day first" if model.best_first else "newest day first"
        since = [Cell(f"{model.changes:,} changes since (ctrl+r) ", "accent")] if model.changes else []
        self.summary.show([Cell(f" {len(model.days)} days   "), Cell(order, "dim")], since)
        notice = {"loading": "reading …", "ready": "No sales yet", "error": clean(model.error)}[model.phase]
        self.table.say(Cell(notice))
        self.table.repaint()

    def _row(self, rank: int) -> Sequence[Cell] | None:
        day = self.model.days[rank]
        return (
            Cell(f"{day.day:%Y-%m-%d}"),
            Cell(f"{day.orders:,}"),
            Cell(f"{day.cancelled:,}", "warn" if day.cancelled else "dim"),
            Cell(money(day.revenue, day.currency)),
        )

    def back(self) -> bool:
        """Esc takes the newest day first again, before it leaves the view."""
        sorted_by_revenue, self.model.best_first = self.model.best_first, False
        self.paint()
        return sorted_by_revenue

    def why_not(self, action: str) -> str | None:
        if action == "open":
            return "a day of sales has nothing more to show"
        return "there are fewer than two days to sort" if action == "sort" and len(self.model.days) < 2 else None

    def action_sort(self) -> None:
        self.model.best_first = True
        self.paint()
