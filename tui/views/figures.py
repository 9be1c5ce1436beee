"""Figures: what there was at the moment that the deck shows: orders by status, money, and the stock of each SKU."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult

from core.printable import clean
from tui.action_table import LIST
from tui.desk import Desk
from tui.messages import Awaited, OpenView, Say
from tui.pane import Pane
from tui.viewmodels.figures import FiguresModel
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable, WholeLine

_COLUMNS = (Column("WHAT", 34), Column("NUMBER", 16, right=True), Column("", 0))


class FiguresView(Pane):
    """It stands in the place of Pulse, whose rates and delays are measured and not recorded."""

    tables = (LIST,)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = FiguresModel(desk.gateway)
        self.viewport = Viewport()
        self.head = Line(id="figures-head")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="figures-table")

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return bool(self.model.error)

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.table

    def enter(self, subject: str | None) -> None:  # noqa: ARG002 - it shows one thing
        if not self.model.figures:
            self.refresh_now()
        self.paint()

    def forget(self) -> None:
        self.model.forget()

    def refresh_now(self) -> None:
        self.post_message(Awaited(self.run_worker(self._load, group="figures", exclusive=True, exit_on_error=False)))

    async def _load(self) -> None:
        await self.model.load()
        self.paint()

    def paint(self) -> None:
        self.viewport.bound(0, len(self.model.figures))
        said = "the figures of that moment; how fast everything went was measured and not recorded (Pulse: now only)"
        self.head.show([Cell(f" ✖ {clean(self.model.error)}", "bad") if self.model.error else Cell(f" {said}", "dim")])
        self.table.say(Cell("adding up …" if self.model.loading else "There are no figures", "dim"))
        self.table.repaint()

    def _row(self, rank: int) -> Sequence[Cell] | None:
        if rank >= len(self.model.figures):
            return None
        figure = self.model.figures[rank]
        if not figure.number:
            return WholeLine([Cell(f" {figure.name}", "head")])
        tone = "dim" if figure.number == "0" else ""
        return Cell(f"  {figure.name}", tone), Cell(figure.number, tone), Cell(figure.more, "dim")

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        figure = self.model.figures[self.viewport.cursor]
        if figure.fits:
            self.post_message(OpenView("orders", figure.fits))
        else:
            self.post_message(Say("this number counts no list of orders", "dim"))
