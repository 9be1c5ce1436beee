"""Keymap: the keys that the operator gave to actions, by the actions' ids; bindings, help and bottom line follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual import events
from textual.binding import Binding

from tui.action_table import Action, ActionTable


class Keymap:
    def __init__(self, keys: Mapping[str, str]) -> None:
        self.keys = dict(keys)
        self._applied: dict[ActionTable, ActionTable] = {}

    def applied(self, table: ActionTable) -> ActionTable:
        """The table with the keys that its actions have now."""
        if not self.keys:
            return table
        if table not in self._applied:
            actions = tuple(self._action(table, action) for action in table.actions)
            self._applied[table] = table._replace(actions=actions)
        return self._applied[table]

    def _action(self, table: ActionTable, action: Action) -> Action:
        keys = self.keys.get(table.id_of(action))
        return action if keys is None else action._replace(keys=keys, shown=keys.replace(",", " "))


def clashes(tables: Sequence[ActionTable]) -> list[str]:
    """Sentences about keys that stand for two actions, of tables that are in force together."""
    owner: dict[str, str] = {}
    found: list[str] = []
    for table in tables:
        for action in table.actions:
            for key in action.keys.split(","):
                other = owner.setdefault(key.strip(), table.id_of(action))
                if other != table.id_of(action):
                    found.append(f"{key.strip()} is the key of {other} and of {table.id_of(action)}")
    return found


def press(keys: str) -> events.Key:
    """The first of some keys as the terminal sends it."""
    first = keys.split(",", maxsplit=1)[0].strip()
    binding = next(iter(Binding.make_bindings([Binding(first, "press", "")])))
    return events.Key(binding.key, first if len(first) == 1 else " " if first == "space" else None)
