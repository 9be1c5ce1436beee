"""One event in full: who recorded it, what caused it, and its payload in its newest shape, or what it counts as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Label

from core.printable import clean
from tui.action_table import Action, ActionTable, bar
from tui.dialogs.dialog import Dialog, key_line
from tui.dialogs.go_to import go_to
from tui.messages import Copy
from tui.viewmodels.correlation import Place
from tui.viewmodels.text import Cell, clock_time, pretty
from tui.widgets.painted import TextPane
from tui.wire import WireEvent

MOST_BECAME = 20  # events as which one event counts that are shown

KEYS = ActionTable(
    "event",
    "An event",
    (
        Action("x", "places", "go to…", "x", bar=True),
        Action("y", "copy", "copy the event", "y", bar=True),
    ),
)


class EventDialog(Dialog[Place]):
    """Its answer is one of `places`."""

    BINDINGS: ClassVar[list[BindingType]] = KEYS.bindings()

    def __init__(self, event: WireEvent, places: Sequence[Place]) -> None:
        super().__init__()
        self.event = event
        self.places = places

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog large"):
            yield Label(
                f"{clean(self.event.event_type)}  at position {self.event.position:,}",
                markup=False,
                classes="dialog-title",
            )
            pane = TextPane()
            pane.show(
                [
                    *([Cell(f"{name:<12} ", "dim"), Cell(clean(value))] for name, value in _facts(self.event)),
                    [],
                    *_payload(self.event),
                ]
            )
            yield pane
            yield key_line(bar(KEYS))

    def action_places(self) -> None:
        go_to(self, self.places, self._go)

    def _go(self, place: Place | None) -> None:
        if place is not None:
            self.dismiss(place)

    def action_copy(self) -> None:
        self.post_message(Copy(bytes(self.event.payload).decode(errors="replace"), "the payload"))


def _facts(event: WireEvent) -> list[tuple[str, str]]:
    facts = [
        ("recorded", f"{event.timestamp:%Y-%m-%d} {clock_time(event.timestamp)} UTC"),
        ("stream", f"{event.aggregate_type} {event.aggregate_id}, version {event.version}"),
        ("order", event.order_id or "–"),
        ("by", event.metadata.user_id or "–"),
        ("caused by", event.metadata.causation_id or "–"),
        ("event id", event.event_id or "–"),
        ("schema", _schema(event)),
    ]
    return [fact for fact in facts if fact[1] != "–"]


def _schema(event: WireEvent) -> str:
    """The schema version in which the event is stored, and the newest one when it is shown in that."""
    shown = event.schema_version or event.event_version
    stored = f"version {event.event_version}"
    return stored if shown == event.event_version else f"{stored}, shown as version {shown}"


def _payload(event: WireEvent) -> list[list[Cell]]:
    """The payload; of an event of a type that is no longer recorded, also the events as which it counts today."""
    lines = _lines(event.payload)
    for newer in event.became[:MOST_BECAME]:
        title = f"counts as {clean(newer.event_type)}, version {newer.schema_version}"
        lines += [[], [Cell(title, "head")], *_lines(newer.payload)]
    if (more := len(event.became) - MOST_BECAME) > 0:
        lines += [[], [Cell(f"and as {more:,} more", "dim")]]
    return lines


def _lines(payload: msgspec.Raw) -> list[list[Cell]]:
    return [[Cell(line)] for line in pretty(bytes(payload))]
