"""Fold events: brings views up to date with events of the log, and adds up what that changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, TypeVar

from msgspec.structs import replace

from core.codec import StoredEvent, decode, stored_types
from core.domain.message import Event, StreamId
from core.errors import EventNotApplied
from core.projections.projection import Amounts, At, Group, Projection, RowKey, Source, View, total
from core.services.set_aside import SetAside

Views: TypeAlias = Mapping[StreamId, Any]
Read: TypeAlias = tuple[StreamId, Source, StoredEvent, Sequence[Event] | EventNotApplied]
"""A stored event of a projection's source, after the stream whose view it changes.

With what it says, which is nothing if it is not read, or with the error if it cannot be.
"""
Sums: TypeAlias = Mapping[str, Mapping[RowKey, Amounts]]
V = TypeVar("V", bound=View)


def read(projection: Projection[Any], batch: Sequence[StoredEvent]) -> list[Read]:
    """The events of the projection's sources. One that cannot be decoded has its error instead of its content."""
    first = projection.sources[0]
    sources = {source.category: (source, _names(source), source is first) for source in projection.sources}
    events: list[Read] = []
    for stored in batch:
        if (known := sources.get(stored.category)) is None:
            continue
        source, names, is_first = known
        said: Sequence[Event] | EventNotApplied = ()
        if (name := stored.event_type) in names:
            try:
                said = decode(name, stored.schema_version, stored.payload)
            except Exception as error:  # noqa: BLE001 - any error of a payload is one of its event
                said = not_applied(stored, error)
        stream = stored.stream if is_first else row_stream(projection, source, stored)
        events.append((stream, source, stored, said))
    return events


def row_stream(projection: Projection[Any], source: Source, stored: StoredEvent) -> StreamId:
    """The stream to whose view an event of this source belongs."""
    return stored.stream if source is projection.sources[0] else StreamId(stored.correlation_id)


def fold(projection: Projection[Any], before: Views, events: Sequence[Read], aside: SetAside | None = None) -> Views:
    """The views that the events change. An event that a view contains already is left out.

    An event that cannot be applied is set aside, and so are those that wait behind it. Without `aside`, and when too
    many rows wait already, EventNotApplied is raised.
    """
    if aside is None or not aside.has_any:
        with suppress(Exception):  # whatever it is, it occurs again below, where it is known of which event
            return _fold_by_row(projection, before, events)
    after: dict[StreamId, Any] = {}
    for one in events:
        stream, source, stored, _ = one
        view = after.get(stream) or before.get(stream)
        if view is not None and stored.version <= getattr(view, source.version):
            continue
        view = apply_read(projection, one, view, aside)
        if view is not None:
            after[stream] = view
    return after


def _fold_by_row(projection: Projection[Any], before: Views, events: Sequence[Read]) -> Views:
    """The same when every event can be applied: row by row, since a view is then copied only once for its versions."""
    rows: dict[StreamId, list[Read]] = {}
    for one in events:
        if (of_row := rows.get(one[0])) is None:
            rows[one[0]] = [one]
        else:
            of_row.append(one)
    after: dict[StreamId, Any] = {}
    for stream, of_row in rows.items():
        view = _fold_row(projection, before.get(stream), of_row)
        if view is not None:
            after[stream] = view
    return after


def _fold_row(projection: Projection[Any], view: Any, events: Sequence[Read]) -> Any:
    """See `Projection.apply`, which this does for each of the events, but for the copies."""
    versions: dict[str, int] = {}
    latest: datetime | None = None
    evolve = projection.evolve
    for _, source, stored, said in events:
        field, version, time = source.version, stored.version, stored.recorded_at
        if view is not None and version <= (versions.get(field) or getattr(view, field)):
            continue
        if isinstance(said, EventNotApplied):
            raise said
        reads = source.reads
        for event in said:
            if type(event) in reads:
                view = evolve(view, event, At(version, time))
        if view is not None:
            versions[field] = version
            if latest is None or time > latest:
                latest = time
    if view is None or latest is None:
        return None
    return replace(view, **versions, updated_at=max(view.updated_at, latest))


def apply_read(projection: Projection[V], one: Read, view: V | None, aside: SetAside | None) -> V | None:
    """The view after one more event. It stays as it is if the event is set aside, or waits behind one that is."""
    stream, source, stored, said = one
    if aside is not None and aside.has_any:
        if aside.waits(stream):
            return view
        said = () if aside.leaves_out(stored) else said
    try:
        if isinstance(said, EventNotApplied):
            raise said  # noqa: TRY301 - it is treated like one that the fold raises
        return projection.apply(source, view, said, At(stored.version, stored.recorded_at))
    except Exception as error:
        if aside is None:
            raise not_applied(stored, error) from error
        aside.park(stream, stored, error)
        return view


def add_up(
    group: Group[Any], before: Views, after: Views, events: Sequence[Read], aside: SetAside | None = None
) -> tuple[Views, Sums]:
    """What the change of each view adds to the sums, and the views whose changes could be added up.

    If that fails for a view, its first event of these is set aside.
    """
    with suppress(Exception):  # whatever it is, it occurs again below, where it is known of which view
        pairs = [(before.get(stream), view) for stream, view in after.items()] if group.sums else []
        return after, {
            one.name: total([added for was, view in pairs for added in one.change(was, view)]) for one in group.sums
        }
    kept = dict(after)
    changes: list[list[tuple[RowKey, Amounts]]] = [[] for _ in group.sums]
    for stream, view in after.items():
        try:
            was = before.get(stream)
            found = [list(one.change(was, view)) for one in group.sums]
        except Exception as error:
            first = next(stored for row, _, stored, _ in events if row == stream)
            if aside is None:
                raise not_applied(first, error) from error
            aside.park(stream, first, error)
            del kept[stream]
            continue
        for all_, amounts in zip(changes, found, strict=True):
            all_.extend(amounts)
    return kept, {one.name: total(amounts) for one, amounts in zip(group.sums, changes, strict=True)}


def applied(group: Group[V], source: Source, view: V | None, stored: StoredEvent) -> V | None:
    """The group's view after one more event of this source, which says nothing if the group's reader leaves it out.

    Raises UnknownEvent if the projection reads such events and this one cannot be decoded.
    """
    known = stored.event_type in _names(source) and group.reader not in stored.skipped_by
    said = decode(stored.event_type, stored.schema_version, stored.payload) if known else ()
    return group.projection.apply(source, view, said, At(stored.version, stored.recorded_at))


@cache
def _names(source: Source) -> frozenset[str]:
    return stored_types(source.reads)


def not_applied(stored: StoredEvent, error: Exception) -> EventNotApplied:
    """The error as one that names the event."""
    if isinstance(error, EventNotApplied):
        return error
    named = EventNotApplied(stored.position, stored.event_type, repr(error))
    named.__cause__ = error
    return named
