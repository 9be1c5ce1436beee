"""Folds events that may come twice, late, in disorder or not at all: versions say which one is next in its stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.codec import StoredEvent
from core.domain.message import StreamId
from core.ports.shared_models import StreamGap
from core.projections.projection import Projection
from core.services.fold_events import Read, Views, apply_read, fold, read
from core.services.set_aside import SetAside

ALL = 2**31 - 1  # above every version


def fold_next(
    projection: Projection[Any], before: Views, events: Sequence[Read], aside: SetAside | None = None
) -> tuple[Views, Sequence[Read]]:
    """The views that the events change, and the events that cannot be folded before others, which have not come.

    An event that a view contains already is left out. The first source makes the views, so an event of another source
    waits while its view is missing.
    """
    after: dict[StreamId, Any] = {}
    waiting: list[Read] = []
    first = projection.sources[0]
    for one in events:
        stream, source, stored, _ = one
        if aside is not None and aside.waits(stream):
            continue
        view = after.get(stream) or before.get(stream)
        last = 0 if view is None else getattr(view, source.version)
        if stored.version <= last:
            continue
        if stored.version > last + 1 or (view is None and source is not first):
            waiting.append(one)
            continue
        view = apply_read(projection, one, view, aside)
        if view is not None:
            after[stream] = view
    return after, waiting


def gaps(projection: Projection[Any], views: Views, waiting: Sequence[Read]) -> Sequence[StreamGap]:
    """What the events that wait are waiting for."""
    first = projection.sources[0]
    versions: dict[StreamId, tuple[int, set[int]]] = {}  # by stream: the last version in the view, and those that wait
    without_view: set[StreamId] = set()
    for stream, source, stored, _ in waiting:
        view = views.get(stream)
        last = 0 if view is None else getattr(view, source.version)
        versions.setdefault(stored.stream, (last, set()))[1].add(stored.version)
        if view is None and source is not first:
            without_view.add(stream)
    found: list[StreamGap] = []
    for stream, (known, come) in versions.items():
        last = known
        for version in sorted(come):
            if version > last + 1:
                found.append(StreamGap(stream, last, version))
            last = version
        if stream in without_view:
            found.append(StreamGap(stream, last, ALL))
            without_view.discard(stream)
    return [*found, *(StreamGap(stream, 0, ALL) for stream in without_view)]


def fold_late(
    projection: Projection[Any],
    views: Views,
    waiting: Sequence[Read],
    missing: Sequence[StoredEvent],
    aside: SetAside | None = None,
) -> Views:
    """The views that change when the events that waited are folded together with those that they waited for."""
    places = {source.category: place for place, source in enumerate(projection.sources)}
    events = [*waiting, *read(projection, missing)]
    return fold(projection, views, sorted(events, key=lambda one: (places[one[1].category], one[2].version)), aside)
