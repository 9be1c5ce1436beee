"""The dialog that chooses which types of event the stream shows; it counts how many of each came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Label

from core.printable import clean
from tui.action_table import Action, ActionTable, bar
from tui.dialogs.dialog import Dialog, key_line
from tui.viewmodels.stream import StreamModel
from tui.viewmodels.text import Cell
from tui.viewmodels.timeline import failed
from tui.viewmodels.viewport import Viewport
from tui.widgets.virtual_table import Column, VirtualTable

KEYS = ActionTable(
    "types",
    "Choosing types",
    (
        Action("space", "flip", "show, hide", "space", bar=True),
        Action("*", "show_all", "show all", "*", bar=True),
    ),
)


class TypesDialog(Dialog[None]):
    BINDINGS: ClassVar[list[BindingType]] = KEYS.bindings()

    def __init__(self, stream: StreamModel) -> None:
        super().__init__()
        self.stream = stream
        self.types = sorted(stream.types)
        self.view = Viewport()
        self.view.bound(0, len(self.types))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog large"):
            yield Label("Types of event", markup=False, classes="dialog-title")
            table = VirtualTable(
                (Column("", 8), Column("TYPE"), Column("RECEIVED", 10, right=True)), self.view, self._row
            )
            table.say(Cell("no event came in yet", "dim"))
            yield table
            yield key_line(bar(KEYS))

    def _row(self, rank: int) -> Sequence[Cell] | None:
        name = self.types[rank]
        shown = Cell("hidden", "dim") if name in self.stream.hidden else Cell("● shown", "good")
        return shown, Cell(clean(name), "bad" if failed(name) else ""), Cell(f"{self.stream.types[name]:,}", "dim")

    @on(VirtualTable.Opened)
    def _opened(self) -> None:
        self.action_flip()

    def action_flip(self) -> None:
        if self.types:
            self.stream.show_only(self.stream.hidden ^ {self.types[self.view.cursor]})
            self.query_one(VirtualTable).repaint()

    def action_show_all(self) -> None:
        self.stream.show_only(set())
        self.query_one(VirtualTable).repaint()
