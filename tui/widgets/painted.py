"""Painted: widgets that draw lines of clean text themselves, so that no data is taken for markup or a control code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.action_table import TEXT
from tui.viewmodels.text import Cell

TONES = ("accent", "bad", "chosen", "cursor", "dim", "done", "flash", "fresh", "good", "head", "moving", "warn")


# A screen has them for all that is painted on it, since Textual works them out anew for every widget that has them.
TONE_CLASSES = {f"tone--{tone}" for tone in TONES}


class Painted(ScrollView):
    """Textual works a widget's style out from all around it: it is asked once for each picture, not for each cell."""

    _ground = Style.null()
    _styles: dict[tuple[str, Style | None], Style]

    def render_lines(self, crop: Region) -> list[Strip]:
        self._ground, self._styles = self.rich_style, {}
        return super().render_lines(crop)

    def tone(self, name: str) -> Style:
        """The style that app.tcss gives a tone; the tone without a name has none."""
        return self.screen.get_component_rich_style(f"tone--{name}", partial=True) if name else Style.null()

    def strip(self, cells: Iterable[Cell], over: Style | None = None) -> Strip:
        """One line as wide as the widget; `over` is added to the style of every cell."""
        segments = [Segment(cell.text, self._style(cell.tone, over)) for cell in cells]
        return Strip(segments).adjust_cell_length(self.size.width, self._style("", over))

    def _style(self, tone: str, over: Style | None) -> Style:
        style = self._styles.get((tone, over))
        if style is None:
            style = self._ground + self.tone(tone)
            style = self._styles[tone, over] = style + over if over else style
        return style


class Line(Painted, can_focus=False):
    """One line: cells at its left, and others at its right if there is room for them."""

    class Picked(Message):
        """The text at the right was clicked, at this column of it."""

        def __init__(self, line: Line, column: int) -> None:
            self.line = line
            self.column = column
            super().__init__()

        @property
        def control(self) -> Line:
            return self.line

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._left: Sequence[Cell] = ()
        self._right: Sequence[Cell] = ()

    def show(self, left: Sequence[Cell], right: Sequence[Cell] = ()) -> None:
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def render_line(self, y: int) -> Strip:
        left, right = self.strip_width(self._left), self.strip_width(self._right)
        gap = self.size.width - left - right
        if y or not self.size.width:
            return self.strip([])
        if gap < 1:
            return self.strip(self._left)
        return self.strip([*self._left, Cell(" " * gap), *self._right])

    def on_click(self, event: events.Click) -> None:
        left, right = self.strip_width(self._left), self.strip_width(self._right)
        start = self.size.width - right
        if left < start <= event.x:  # otherwise there was no room for the text at the right
            self.post_message(self.Picked(self, event.x - start))

    @staticmethod
    def strip_width(cells: Sequence[Cell]) -> int:
        return Strip([Segment(cell.text) for cell in cells]).cell_length

    @property
    def text(self) -> str:
        return "".join(cell.text for cell in (*self._left, *self._right))


class TextPane(Painted, can_focus=True):
    """Lines of text that scroll by the keys that move in a list; what is too wide is cut."""

    BINDINGS: ClassVar[list[BindingType]] = TEXT.bindings()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.lines: Sequence[Sequence[Cell]] = ()

    def show(self, lines: Sequence[Sequence[Cell]], *, keep_scroll: bool = False) -> None:
        if lines == self.lines:
            return
        self.lines = lines
        self.virtual_size = Size(0, len(lines))
        if not keep_scroll:
            self.scroll_to(y=0, animate=False)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        return self.strip(self.lines[row] if row < len(self.lines) else [])

    def action_move(self, delta: int) -> None:
        self.scroll_to(y=self.scroll_target_y + delta, animate=False)

    def action_page(self, pages: float) -> None:
        self.action_move(int(pages * max(1, self.size.height - 1)))

    def action_first(self) -> None:
        self.scroll_to(y=0, animate=False)

    def action_last(self) -> None:
        self.scroll_to(y=self.max_scroll_y, animate=False)
