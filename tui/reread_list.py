"""RereadList: what views have in common that read a whole list anew, again and again, while they are on the screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.worker import Worker

from tui.desk import Desk
from tui.pane import Pane
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line, TextPane
from tui.widgets.virtual_table import Column, VirtualTable

LOOK_EVERY = 2.0  # seconds between two readings
Row = TypeVar("Row")


class RereadList(Pane, Generic[Row]):
    """A status line, the table and all about the chosen row. That row stays chosen wherever it is in the next reading.

    `listed` is the name of the list, before which the ids of its widgets begin.
    """

    def __init__(self, desk: Desk, listed: str, columns: Sequence[Column]) -> None:
        super().__init__(desk)
        self.listed = listed
        self.viewport = Viewport()
        self.status = Line(id=f"{listed}-status")
        self.table = VirtualTable(columns, self.viewport, self._row, id=f"{listed}-table")
        self.whole = TextPane(id=f"{listed}-whole")
        self.whole.can_focus = False
        self._looked_at = -math.inf
        self._chosen_key = ""

    # --- what each view says of its own -------------------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[Row]:
        raise NotImplementedError

    @property
    def looks_again(self) -> bool:
        """Whether it is read again by itself. What is refused is not: each refusal would be a row of the audit."""
        raise NotImplementedError

    def key_of(self, row: Row) -> str:
        """What stays the same of a row from one reading to the next."""
        raise NotImplementedError

    def cells_of(self, row: Row) -> Sequence[Cell]:
        raise NotImplementedError

    async def read(self) -> None:
        """Read the list; whatever goes wrong is shown."""
        raise NotImplementedError

    def paint_around(self) -> None:
        """Paint everything but the rows."""
        raise NotImplementedError

    # --- what they have in common -------------------------------------------------------------------------------------

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def chosen(self) -> Row | None:
        rows, cursor = self.rows, self.viewport.cursor
        return rows[cursor] if 0 <= cursor < len(rows) else None

    def compose(self) -> ComposeResult:
        yield self.status
        yield self.table
        yield self.whole

    def enter(self, subject: str | None) -> None:
        super().enter(subject)
        self.refresh_now()

    def refresh_now(self) -> None:
        self.look()

    def look(self) -> Worker[None]:
        self._looked_at = self.desk.clock()
        return self.run_worker(self._read_and_paint, group=self.listed, exclusive=True, exit_on_error=False)

    async def _read_and_paint(self) -> None:
        await self.read()
        self.paint_all()

    def paint(self) -> None:
        if self.looks_again and self.desk.clock() - self._looked_at >= LOOK_EVERY:
            self.refresh_now()
        self.paint_all()

    def paint_all(self) -> None:
        self.viewport.bound(0, len(self.rows))
        rank = next((n for n, row in enumerate(self.rows) if self.key_of(row) == self._chosen_key), None)
        if rank is not None and rank != self.viewport.cursor:
            self.viewport.go(rank)
        self._keep_chosen()
        self.paint_around()
        self.table.repaint()

    def choose_first(self) -> None:
        self._chosen_key = ""
        self.viewport.bound(0, 0)

    def _keep_chosen(self) -> None:
        self._chosen_key = "" if (chosen := self.chosen) is None else self.key_of(chosen)

    def _row(self, rank: int) -> Sequence[Cell] | None:
        rows = self.rows
        return self.cells_of(rows[rank]) if 0 <= rank < len(rows) else None

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        self._keep_chosen()
        self.paint_all()
