"""KeyLine: keys and what they do, in one line; a click on one does what the key does."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from tui.action_table import Action
from tui.keymap import press
from tui.viewmodels.text import Cell
from tui.widgets.painted import Line


class KeyLine(Line):
    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._actions: Sequence[Action] = ()
        self._cells: Sequence[Cell] = ()

    def offer(self, actions: Sequence[Action], cells: Sequence[Cell], right: Sequence[Cell] = ()) -> None:
        """`cells` has two for each action: its key and its label."""
        self._actions, self._cells = actions, cells
        self.show(cells, right)

    def on_click(self, event: events.Click) -> None:
        end = 0
        for n, action in enumerate(self._actions):
            start, end = end, end + self.strip_width(self._cells[2 * n : 2 * n + 2])
            if start <= event.x < end and action.keys:
                self.app.post_message(press(action.keys))  # pyright: ignore[reportUnknownMemberType] - its App is generic
