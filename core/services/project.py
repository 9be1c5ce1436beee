"""Project: folds batches of events into views and sums, and saves them together with the reader's new position."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import cache
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from core.codec import StoredEvent, decode, stored_types
from core.domain.message import Event, StreamId
from core.errors import CheckpointMoved, EventNotApplied, Unavailable
from core.ports.reading import Changes, ReadModels, Subscription
from core.projections.projection import At, Group, Projection, Source, View, total

BATCH = 2_000  # events
# Views that stay in memory, because an order's events come soon after each other. Views that are folded but not yet
# saved, up to two batches of them, must be among these.
RECENT = 20_000
LOOK_EVERY = 2.0  # seconds between two looks whether the database still has what was saved

Views: TypeAlias = Mapping[StreamId, Any]
Read: TypeAlias = tuple[StreamId, Source, StoredEvent, Sequence[Event]]
"""A stored event of a projection's source, after the stream whose view it changes; with what it says, if it is read."""
B = TypeVar("B")
V = TypeVar("V", bound=View)


class Projector:
    """Fills one group of read models. After an error, `run` starts again from what is saved, and forgets all else."""

    def __init__(self, group: Group[Any], read_models: ReadModels) -> None:
        self._group = group
        self._read_models = read_models
        self._recent: dict[StreamId, Any] = {}
        self._begun_to = 0  # no stream that begins after this position had a view when the read models were opened
        self.position = 0
        self.saved_at = -math.inf  # by the monotonic clock

    async def run(self, subscription: Subscription, stop: asyncio.Event, *, limit: int = BATCH) -> None:
        """Save what the events after the last saved position change, until `stop` is set.

        Raises EventNotApplied after it has saved everything before that event, and CheckpointMoved also when the
        database has crashed and lost the last saves. Also raises what `ReadModels` raises.
        """
        self._recent = {}
        self.position, self._begun_to, _ = await self._read_models.open()
        categories = [source.category for source in self._group.projection.sources]
        over = asyncio.Event()
        stopping, watching = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._watch())
        for each in (stopping, watching):
            each.add_done_callback(lambda _: over.set())
        try:
            # While one batch is saved the next is folded and the one after that is read.
            async with (
                aclosing(
                    subscription.batches(over, after=self.position, limit=limit, categories=categories)
                ) as batches,
                aclosing(ahead(batches)) as batches_ahead,
                aclosing(self._fold_batches(batches_ahead, self.position)) as all_changes,
                aclosing(ahead(all_changes)) as changes_ahead,
            ):
                async for changes in changes_ahead:
                    await self._read_models.save(changes)
                    self.position, self.saved_at = changes.position, time.monotonic()
            if watching.done():
                watching.result()
        finally:
            stopping.cancel()
            watching.cancel()
            await asyncio.gather(stopping, watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Raise CheckpointMoved when the database has lost saves. While no events come, no save would notice that."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            saved = self.position
            with suppress(Unavailable):
                reader = await self._read_models.progress()
                if reader is not None and reader.position < saved:
                    raise CheckpointMoved(reader.reader, saved)

    async def _fold_batches(
        self, batches: AsyncIterator[Sequence[StoredEvent]], position: int
    ) -> AsyncGenerator[Changes]:
        async for batch in batches:
            await asyncio.sleep(0)  # a fold blocks the event loop, so let the save and the next read start first
            try:
                yield await self._fold(batch, position)
            except EventNotApplied as error:
                if before := [event for event in batch if event.position < error.position]:
                    yield await self._fold(before, position)
                raise
            position = batch[-1].position

    async def _fold(self, batch: Sequence[StoredEvent], position: int) -> Changes:
        events = read(self._group.projection, batch)
        before = await self._load(events)
        after = fold(self._group.projection, before, events)
        self._remember(after)
        return Changes(
            after=position,
            position=batch[-1].position,
            views=list(after.values()),
            sums={
                one.name: total(
                    change for stream, view in after.items() for change in one.change(before.get(stream), view)
                )
                for one in self._group.sums
            },
        )

    async def _load(self, events: Sequence[Read]) -> Views:
        views: dict[StreamId, Any] = {}
        unknown: set[StreamId] = set()
        for stream in {stream for stream, _, _, _ in events}:
            if (view := self._recent.get(stream)) is not None:
                views[stream] = view
            else:
                unknown.add(stream)
        # Streams that begin in this batch have no view yet. The first event of another source says nothing of that.
        unknown -= {
            stored.stream for _, _, stored, _ in events if stored.version == 1 and stored.position > self._begun_to
        }
        if unknown:
            views.update(await self._read_models.load(list(unknown)))
        return views

    def _remember(self, views: Views) -> None:
        for stream, view in views.items():
            self._recent.pop(stream, None)  # so that it moves to the end, since the first views are forgotten first
            self._recent[stream] = view
        for stream in list(islice(self._recent, max(0, len(self._recent) - RECENT))):
            del self._recent[stream]


def read(projection: Projection[Any], batch: Sequence[StoredEvent]) -> Sequence[Read]:
    """The events of the projection's sources. Raises EventNotApplied if one that it reads cannot be decoded."""
    sources = {source.category: (source, _names(source)) for source in projection.sources}
    events: list[Read] = []
    for stored in batch:
        if (known := sources.get(stored.category)) is None:
            continue
        source, names = known
        said = _decode(stored) if stored.event_type in names else ()
        events.append((row_stream(projection, source, stored), source, stored, said))
    return events


def row_stream(projection: Projection[Any], source: Source, stored: StoredEvent) -> StreamId:
    """The stream to whose view an event of this source belongs."""
    return stored.stream if source is projection.sources[0] else StreamId(stored.correlation_id)


def fold(projection: Projection[Any], before: Views, events: Sequence[Read]) -> Views:
    """The views that the events change. An event that a view contains already is left out."""
    after: dict[StreamId, Any] = {}
    for stream, source, stored, said in events:
        view = after.get(stream) or before.get(stream)
        if view is not None and stored.version <= getattr(view, source.version):
            continue
        try:
            view = projection.apply(source, view, said, At(stored.version, stored.recorded_at))
        except Exception as error:
            raise EventNotApplied(stored.position, stored.event_type, repr(error)) from error
        if view is not None:
            after[stream] = view
    return after


def applied(projection: Projection[V], source: Source, view: V | None, stored: StoredEvent) -> V | None:
    """The view after one more event of this source.

    Raises UnknownEvent if the projection reads such events and this one cannot be decoded.
    """
    known = stored.event_type in _names(source)
    said = decode(stored.event_type, stored.schema_version, stored.payload) if known else ()
    return projection.apply(source, view, said, At(stored.version, stored.recorded_at))


@cache
def _names(source: Source) -> frozenset[str]:
    return stored_types(source.reads)


def _decode(stored: StoredEvent) -> Sequence[Event]:
    try:
        return decode(stored.event_type, stored.schema_version, stored.payload)
    except Exception as error:
        raise EventNotApplied(stored.position, stored.event_type, repr(error)) from error


async def ahead(batches: AsyncIterator[B]) -> AsyncGenerator[B]:
    """Yield the batches, and read the next one while the caller works on the last."""
    next_batch = asyncio.ensure_future(anext(batches, None))
    try:
        while (batch := await next_batch) is not None:
            next_batch = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        next_batch.cancel()
        await asyncio.gather(next_batch, return_exceptions=True)
