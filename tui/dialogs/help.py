"""The help sheet: every key, from the key table."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Label

from tui.dialogs.dialog import Dialog, key_line
from tui.keys import KEYS, SCOPES
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane


class HelpDialog(Dialog[None]):
    """The scopes of the view it was asked from come first."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__()
        self.scopes = scopes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog large"):
            yield Label("Keys", markup=False, classes="dialog-title")
            pane = TextPane()
            pane.show(help_lines(self.scopes))
            yield pane
            yield key_line([])


def help_lines(scopes: tuple[str, ...]) -> list[list[Cell]]:
    own = [scope for scope in scopes if scope not in ("list", "everywhere")]
    lines: list[list[Cell]] = []
    for scope in dict.fromkeys([*own, "list", "everywhere", *SCOPES]):
        lines.append([Cell(SCOPES[scope], "head")])
        lines += [[Cell(f"  {key.shown:<14}", "accent"), Cell(key.label)] for key in KEYS if key.scope == scope]
        lines.append([])
    return lines
