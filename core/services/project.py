"""Project: a batch of recorded events becomes views and sums, saved together with the reader's new position."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from core.codec import StoredEvent, decode, event_type
from core.domain.message import Event, StreamId
from core.errors import EventNotApplied
from core.ports.reading import Changes, ReadModels, Subscription
from core.projections import REVISION, SUMS, VIEWS
from core.projections.order_view import ORDER_VIEW
from core.projections.projection import At, Projection, total

READER = "projector"
BATCH = 2_000  # events
# Views of each projection kept in memory: an order's events come close together, and what is folded but not yet saved
# must be found here, which is up to two batches.
RECENT = 20_000

Views: TypeAlias = Mapping[StreamId, Any]
Declared: TypeAlias = tuple[StoredEvent, Event]
B = TypeVar("B")


class Projector:
    """Follows batches of events; after any error it starts again from what is saved, remembering nothing."""

    def __init__(self, read_models: ReadModels) -> None:
        self._read_models = read_models
        self._recent: dict[str, dict[StreamId, Any]] = {}
        self.position = 0
        self.saved_at = -math.inf  # by the monotonic clock

    async def run(self, subscription: Subscription, stop: asyncio.Event, *, limit: int = BATCH) -> None:
        """Save what the events after the last saved position change, until `stop` is set.

        Raises EventNotApplied when everything before such an event is saved, and CheckpointMoved.
        """
        self._recent = {projection.name: {} for projection in VIEWS}
        self.position = await self._read_models.open(READER, REVISION)
        # While one batch is saved the next is folded and the one after that is read.
        async with (
            aclosing(subscription.batches(stop, after=self.position, limit=limit)) as batches,
            aclosing(ahead(batches)) as read,
            aclosing(self._folded(read, self.position)) as folded,
            aclosing(ahead(folded)) as to_save,
        ):
            async for changes in to_save:
                await self._read_models.save(READER, changes)
                self.position, self.saved_at = changes.position, time.monotonic()

    async def _folded(self, batches: AsyncIterator[Sequence[StoredEvent]], position: int) -> AsyncGenerator[Changes]:
        async for batch in batches:
            await asyncio.sleep(0)  # folding holds the loop: first let the save and the next read be asked for
            try:
                yield await self._fold(batch, position)
            except EventNotApplied as error:
                if before := [event for event in batch if event.position < error.position]:
                    yield await self._fold(before, position)
                raise
            position = batch[-1].position

    async def _fold(self, batch: Sequence[StoredEvent], position: int) -> Changes:
        before: dict[str, Views] = {}
        after: dict[str, Views] = {}
        for projection in VIEWS:
            events = declared(projection, batch)
            before[projection.name] = await self._load(projection, events)
            after[projection.name] = fold(projection, before[projection.name], events)
        for name, views in after.items():
            _remember(self._recent[name], views)
        known, orders = before[ORDER_VIEW.name], after[ORDER_VIEW.name]
        return Changes(
            after=position,
            position=batch[-1].position,
            views={name: list(views.values()) for name, views in after.items()},
            sums={
                one.name: total(change for id_, view in orders.items() for change in one.change(known.get(id_), view))
                for one in SUMS
            },
        )

    async def _load(self, projection: Projection[Any], events: Sequence[Declared]) -> Views:
        recent = self._recent[projection.name]
        views: dict[StreamId, Any] = {}
        unknown: dict[Any, StreamId] = {}
        for stored, event in events:
            if (view := recent.get(stored.stream)) is not None:
                views[stored.stream] = view
            else:
                unknown[projection.key(event)] = stored.stream
        if unknown:
            found = await self._read_models.load(projection, list(unknown))
            views.update({unknown[key]: view for key, view in found.items()})
        return views


def declared(projection: Projection[Any], batch: Sequence[StoredEvent]) -> Sequence[Declared]:
    """The events that the projection declares; others are not even decoded."""
    names = _NAMES[projection.name]
    events: list[Declared] = []
    for stored in batch:
        if stored.event_type in names:
            try:
                events.append((stored, decode(stored.event_type, stored.schema_version, stored.payload)))
            except Exception as error:
                raise EventNotApplied(stored.position, stored.event_type, repr(error)) from error
    return events


def fold(projection: Projection[Any], before: Views, events: Sequence[Declared]) -> Views:
    """The views that the events change; an event that a view contains already changes nothing."""
    after: dict[StreamId, Any] = {}
    for stored, event in events:
        view = after.get(stored.stream) or before.get(stored.stream)
        if view is not None and stored.version <= view.version:
            continue
        try:
            view = projection.evolve(view, event, At(stored.version, stored.recorded_at))
        except Exception as error:
            raise EventNotApplied(stored.position, stored.event_type, repr(error)) from error
        if view is not None:
            after[stored.stream] = view
    return after


_NAMES = {projection.name: frozenset(map(event_type, projection.reads)) for projection in VIEWS}


def _remember(recent: dict[StreamId, Any], views: Views) -> None:
    for stream, view in views.items():
        recent.pop(stream, None)  # to the end: the oldest is forgotten first
        recent[stream] = view
    for stream in list(islice(recent, max(0, len(recent) - RECENT))):
        del recent[stream]


async def ahead(batches: AsyncIterator[B]) -> AsyncGenerator[B]:
    """Read the next batch while the last one is worked on."""
    coming = asyncio.ensure_future(anext(batches, None))
    try:
        while (batch := await coming) is not None:
            coming = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
