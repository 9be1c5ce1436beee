"""Folds the events of the shares that a process holds into what it saves, in whatever way they have come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from core.codec import StoredEvent
from core.domain.message import StreamId
from core.errors import EventNotApplied
from core.ports.deliveries import PlacesLost, TopicMark, TopicPlace, Topics
from core.ports.shared_models import SharedChanges, SharedReadModels, ShareSave, ShareState
from core.projections.projection import Group, total
from core.services.fold_deliveries import fold_late, fold_next, gaps
from core.services.project import RECENT, Read, Views, read

MOST_MISSING = 20_000  # events of one batch that are looked up; if more are missing, the share is read from the log


class Batch(NamedTuple):
    """Events to fold, and how far they bring the places that they were read from, or the shares if that was the log."""

    events: Sequence[StoredEvent]
    marks: Mapping[TopicPlace, TopicMark]
    positions: Mapping[int, int]


class Folded(NamedTuple):
    """What a batch comes to. `changes` is None if there is nothing to save."""

    changes: SharedChanges | None
    marks: Mapping[TopicPlace, TopicMark]
    positions: Mapping[int, int]


async def together(batches: AsyncIterator[Batch], most: int) -> AsyncGenerator[Batch]:
    """Yield the batches. Those that come while the caller works on the last one become one batch.

    The events of a batch are in the order of the log, so that an order is folded before its payment, and need not wait.
    When `most` events wait for the caller, no more are read until it takes them. What is read at once matters: while
    events of a place wait in the Kafka client, it asks for those of the other places only, and a broker that has none
    answers after half a second.
    """
    waiting: list[Batch] = []
    come, taken = asyncio.Event(), asyncio.Event()

    async def gather() -> None:
        try:
            async for batch in batches:
                waiting.append(batch)
                come.set()
                while sum(len(one.events) for one in waiting) >= most:
                    taken.clear()
                    await taken.wait()
        finally:
            come.set()

    gathering = asyncio.create_task(gather())
    try:
        while True:
            await come.wait()
            come.clear()
            if not waiting:
                await gathering
                return
            marks = {place: mark for one in waiting for place, mark in one.marks.items()}
            events = sorted((event for one in waiting for event in one.events), key=attrgetter("position"))
            batch = Batch(events, marks, {})
            waiting.clear()
            taken.set()
            if gathering.done():
                come.set()
            yield batch
    finally:
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)


class ShareFolder:
    """There are `count` shares; the places of partition p belong to share p % count.

    `marks` are the marks up to which everything is folded, which may not be saved yet. `stuck` has the error of each
    share that has met an event which cannot be applied: it stays there, and `tell_stuck` is called with the error.
    """

    def __init__(
        self,
        group: Group[Any],
        read_models: SharedReadModels,
        topics: Topics,
        count: int,
        tell_stuck: Callable[[EventNotApplied], None],
    ) -> None:
        self._group = group
        self._models = read_models
        self._topics = topics
        self._count = count
        self._tell_stuck = tell_stuck
        self._first = group.projection.sources[0].category
        self.begin({}, {}, 0)

    def begin(self, held: Mapping[int, int], states: Mapping[int, ShareState], head: int) -> None:
        """Forget everything, and begin with what is saved of these shares.

        No stream that begins after `head` has a view. A saved mark that does not name the event before it cannot be
        compared with the topic, so it is not used.
        """
        self._held = held
        self.marks: dict[TopicPlace, TopicMark] = {
            place: mark
            for number, state in states.items()
            for place in self.places_of([number])
            if (mark := state.marks.get(place)) is not None and mark.event_id is not None
        }
        self._saves = {number: state.saves for number, state in states.items()}
        self._newest = dict.fromkeys(held, head)  # by share: no stream that begins after that has a view
        self._recent: dict[StreamId, Any] = {}
        self._looked_up: Sequence[StoredEvent] = ()
        self.stuck: dict[int, EventNotApplied] = {}
        self.stuck_at = 0.0  # when a share got stuck last, by the monotonic clock

    def share(self, event: StoredEvent) -> int:
        return self._topics.partition(event) % self._count

    def places_of(self, shares: Collection[int]) -> Sequence[TopicPlace]:
        return [place for place in self._topics.places if place.partition % self._count in shares]

    async def fold(self, batch: Batch) -> Folded:
        """Fold what can be. A share that gets stuck has everything before that event, and keeps its marks."""
        upto: dict[int, int] = {}  # by share that gets stuck now: its events from this position on are left out
        while True:
            events = [
                event
                for event in batch.events
                if not self.stuck or (n := self.share(event)) not in self.stuck or event.position < upto.get(n, 0)
            ]
            try:
                return await self._fold(batch, events, upto)
            except EventNotApplied as error:
                number = self._share_at(error.position, events)
                upto[number] = 0 if number in upto else error.position
                if number not in self.stuck:
                    self.stuck[number], self.stuck_at = error, time.monotonic()
                    self._tell_stuck(error)

    def _share_at(self, position: int, events: Sequence[StoredEvent]) -> int:
        return next(self.share(event) for event in (*events, *self._looked_up) if event.position == position)

    async def _fold(self, batch: Batch, events: Sequence[StoredEvent], upto: Mapping[int, int]) -> Folded:
        projection = self._group.projection
        self._looked_up = ()
        reads = read(projection, events)
        before = await self._load(reads)
        after, waiting = fold_next(projection, before, reads)
        if waiting:
            known = {**before, **after}
            self._looked_up = await self._look_up(known, waiting)
            after = {**after, **fold_late(projection, known, waiting, self._looked_up)}
        marks = {p: mark for p, mark in batch.marks.items() if p.partition % self._count not in self.stuck}
        positions = {n: at for n, at in batch.positions.items() if n not in self.stuck}
        positions |= {n: upto[n] - 1 for n in upto if n in batch.positions and upto[n] > 1}
        self.marks.update(marks)
        # What comes from topics is in its own place, so that the marks name every share.
        known_by_marks = batch.marks and not self.stuck
        shares = {place.partition % self._count for place in marks}
        shares |= {self.share(event) for event in (self._looked_up if known_by_marks else (*events, *self._looked_up))}
        for event in (*events, *self._looked_up):
            if event.version == 1 and event.category == self._first:
                number = self.share(event)
                self._newest[number] = max(self._newest[number], event.position)
        self._remember(after)
        return Folded(self._changes(shares, before, after) if shares else None, marks, positions)

    def _changes(self, shares: Collection[int], before: Views, after: Views) -> SharedChanges:
        saves: dict[int, ShareSave] = {}
        for number in sorted(shares):
            marks = {place: self.marks[place] for place in self.places_of([number]) if place in self.marks}
            saves[number] = ShareSave(self._held[number], self._saves[number], marks)
            self._saves[number] += 1
        sums = {
            one.name: total(change for stream, view in after.items() for change in one.change(before.get(stream), view))
            for one in self._group.sums
        }
        return SharedChanges(saves, list(after.values()), sums)

    async def _look_up(self, views: Views, waiting: Sequence[Read]) -> Sequence[StoredEvent]:
        """The events of the log that must be folded before those that wait."""
        wanted = gaps(self._group.projection, views, waiting)
        missing = await self._models.missing(wanted, limit=MOST_MISSING) if wanted else ()
        if len(missing) == MOST_MISSING:
            shares = {self.share(stored) for _, _, stored, _ in waiting}
            raise PlacesLost(self.places_of(shares), "too many events have not come from Kafka")
        return missing

    async def _load(self, reads: Sequence[Read]) -> Views:
        views: dict[StreamId, Any] = {}
        unknown: set[StreamId] = set()
        for stream in {stream for stream, _, _, _ in reads}:
            if (view := self._recent.get(stream)) is not None:
                views[stream] = view
            else:
                unknown.add(stream)
        # A stream that begins after every one that can have been folded has no view yet.
        unknown -= {
            stored.stream
            for _, _, stored, _ in reads
            if stored.version == 1
            and stored.category == self._first
            and stored.position > self._newest[self.share(stored)]
        }
        if unknown:
            views.update(await self._models.load(list(unknown)))
        return views

    def _remember(self, views: Views) -> None:
        for stream, view in views.items():
            self._recent.pop(stream, None)  # so that it moves to the end, since the first views are forgotten first
            self._recent[stream] = view
        for stream in list(islice(self._recent, max(0, len(self._recent) - RECENT))):
            del self._recent[stream]
