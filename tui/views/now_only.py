"""NowOnly: what the deck of an earlier moment shows in place of a view that has no past: why, and the way to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult

from tui.action_table import LIST
from tui.desk import Desk
from tui.messages import OpenNow
from tui.pane import Pane
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.virtual_table import Column, VirtualTable, WholeLine


class NowOnlyView(Pane):
    tables = (LIST,)

    def __init__(self, desk: Desk, name: str, title: str, why: str) -> None:
        super().__init__(desk)
        self.opens = name
        self.lines = (
            Cell(f"{title}: there is only what is now", "warn"),
            Cell(f"{title} of an earlier moment cannot be shown: {why}"),
            Cell("enter returns to now and opens what there is now", "accent"),
        )
        self.viewport = Viewport()
        self.table = VirtualTable((Column(""),), self.viewport, self._row)

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    def compose(self) -> ComposeResult:
        yield self.table

    def paint(self) -> None:
        self.viewport.bound(0, len(self.lines))
        self.table.repaint()

    def _row(self, rank: int) -> Sequence[Cell] | None:
        return WholeLine([self.lines[rank]]) if rank < len(self.lines) else None

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        self.post_message(OpenNow(self.opens))


def now_only(name: str, title: str, why: str) -> Callable[[Desk], NowOnlyView]:
    """Makes the stand-in for the view of that name."""
    return lambda desk: NowOnlyView(desk, name, title, why)
