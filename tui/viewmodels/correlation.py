"""Where an order and its events lead to: its sagas, what caused an event, what it led to, its order."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from core.printable import clean
from tui.viewmodels.timeline import Timeline
from tui.wire import WireEvent

MOST_SAGAS = 9
LOG = "log"  # the place that is no view: lines of the daemons' logs
NO_SAGAS = "this deck has no view of sagas"


class Place(NamedTuple):
    """`key` chooses it. It is a view with the id of what that shows, or an event by its index in the history.

    `why_not` says why it cannot be gone to; it is then shown all the same.
    """

    key: str
    label: str
    view: str = ""
    subject: str = ""
    event: int | None = None
    why_not: str | None = None


def of_history(timeline: Timeline, views: AbstractSet[str]) -> list[Place]:
    """The places that the chosen event leads to; `views` are the names of the views that the deck has."""
    event = timeline.current
    if event is None:
        return []
    places = [*_sagas(timeline, event, views), _cause(timeline, event)]
    effect = next((n for n, e in enumerate(timeline.events) if e.metadata.causation_id == event.event_id), None)
    if effect is not None and event.event_id:
        places.append(_at("e", "what it led to", timeline, effect))
    return [*places, Place("l", "what the daemons logged at its time", view=LOG)]


def of_event(event: WireEvent, views: AbstractSet[str]) -> list[Place]:
    """The places that an event leads to when it is not seen in the history of its order."""
    order = Place("o", "its order", "detail", event.order_id)
    places = [order if event.order_id else order._replace(why_not="this event belongs to no order")]
    if event.aggregate_type == "saga":
        saga = Place("s", "its saga", "saga", event.aggregate_id)
        places.append(saga if "saga" in views else saga._replace(why_not=NO_SAGAS))
    return places


def _sagas(timeline: Timeline, event: WireEvent, views: AbstractSet[str]) -> list[Place]:
    """The saga of the event by `s`, and the others, the newest first, by `1` to `9`."""
    known = timeline.state(timeline.at + 1).sagas
    why_not = None if "saga" in views else NO_SAGAS
    now = "" if timeline.live else ", as it is now"
    others = [saga_id for saga_id in reversed(list(known)) if saga_id != event.aggregate_id][:MOST_SAGAS]
    places = [
        Place(str(n), f"saga {known[saga_id]}{now}", "saga", saga_id, why_not=why_not)
        for n, saga_id in enumerate(others, 1)
    ]
    if event.aggregate_type != "saga":
        return places
    label = f"this event's saga, {known.get(event.aggregate_id, clean(event.aggregate_id))}{now}"
    return [Place("s", label, "saga", event.aggregate_id, why_not=why_not), *places]


def _cause(timeline: Timeline, event: WireEvent) -> Place:
    cause = event.metadata.causation_id
    index = timeline.index_of(cause) if cause else None
    if index is not None:
        return _at("c", "what caused it", timeline, index)
    reason = "a command caused this event, not another event" if cause else "what caused this event is not recorded"
    return Place("c", "what caused it", why_not=reason)


def _at(key: str, label: str, timeline: Timeline, index: int) -> Place:
    return Place(key, f"{label}: event {index + 1} {clean(timeline.events[index].event_type)}", event=index)
