"""The help sheet: every key of the deck by the place where it works, made from the tables of actions."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Label

from tui.action_table import LIST, ActionTable
from tui.dialogs import bulk, event, new_order, secret, trial, types
from tui.dialogs.dialog import Dialog, key_line
from tui.keymap import Keymap
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane

DIALOGS = (event.KEYS, trial.KEYS, types.KEYS, new_order.KEYS, bulk.KEYS, secret.KEYS)


class HelpDialog(Dialog[None]):
    def __init__(self, tables: Sequence[ActionTable]) -> None:
        super().__init__()
        self.tables = tables

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog large"):
            yield Label("Keys", markup=False, classes="dialog-title")
            pane = TextPane()
            pane.show(help_lines(self.tables))
            yield pane
            yield key_line([])


def help_tables(
    own: Sequence[ActionTable], everywhere: ActionTable, others: Sequence[ActionTable], keymap: Keymap
) -> list[ActionTable]:
    """Every table once: those of the view that is shown, lists, everywhere, the other views, the dialogs."""
    first = [table for table in own if table is not LIST]
    every = dict.fromkeys([*first, LIST, everywhere, *others, *DIALOGS])
    return list(dict.fromkeys(map(keymap.applied, every)))


def help_lines(tables: Sequence[ActionTable]) -> list[list[Cell]]:
    lines: list[list[Cell]] = []
    for table in tables:
        lines.append([Cell(table.heading, "head")])
        lines += [[Cell(f"  {action.shown:<14}", "accent"), Cell(action.label)] for action in table.actions]
        lines.append([])
    return lines
