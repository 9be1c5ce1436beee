"""The help sheet: every key of the deck by the place where it works, made from the sheets of keys."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Label

from tui.dialogs import event, new_order, types
from tui.dialogs.dialog import Dialog, key_line
from tui.keys import LIST, KeySheet
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane

DIALOGS = (event.KEYS, types.KEYS, new_order.KEYS)


class HelpDialog(Dialog[None]):
    def __init__(self, sheets: Sequence[KeySheet]) -> None:
        super().__init__()
        self.sheets = sheets

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog large"):
            yield Label("Keys", markup=False, classes="dialog-title")
            pane = TextPane()
            pane.show(help_lines(self.sheets))
            yield pane
            yield key_line([])


def help_sheets(own: Sequence[KeySheet], everywhere: KeySheet, others: Sequence[KeySheet]) -> list[KeySheet]:
    """Every sheet once: those of the view that is shown, lists, everywhere, the other views, the dialogs."""
    first = [sheet for sheet in own if sheet is not LIST]
    return list(dict.fromkeys([*first, LIST, everywhere, *others, *DIALOGS]))


def help_lines(sheets: Sequence[KeySheet]) -> list[list[Cell]]:
    lines: list[list[Cell]] = []
    for sheet in sheets:
        lines.append([Cell(sheet.heading, "head")])
        lines += [[Cell(f"  {hint.shown:<14}", "accent"), Cell(hint.label)] for hint in sheet.hints]
        lines.append([])
    return lines
