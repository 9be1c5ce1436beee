"""Picker: a line to type in, and under it the choices that fit: the command line and the list of all actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.message import Message
from textual.widgets import Input, Label

from core.printable import clean
from tui.action_table import Action
from tui.dialogs.dialog import Dialog, key_line
from tui.viewmodels.command_words import Suggestion
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane

ROWS = 10
_LONGEST = 500  # characters of a command
_KEYS = (Action("tab", "", "complete", "tab"), Action("enter", "", "run", "enter"))


class PickerRows(TextPane):
    """The choices; a click on one chooses it."""

    class Picked(Message):
        def __init__(self, row: int) -> None:
            self.row = row
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self.can_focus = False
        self.first = 0
        self.styles.height = ROWS

    def on_click(self, event: events.Click) -> None:
        self.post_message(self.Picked(self.first + event.y))


def fitting(choices: Sequence[Suggestion], text: str) -> list[Suggestion]:
    """The choices in which the letters of the text occur in this order, the best first."""
    if not text.strip():
        return list(choices)
    matcher = Matcher(text.strip())
    scored = [(matcher.match(f"{choice.label} {choice.hint}"), choice) for choice in choices]
    return [choice for score, choice in sorted(scored, key=lambda each: -each[0]) if score > 0]


class Picker(Dialog[str]):
    """Its answer is that of the chosen row, or the text when no row was chosen and `free` allows any text."""

    def __init__(self, title: str, choices: Callable[[str], Sequence[Suggestion]], *, free: bool) -> None:
        super().__init__()
        self.heading = title
        self.choices = choices
        self.free = free
        self.found: Sequence[Suggestion] = ()
        self.at = -1
        self.rows = PickerRows()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog small"):
            yield Label(self.heading, markup=False, classes="dialog-title")
            yield Input(compact=True, select_on_focus=False, max_length=_LONGEST)
            yield self.rows
            yield Label("", markup=False, classes="field-error")
            yield key_line(_KEYS)

    def on_mount(self) -> None:
        self.look("")

    def look(self, text: str) -> None:
        self.found = self.choices(text)[:200]
        self.at = -1 if self.free else 0
        self._paint()

    def pressed(self, key: str) -> bool:
        if key in ("down", "up") and self.found:
            least = -1 if self.free else 0
            self.at = max(least, min(len(self.found) - 1, self.at + (1 if key == "down" else -1)))
            self._paint()
            return True
        if key == "tab":
            self._complete()
            return True
        return super().pressed(key)

    def _complete(self) -> None:
        if self.free and self.found:
            line = self.query_one(Input)
            chosen = self.found[max(self.at, 0)]
            more = not chosen.answer.count(" ")
            line.value = chosen.answer + (" " if more else "")
            line.cursor_position = len(line.value)

    def _paint(self) -> None:
        top = max(0, min(self.at - ROWS + 1, len(self.found) - ROWS))
        lines: list[list[Cell]] = []
        for n, choice in enumerate(self.found[top : top + ROWS], top):
            tone = "dim" if choice.why_not else "chosen" if n == self.at else ""
            mark = Cell("▌ " if n == self.at else "  ", "accent")
            lines.append([mark, Cell(f"{clean(choice.label):<34.34} ", tone), Cell(clean(choice.hint), "dim")])
        self.rows.first = top
        self.rows.show(lines or [[Cell("  nothing fits", "dim")]])
        why_not = self.found[self.at].why_not if 0 <= self.at < len(self.found) else ""
        self.query_one(".field-error", Label).update(clean(why_not))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.look(event.value)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._answer(self.at)

    def _answer(self, at: int) -> None:
        if not self.is_current:
            return
        if 0 <= at < len(self.found):
            self.dismiss(self.found[at].answer)
        elif self.free:
            self.dismiss(self.query_one(Input).value)

    @on(PickerRows.Picked)
    def _picked(self, message: PickerRows.Picked) -> None:
        self._answer(message.row)
