"""Lines of text to read, over the deck until they are closed."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Label

from core.printable import clean
from tui.dialogs.dialog import Dialog, key_line
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane


class LinesDialog(Dialog[None]):
    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self.heading = title
        self.lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog large"):
            yield Label(clean(self.heading), markup=False, classes="dialog-title")
            pane = TextPane()
            pane.show([[Cell(clean(line))] for line in self.lines])
            yield pane
            yield key_line(())
