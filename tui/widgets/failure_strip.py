"""FailureStrip: the failures below the stream: the latest few, and more of them while the strip has the focus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on

from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.virtual_table import Column, VirtualTable

COLUMNS = (Column("FAILED AT UTC", 18), Column("FAILURE", 28), Column("ORDER", 22, from_width=100), Column("SUMMARY"))


class FailureStrip(VirtualTable):
    """Its messages end here; the view is told by `moved`, which says whether by going to the last row, and `opened`."""

    def __init__(
        self,
        view: Viewport,
        row: Callable[[int], Sequence[Cell] | None],
        moved: Callable[[bool], None],
        opened: Callable[[], None],
    ) -> None:
        super().__init__(COLUMNS, view, row, id="failures")
        self.moved = moved
        self.opened = opened

    def _over(self, rank: int) -> str:
        return super()._over(rank) if self.has_focus else ""

    @on(VirtualTable.Moved)
    def _row_chosen(self, event: VirtualTable.Moved) -> None:
        event.stop()
        self.moved(False)  # noqa: FBT003 - its one parameter

    @on(VirtualTable.Edge)
    def _end_reached(self, event: VirtualTable.Edge) -> None:
        event.stop()
        self.moved(event.last)

    @on(VirtualTable.Opened)
    def _row_opened(self, event: VirtualTable.Opened) -> None:
        event.stop()
        self.opened()
