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
from core.errors import EventNotApplied, ValuesRefused
from core.ports.dead_letters import NOTHING_ASIDE, Aside, Parked
from core.ports.deliveries import PlacesLost, TopicMark, TopicPlace, Topics
from core.ports.shared_models import SharedChanges, SharedReadModels, ShareSave, ShareState
from core.projections.projection import Group
from core.services.catch_up_row import CaughtUp
from core.services.fold_deliveries import fold_late, fold_next, gaps
from core.services.fold_events import Read, Sums, Views, add_up, read
from core.services.project import RECENT
from core.services.set_aside import SetAside, parked
from core.tracing import SpansUnderWay

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


class FolderState(NamedTuple):
    """What a fold changes in a ShareFolder."""

    recent: dict[StreamId, Any]
    saves: dict[int, int]
    blocked: set[StreamId]
    newest: dict[int, int]


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
        self.waiting_here: set[StreamId] = set()  # rows of these shares that wait
        self._first = group.projection.sources[0].category
        self._categories = frozenset(source.category for source in group.projection.sources)
        self.spans = SpansUnderWay(f"project {group.name}", self._categories)
        self.begin({}, {}, 0)

    def begin(
        self, held: Mapping[int, int], states: Mapping[int, ShareState], head: int, aside: Aside = NOTHING_ASIDE
    ) -> None:
        """Forget everything, and begin with what is saved of these shares.

        No stream that begins after `head` has a view. A saved mark that does not name the event before it cannot be
        compared with the topic, so it is not used.
        """
        self._held = held
        self.spans.forget()
        self.take_aside(aside)
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

    def take_aside(self, aside: Aside) -> None:
        """Note what is set aside. `blocked` are all rows that wait, also those of batches that are not saved yet."""
        self.aside, self.blocked = aside, set(aside.blocked)
        self.waiting_here.clear()
        self.waiting_here.update(row for row in aside.blocked if self.share_of(row) in self._held)

    def state(self) -> FolderState:
        return FolderState(dict(self._recent), dict(self._saves), set(self.blocked), dict(self._newest))

    def go_back(self, state: FolderState) -> None:
        """Forget what was folded since."""
        self._recent, self._saves, self.blocked, self._newest = state

    def share(self, event: StoredEvent) -> int:
        return self._topics.partition(event) % self._count

    def belongs(self, place: TopicPlace, event: StoredEvent) -> bool:
        """Whether the relay would put the event there. Another share may fold an event that is in a wrong place."""
        return event.category in self._categories and self._topics.partition(event) == place.partition

    def places_of(self, shares: Collection[int]) -> Sequence[TopicPlace]:
        return [place for place in self._topics.places if place.partition % self._count in shares]

    async def fold(self, batch: Batch, refused: ValuesRefused | None = None) -> Folded:
        """Fold what can be. A share that gets stuck has everything before that event, and keeps its marks.

        `refused`: why the database could not save the last event, which is set aside then.
        """
        self.spans.begin(batch.events, [*batch.positions.values(), *(mark.position for mark in batch.marks.values())])
        upto: dict[int, int] = {}  # by share that gets stuck now: its events from this position on are left out
        while True:
            events = [
                event
                for event in batch.events
                if not self.stuck or (n := self.share(event)) not in self.stuck or event.position < upto.get(n, 0)
            ]
            try:
                return await self._fold(batch, events, upto, refused)
            except EventNotApplied as error:
                number = self._share_at(error.position, events)
                upto[number] = 0 if number in upto else error.position
                if number not in self.stuck:
                    self.stuck[number], self.stuck_at = error, time.monotonic()
                    self._tell_stuck(error)

    def _share_at(self, position: int, events: Sequence[StoredEvent]) -> int:
        return next(self.share(event) for event in (*events, *self._looked_up) if event.position == position)

    async def _fold(
        self,
        batch: Batch,
        events: Sequence[StoredEvent],
        upto: Mapping[int, int],
        refused: ValuesRefused | None,
    ) -> Folded:
        projection = self._group.projection
        self._looked_up = ()
        aside = SetAside(self.blocked, self.aside.skipped)
        reads = read(projection, events)
        if self.blocked:
            reads = [one for one in reads if one[0] not in self.blocked]
        if refused is not None:
            aside.park(reads[-1][0], reads[-1][2], refused)
        before = await self._load(reads)
        after, waiting = fold_next(projection, before, reads, aside)
        if waiting:
            known = {**before, **after}
            self._looked_up = await self._look_up(known, waiting)
            after = {**after, **fold_late(projection, known, waiting, self._looked_up, aside)}
            reads = [*reads, *read(projection, self._looked_up)]
        after, sums = add_up(self._group, before, after, reads, aside)
        self.blocked.update(aside.parked)
        self.waiting_here.update(aside.parked)
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
        return Folded(
            self._changes(shares, after, sums, list(aside.parked.values())) if shares else None, marks, positions
        )

    def caught_up(self, row: StreamId, found: CaughtUp | ValuesRefused) -> SharedChanges:
        """What to save when the events of a row were tried again, or when the database has refused to save that."""
        share = self.share_of(row)
        if isinstance(found, ValuesRefused):
            self._saves[share] -= 1
            return self._changes([share], {}, {}, [parked(row, self.aside.blocked[row], found)])
        still = [] if found.parked is None else [found.parked]
        return self._changes([share], found.views, found.sums, still, [] if still else [row])

    def share_of(self, row: StreamId) -> int:
        """The share of a row that waits behind an event."""
        return self.share(self.aside.blocked[row])

    def _changes(
        self,
        shares: Collection[int],
        after: Views,
        sums: Sums,
        parked: Sequence[Parked] = (),
        freed: Sequence[StreamId] = (),
    ) -> SharedChanges:
        saves: dict[int, ShareSave] = {}
        for number in sorted(shares):
            marks = {place: self.marks[place] for place in self.places_of([number]) if place in self.marks}
            saves[number] = ShareSave(self._held[number], self._saves[number], marks)
            self._saves[number] += 1
        return SharedChanges(saves, list(after.values()), sums, parked, freed)

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
