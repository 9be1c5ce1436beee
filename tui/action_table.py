"""Actions: one table for each place says what its keys do; the keys, the bottom line, the help and more come from it.

Bindings, the bottom line, the help sheet, clicks, the list of commands and the refusal to write all read these tables,
so they cannot disagree.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from textual.binding import Binding, BindingType


class Danger(IntEnum):
    """What an action can do, and how it is confirmed."""

    NONE = 0
    """It only reads, or changes what the screen shows."""

    ASKS = 1
    """It sends a command, after the operator has said yes or filled in its fields."""

    TYPED = 2
    """It sends a command that cannot be taken back, after the operator has typed a reason or a number."""


class Action(NamedTuple):
    """`keys` in Textual's names, `run` as Textual calls it: `move(1)` calls `action_move(1)`.

    `shown` is what a person calls the keys; `bar` puts the action on the bottom line.
    """

    keys: str
    run: str
    label: str
    shown: str
    bar: bool = False
    danger: Danger = Danger.NONE

    @property
    def name(self) -> str:
        """`run` without its arguments."""
        return self.run.partition("(")[0]

    @property
    def leads_on(self) -> bool:
        """Whether keys typed after it are meant for what it opens, so that they must not act when it opens nothing."""
        return bool(self.danger) or self.label.endswith("…") or self.name in ("open", "order")


class ActionTable(NamedTuple):
    """The actions of one place: a view, a dialog, every list, or the whole deck. `place` is unique."""

    place: str
    heading: str
    actions: tuple[Action, ...]

    def bindings(self) -> list[BindingType]:
        return [
            Binding(action.keys, action.run, action.label, show=False, id=self.id_of(action)) for action in self.actions
        ]

    def id_of(self, action: Action) -> str:
        """`view('orders')` of the table `everywhere` is `everywhere.view.orders`."""
        return f"{self.place}.{action.run}".replace("(", ".").replace(")", "").replace("'", "").replace(", ", ".")


EVERYWHERE = ActionTable(
    "everywhere",
    "Everywhere",
    (
        Action("-", "last_view", "the view before", "-"),
        Action("[", "walk(-1)", "back to where you were", "["),
        Action("]", "walk(1)", "on to where you were", "]"),
        Action("escape,q", "back", "clear, back", "esc q"),
        Action("ctrl+r", "reconnect", "reconnect and read anew", "ctrl+r"),
        Action(":", "command", "command line", ":"),
        Action("T", "past", "look at another moment…, back to now", "T"),
        Action("D", "compare", "what changed between two moments…", "D"),
        Action("ctrl+p", "every_action", "every action", "ctrl+p"),
        Action("?", "help", "help", "?", bar=True),
        Action("ctrl+q", "quit", "quit", "ctrl+q"),
        Action("ctrl+z", "suspend_process", "stop; fg goes on", "ctrl+z"),
    ),
)

PAST = ActionTable(
    "past",
    "In the past (T)",
    (
        Action("left_parenthesis", "step_back('event')", "one event back", "("),
        Action("right_parenthesis", "step_on('event')", "one event on", ")", bar=True),
        Action("underscore", "step_back('hour')", "an hour back", "_"),
        Action("plus", "step_on('hour')", "an hour on", "+", bar=True),
        Action("U", "step_back('release')", "back to before a release", "U"),
        Action("u", "step_on('release')", "on to before a release", "u"),
    ),
)

_MOVING = (
    Action("down,j", "move(1)", "down", "j ↓"),
    Action("up,k", "move(-1)", "up", "k ↑"),
    Action("pagedown,ctrl+f", "page(1.0)", "page down", "ctrl+f pgdn"),
    Action("pageup,ctrl+b", "page(-1.0)", "page up", "ctrl+b pgup"),
    Action("ctrl+d", "page(0.5)", "half a page down", "ctrl+d"),
    Action("ctrl+u", "page(-0.5)", "half a page up", "ctrl+u"),
    Action("home,g", "first", "first row", "g home"),
    Action("end,G", "last", "last row", "G end"),
)
LIST = ActionTable("list", "Moving in a list or a text", (*_MOVING, Action("enter", "open", "open", "enter", bar=True)))
TEXT = ActionTable("text", "Moving in a text", _MOVING)

BAR = 8  # actions at most on the bottom line; the rest is under `?`


def bar(*tables: ActionTable) -> list[Action]:
    """The actions for the bottom line, in the order of the tables."""
    return [action for table in tables for action in table.actions if action.bar][:BAR]
