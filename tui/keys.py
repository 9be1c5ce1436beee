"""Keys: a KeyHint says what one key does, a KeySheet holds the hints of one place under its heading in the help.

The bindings, the bottom line and the help sheet are all made from sheets, so they cannot disagree.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding, BindingType


class KeyHint(NamedTuple):
    """`keys` in Textual's names; `shown` is what a person calls them; `bar` puts the hint on the bottom line."""

    keys: str
    action: str
    label: str
    shown: str
    bar: bool = False


class KeySheet(NamedTuple):
    """The keys of one place: a view, a dialog, every list, or the whole deck. `place` is unique."""

    place: str
    heading: str
    hints: tuple[KeyHint, ...]

    def bindings(self) -> list[BindingType]:
        return [
            Binding(hint.keys, hint.action, hint.label, show=False, id=self._id(hint.action)) for hint in self.hints
        ]

    def _id(self, action: str) -> str:
        """`view('orders')` becomes `everywhere.view.orders`."""
        return f"{self.place}.{action}".replace("(", ".").replace(")", "").replace("'", "").replace(", ", ".")


EVERYWHERE = KeySheet(
    "everywhere",
    "Everywhere",
    (
        KeyHint("-", "last_view", "the view before", "-"),
        KeyHint("escape,q", "back", "clear, back", "esc q"),
        KeyHint("ctrl+r", "reconnect", "reconnect and read anew", "ctrl+r"),
        KeyHint("?", "help", "help", "?", bar=True),
        KeyHint("ctrl+q", "quit", "quit", "ctrl+q"),
    ),
)

LIST = KeySheet(
    "list",
    "Moving in a list",
    (
        KeyHint("down,j", "move(1)", "down", "j ↓"),
        KeyHint("up,k", "move(-1)", "up", "k ↑"),
        KeyHint("pagedown,ctrl+f", "page(1.0)", "page down", "ctrl+f pgdn"),
        KeyHint("pageup,ctrl+b", "page(-1.0)", "page up", "ctrl+b pgup"),
        KeyHint("ctrl+d", "page(0.5)", "half a page down", "ctrl+d"),
        KeyHint("ctrl+u", "page(-0.5)", "half a page up", "ctrl+u"),
        KeyHint("home,g", "first", "first row", "g home"),
        KeyHint("end,G", "last", "last row", "G end"),
        KeyHint("enter", "open", "open", "enter", bar=True),
    ),
)

BAR = 8  # keys at most on the bottom line; the rest is under `?`


def bar(*sheets: KeySheet) -> list[KeyHint]:
    """The hints for the bottom line, in the order of the sheets."""
    return [hint for sheet in sheets for hint in sheet.hints if hint.bar][:BAR]
