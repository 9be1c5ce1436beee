"""The registry of views: a screen of the deck is one line here.

The keys 1, 2, …, the list at the right of the bottom line, clicks on it, the help sheet, and who is handed the events
of each tick all follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from rich.cells import cell_len

from tui.action_table import EVERYWHERE, Action, ActionTable
from tui.desk import Desk
from tui.view import DeckView
from tui.views.attention import AttentionView
from tui.views.audit import AuditView
from tui.views.compare import CompareView
from tui.views.daemons import DaemonsView
from tui.views.detail import DetailView
from tui.views.figures import FiguresView
from tui.views.now_only import now_only
from tui.views.orders import OrdersView
from tui.views.parked import ParkedView
from tui.views.pulse import PulseView
from tui.views.saga import SagaView
from tui.views.sagas import SagasView
from tui.views.stream import StreamView
from tui.views.webhook import WebhookView
from tui.views.webhooks import WebhooksView


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
    ViewEntry("audit", "Audit", "7", AuditView),
    ViewEntry("webhooks", "Webhooks", "8", WebhooksView),
    ViewEntry("webhook", "Webhook", "", WebhookView),
    ViewEntry("attention", "Alarms", "!", AttentionView),
    ViewEntry("compare", "Compare", "", CompareView),
)
_NO_MESSAGES = "what became of their messages is kept for three days only."
_IN_THE_PAST: Mapping[str, Callable[[Desk], DeckView]] = {
    "daemons": now_only("daemons", "Daemons", "the log says what happened to orders, and not which programs ran."),
    "pulse": FiguresView,
    "parked": now_only("parked", "Parked events", "when one was parked and when it was applied is not kept."),
    "audit": now_only("audit", "Audit", "there, / with until:09:00 lists what was recorded until then."),
    "webhooks": now_only("webhooks", "Webhooks", _NO_MESSAGES),
    "webhook": now_only("webhooks", "Webhooks", _NO_MESSAGES),
    "attention": now_only("attention", "Alarms", "what sagas needed at that moment is in the list of sagas (3)."),
}
"""What is shown of an earlier moment in place of these views; all others show that moment themselves."""


def with_past(entries: Sequence[ViewEntry]) -> list[ViewEntry]:
    """The views as they show an earlier moment."""
    return [entry._replace(make=_IN_THE_PAST.get(entry.name, entry.make)) for entry in entries]


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
