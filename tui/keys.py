"""The key table: every key of the deck in one place; bindings, the bottom line and the help sheet come from it."""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding


class Key(NamedTuple):
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
    Key("everywhere", "1", "view('orders')", "Orders", "1"),
    Key("everywhere", "2", "view('stream')", "Stream", "2"),
    Key("everywhere", "-", "last_view", "the view before", "-"),
    Key("everywhere", "escape,q", "back", "clear, back", "esc q"),
    Key("everywhere", "ctrl+r", "reconnect", "reconnect and read anew", "ctrl+r"),
    Key("everywhere", "?", "help", "help", "?", bar=True),
    Key("everywhere", "ctrl+q", "quit", "quit", "ctrl+q"),
    Key("list", "down,j", "move(1)", "down", "j ↓"),
    Key("list", "up,k", "move(-1)", "up", "k ↑"),
    Key("list", "pagedown,ctrl+f", "page(1.0)", "page down", "ctrl+f pgdn"),
    Key("list", "pageup,ctrl+b", "page(-1.0)", "page up", "ctrl+b pgup"),
    Key("list", "ctrl+d", "page(0.5)", "half a page down", "ctrl+d"),
    Key("list", "ctrl+u", "page(-0.5)", "half a page up", "ctrl+u"),
    Key("list", "home,g", "first", "first row", "g home"),
    Key("list", "end,G", "last", "last row", "G end"),
    Key("list", "enter", "open", "open", "enter", bar=True),
    Key("orders", "n", "new_order", "new", "n", bar=True),
    Key("orders", "a", "advance", "advance…", "a", bar=True),
    Key("orders", "c", "cancel", "cancel…", "c", bar=True),
    Key("orders", "/", "filter", "filter", "/", bar=True),
    Key("orders", ".", "take_in", "take in new", ".", bar=True),
    Key("orders", "y", "copy", "copy the order's id", "y"),
    Key("detail", ".", "step(1)", "one event on", "."),
    Key("detail", "comma", "step(-1)", "one event back", ","),
    Key("detail", "<", "step(-10)", "ten events back", "<"),
    Key("detail", ">", "step(10)", "ten events on", ">"),
    Key("detail", "{", "status(-1)", "previous change of status", "{"),
    Key("detail", "}", "status(1)", "next change of status", "}"),
    Key("detail", "L", "live", "live", "L", bar=True),
    Key("detail", "a", "advance", "advance…", "a", bar=True),
    Key("detail", "c", "cancel", "cancel…", "c", bar=True),
    Key("detail", "n", "new_order", "new", "n"),
    Key("detail", "y", "copy", "copy the order's id", "y"),
    Key("stream", "space", "pause", "pause, follow", "space", bar=True),
    Key("stream", "F", "follow", "follow", "F"),
    Key("stream", "f", "types", "types", "f", bar=True),
    Key("stream", "x", "order", "its order", "x", bar=True),
    Key("event", "x", "order", "its order", "x", bar=True),
    Key("event", "y", "copy", "copy the event", "y", bar=True),
    Key("types", "space", "flip", "show, hide", "space", bar=True),
    Key("types", "*", "show_all", "show all", "*", bar=True),
    Key("form", "ctrl+s", "place", "place", "ctrl+s", bar=True),
    Key("form", "ctrl+l", "add_line", "add a line", "ctrl+l", bar=True),
    Key("form", "ctrl+r", "reset", "start again", "ctrl+r", bar=True),
)

BAR = 8  # keys at most on the bottom line; the rest is under `?`


def bindings(*scopes: str) -> list[Binding]:
    return [Binding(key.keys, key.action, key.label, show=False, id=key.id) for key in KEYS if key.scope in scopes]


def bar(*scopes: str) -> list[Key]:
    """The keys for the bottom line, in the order of the scopes."""
    return [key for scope in scopes for key in KEYS if key.scope == scope and key.bar][:BAR]
