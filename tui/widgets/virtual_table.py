"""VirtualTable: a list of any length; it keeps no rows but asks for the visible ones each time it is painted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from core.terminal_text import fit
from tui.action_table import LIST
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Painted

_WHEEL = 3  # rows for one notch of the wheel
_MARK = "▌"  # before the chosen row, which is seen by it where there are no colours


def _mark(over: str) -> str:
    return _MARK if over == "cursor" else " "


class Column(NamedTuple):
    """Without a width it takes the room that is left; it is shown in tables of `from_width` cells or more."""

    title: str
    width: int = 0
    right: bool = False
    from_width: int = 0


class WholeLine(list[Cell]):
    """The cells of a row that is one sentence, across all columns."""


class _Painted(NamedTuple):
    """What a line shows: a row's cells by column, or free text; and the tone that is added to all of it."""

    cells: Sequence[Cell]
    over: str = ""
    columns: bool = True


class VirtualTable(Painted, can_focus=True):
    """Keys and the mouse move the cursor of the viewport, which belongs to the view; the messages tell the view."""

    BINDINGS: ClassVar[list[BindingType]] = LIST.bindings()

    class Moved(Message):
        """Another row is chosen, or other rows are visible."""

    class Opened(Message):
        pass

    class Headed(Message):
        """The heading of a column was clicked; `column` counts all columns, also those without room."""

        def __init__(self, column: int) -> None:
            self.column = column
            super().__init__()

    class Edge(Message):
        """The operator went to the very first or last row; the list may have more rows beyond those in the viewport."""

        def __init__(self, *, last: bool) -> None:
            self.last = last
            super().__init__()

    def __init__(
        self,
        columns: Sequence[Column],
        view: Viewport,
        row: Callable[[int], Sequence[Cell] | None],
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.view = view
        self.row = row
        self.notice: Sequence[Cell] = ()
        self._painted: list[_Painted] = []

    def say(self, *notice: Cell) -> None:
        """Set what is shown while there are no rows: why there are none, and what to do."""
        self.notice = notice

    def repaint(self) -> None:
        """Draw only the lines that have changed, so that a quiet list costs nothing, not even over SSH."""
        lines = [self._line(y) for y in range(self.size.height)]
        if len(lines) != len(self._painted):
            self._painted = lines
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(self._painted, lines, strict=True)) if old != new]
        self._painted = lines
        for y in changed:
            self.refresh_line(y)

    def render_line(self, y: int) -> Strip:
        line = self._painted[y] if y < len(self._painted) else self._line(y)
        cells = self._cells(line.cells, _mark(line.over)) if line.columns else line.cells
        return self.strip(cells, self.tone(line.over))

    def _line(self, y: int) -> _Painted:
        if y == 0:
            return _Painted([Cell(c.title, "head") for c in self.columns], over="head")
        if self.view.end == self.view.first:
            return _Painted(self._notice_line(y), columns=False)
        rank = self.view.top + y - 1
        cells = self.row(rank) if self.view.first <= rank < self.view.end else None
        if cells is None:
            return _Painted([], columns=False)
        over = self._over(rank)
        if isinstance(cells, WholeLine):
            return _Painted([Cell(_mark(over)), *cells], over=over, columns=False)
        return _Painted(cells, over=over)

    def _over(self, rank: int) -> str:
        return "cursor" if rank == self.view.cursor else ""

    def on_resize(self, event: events.Resize) -> None:
        self.view.resize(event.size.height - 1)
        self._painted = []
        self.post_message(self.Moved())

    def action_move(self, delta: int) -> None:
        self.view.move(delta)
        self._moved()

    def action_page(self, pages: float) -> None:
        self.view.move(int(pages * max(1, self.view.height - 1)))
        self._moved()

    def action_first(self) -> None:
        self.view.go(self.view.first)
        self._moved()
        self.post_message(self.Edge(last=False))

    def action_last(self) -> None:
        self.view.tail()
        self._moved()
        self.post_message(self.Edge(last=True))

    def action_open(self) -> None:
        if self.view.end > self.view.first:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            self._click_heading(event.x)
        rank = self.view.top + event.y - 1
        if event.y == 0 or not self.view.first <= rank < self.view.end:
            return
        again = rank == self.view.cursor
        self.view.go(rank)
        self._moved()
        if again or event.chain > 1:
            self.action_open()

    def _click_heading(self, x: int) -> None:
        shown = [n for n, column in enumerate(self.columns) if column.from_width <= self.size.width]
        end = 1
        for n, cell in zip(shown, self._cells([Cell(c.title) for c in self.columns], " ")[1::2], strict=True):
            end += cell_len(cell.text) + 1
            if x < end:
                self.post_message(self.Headed(n))
                return

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.prevent_default().stop()
        self.action_move(_WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.prevent_default().stop()
        self.action_move(-_WHEEL)

    def _moved(self) -> None:
        self.repaint()
        self.post_message(self.Moved())

    def _cells(self, cells: Sequence[Cell], first: str) -> list[Cell]:
        width = self.size.width
        shown = [(c, cell) for c, cell in zip(self.columns, cells, strict=False) if c.from_width <= width]
        fixed = sum(c.width + 1 for c, _ in shown if c.width)
        flexible = [c for c, _ in shown if not c.width]
        share = max(4, (width - 1 - fixed) // max(1, len(flexible)) - 1)
        painted = [Cell(first)]
        for column, cell in shown:
            painted.append(Cell(fit(cell.text, column.width or share, right=column.right), cell.tone))
            painted.append(Cell(" "))
        return painted

    def _notice_line(self, y: int) -> list[Cell]:
        first = max(1, (self.size.height - len(self.notice)) // 2)
        n = y - first
        if not 0 <= n < len(self.notice):
            return []
        cell = self.notice[n]
        text = fit(cell.text, min(len(cell.text) + 4, self.size.width))
        return [Cell(" " * max(0, (self.size.width - len(text)) // 2)), Cell(text, cell.tone)]
