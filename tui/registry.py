"""The registry of views: a screen of the deck is one line here.

The keys 1, 2, …, the list at the right of the bottom line, clicks on it, the help sheet, and who is handed the events
of each tick all follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from rich.cells import cell_len

from tui.action_table import EVERYWHERE, Action, ActionTable
from tui.desk import Desk
from tui.view import DeckView
from tui.views.attention import AttentionView
from tui.views.daemons import DaemonsView
from tui.views.detail import DetailView
from tui.views.orders import OrdersView
from tui.views.parked import ParkedView
from tui.views.pulse import PulseView
from tui.views.saga import SagaView
from tui.views.sagas import SagasView
from tui.views.stream import StreamView


class ViewEntry(NamedTuple):
    """A view without a key is opened by other views only, with `OpenView(name, id)`, and esc leads back to them."""

    name: str
    title: str
    key: str
    make: Callable[[Desk], DeckView]


VIEWS = (
    ViewEntry("orders", "Orders", "1", OrdersView),
    ViewEntry("detail", "Order", "", DetailView),
    ViewEntry("stream", "Stream", "2", StreamView),
    ViewEntry("sagas", "Sagas", "3", SagasView),
    ViewEntry("saga", "Saga", "", SagaView),
    ViewEntry("daemons", "Daemons", "4", DaemonsView),
    ViewEntry("pulse", "Pulse", "5", PulseView),
    ViewEntry("parked", "Parked", "6", ParkedView),
    ViewEntry("attention", "Alarms", "!", AttentionView),
)


def with_past(entries: Sequence[ViewEntry]) -> list[ViewEntry]:
    """The views that can show an earlier moment."""
    return [entry for entry in entries if entry.name in ("orders", "detail", "saga")]


def everywhere(entries: Sequence[ViewEntry]) -> ActionTable:
    """The keys that work in every view: those that open a view come first."""
    opening = [Action(entry.key, f"view('{entry.name}')", entry.title, entry.key) for entry in entries if entry.key]
    return EVERYWHERE._replace(actions=(*opening, *EVERYWHERE.actions))


def view_names(entries: Sequence[ViewEntry]) -> list[str]:
    """What stands at the right of the bottom line: the views that a key opens, in the order of the registry."""
    names = [f"{entry.key} {entry.title}" for entry in entries if entry.key]
    return [f"{name}  " for name in names[:-1]] + [f"{name} " for name in names[-1:]]


def view_at(entries: Sequence[ViewEntry], column: int) -> ViewEntry:
    """The view whose name stands at that column of the joined names."""
    ends = accumulate(map(cell_len, view_names(entries)))
    keyed = [entry for entry in entries if entry.key]
    return next(entry for entry, end in zip(keyed, ends, strict=True) if column < end)
