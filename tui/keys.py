"""The key table: every key of the deck in one place; bindings, the bottom line and the help sheet come from it."""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding


class KeyHint(NamedTuple):
    """`keys` in Textual's names; `shown` is what a person calls it; `bar` puts it on the bottom line."""

    scope: str
    keys: str
    action: str
    label: str
    shown: str
    bar: bool = False

    @property
    def id(self) -> str:
        return f"{self.scope}.{self.action}".replace("(", ".").replace(")", "").replace("'", "").replace(", ", ".")


SCOPES = {
    "everywhere": "Everywhere",
    "list": "Moving in a list",
    "orders": "Orders",
    "detail": "An order and its past",
    "stream": "Stream",
    "event": "An event",
    "types": "Choosing types",
    "form": "New order",
}

KEYS = (
    KeyHint("everywhere", "1", "view('orders')", "Orders", "1"),
    KeyHint("everywhere", "2", "view('stream')", "Stream", "2"),
    KeyHint("everywhere", "-", "last_view", "the view before", "-"),
    KeyHint("everywhere", "escape,q", "back", "clear, back", "esc q"),
    KeyHint("everywhere", "ctrl+r", "reconnect", "reconnect and read anew", "ctrl+r"),
    KeyHint("everywhere", "?", "help", "help", "?", bar=True),
    KeyHint("everywhere", "ctrl+q", "quit", "quit", "ctrl+q"),
    KeyHint("list", "down,j", "move(1)", "down", "j ↓"),
    KeyHint("list", "up,k", "move(-1)", "up", "k ↑"),
    KeyHint("list", "pagedown,ctrl+f", "page(1.0)", "page down", "ctrl+f pgdn"),
    KeyHint("list", "pageup,ctrl+b", "page(-1.0)", "page up", "ctrl+b pgup"),
    KeyHint("list", "ctrl+d", "page(0.5)", "half a page down", "ctrl+d"),
    KeyHint("list", "ctrl+u", "page(-0.5)", "half a page up", "ctrl+u"),
    KeyHint("list", "home,g", "first", "first row", "g home"),
    KeyHint("list", "end,G", "last", "last row", "G end"),
    KeyHint("list", "enter", "open", "open", "enter", bar=True),
    KeyHint("orders", "n", "new_order", "new", "n", bar=True),
    KeyHint("orders", "a", "advance", "advance…", "a", bar=True),
    KeyHint("orders", "c", "cancel", "cancel…", "c", bar=True),
    KeyHint("orders", "/", "filter", "filter", "/", bar=True),
    KeyHint("orders", ".", "take_in", "take in new", ".", bar=True),
    KeyHint("orders", "y", "copy", "copy the order's id", "y"),
    KeyHint("detail", ".", "step(1)", "one event on", "."),
    KeyHint("detail", "comma", "step(-1)", "one event back", ","),
    KeyHint("detail", "<", "step(-10)", "ten events back", "<"),
    KeyHint("detail", ">", "step(10)", "ten events on", ">"),
    KeyHint("detail", "{", "status(-1)", "previous change of status", "{"),
    KeyHint("detail", "}", "status(1)", "next change of status", "}"),
    KeyHint("detail", "L", "live", "live", "L", bar=True),
    KeyHint("detail", "a", "advance", "advance…", "a", bar=True),
    KeyHint("detail", "c", "cancel", "cancel…", "c", bar=True),
    KeyHint("detail", "n", "new_order", "new", "n"),
    KeyHint("detail", "y", "copy", "copy the order's id", "y"),
    KeyHint("stream", "space", "pause", "pause, follow", "space", bar=True),
    KeyHint("stream", "F", "follow", "follow", "F"),
    KeyHint("stream", "f", "types", "types", "f", bar=True),
    KeyHint("stream", "x", "order", "its order", "x", bar=True),
    KeyHint("event", "x", "order", "its order", "x", bar=True),
    KeyHint("event", "y", "copy", "copy the event", "y", bar=True),
    KeyHint("types", "space", "flip", "show, hide", "space", bar=True),
    KeyHint("types", "*", "show_all", "show all", "*", bar=True),
    KeyHint("form", "ctrl+s", "place", "place", "ctrl+s", bar=True),
    KeyHint("form", "ctrl+l", "add_line", "add a line", "ctrl+l", bar=True),
    KeyHint("form", "ctrl+r", "reset", "start again", "ctrl+r", bar=True),
)

BAR = 8  # keys at most on the bottom line; the rest is under `?`


def bindings(*scopes: str) -> list[Binding]:
    return [Binding(key.keys, key.action, key.label, show=False, id=key.id) for key in KEYS if key.scope in scopes]


def bar(*scopes: str) -> list[KeyHint]:
    """The keys for the bottom line, in the order of the scopes."""
    return [key for scope in scopes for key in KEYS if key.scope == scope and key.bar][:BAR]
