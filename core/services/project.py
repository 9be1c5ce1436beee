"""Project: folds batches of events into views and sums, and saves them together with the reader's new position.

An event that cannot be applied is set aside, and later events of its row wait behind it. All others go on.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from itertools import islice
from typing import Any

from core.codec import StoredEvent
from core.domain.message import StreamId
from core.errors import CheckpointMoved, EventNotApplied, Unavailable, ValuesRefused
from core.pace import together as in_step
from core.ports.dead_letters import MOST_BLOCKED, NOTHING_ASIDE
from core.ports.reading import Changes, ReadModels, RowShare, Subscription
from core.projections.projection import Group
from core.services.catch_up_row import CaughtUp, catch_up_rows, stop_if_too_many, until_due
from core.services.fold_events import Read, Views, add_up, fold, read
from core.services.gather import BATCH, ahead, gathered
from core.services.set_aside import SetAside, parked
from core.tracing import SpansUnderWay

# Views that stay in memory, because an order's events come soon after each other. Those that are folded but not yet
# saved stay in any case.
RECENT = 20_000
LOOK_EVERY = 2.0  # seconds between two looks whether the database still has what was saved


class Projector:
    """Fills one group of read models, or a share of its rows, which is then all that its subscription reads.

    After an error, `run` starts again from what is saved, and forgets all else.
    """

    def __init__(
        self, group: Group[Any], read_models: ReadModels, *, recent: int = RECENT, share: RowShare | None = None
    ) -> None:
        self._group = group
        self._share = share
        self._keeps = recent
        self._limit, self._together = BATCH, 0
        self._read_models = read_models
        self._recent: dict[StreamId, Any] = {}  # those that have changed last at the end
        # Of each batch that is not saved yet: its last position, and how many views it has changed.
        self._unsaved: deque[tuple[int, int]] = deque()
        self._blocked: set[StreamId] = set()  # rows that wait behind an event that could not be applied
        self._aside = NOTHING_ASIDE
        self._careful_to = 0  # up to this position, each event is saved by itself, since one of them cannot be
        self._begun_to = 0  # no stream that begins after this position had a view when the read models were opened
        self.position = 0
        self.saved_at = -math.inf  # by the monotonic clock
        self._spans = SpansUnderWay(f"project {group.name}", [source.category for source in group.projection.sources])

    @property
    def waiting(self) -> int:
        """How many rows wait behind an event that could not be applied."""
        return len(self._blocked)

    async def run(
        self, subscription: Subscription, stop: asyncio.Event, *, limit: int = BATCH, together: int = 0
    ) -> None:
        """Save what the events after the last saved position change, until `stop` is set or the subscription ends.

        At most `limit` events are folded at once, and at least `together` are saved at once, if so many come soon.

        Raises EventNotApplied when too many rows wait; then everything before the last event set aside is saved. Raises
        CheckpointMoved also when the database has crashed and lost the last saves, and what `ReadModels` raises.
        """
        self._recent, self._limit, self._together = {}, limit, together
        self._unsaved.clear()
        self._spans.forget()
        self.position, self._begun_to, _ = await self._read_models.open()
        watching = asyncio.create_task(self._watch())
        try:
            while await self._follow(subscription, stop, watching):
                pass
            if watching.done():
                watching.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Raise CheckpointMoved when the database has lost saves. While no events come, no save would notice that."""
        while True:
            await asyncio.sleep(in_step(LOOK_EVERY))
            saved = self.position
            with suppress(Unavailable):
                reader = await self._read_models.progress()
                if reader is not None and reader.position < saved:
                    raise CheckpointMoved(reader.reader, saved)

    async def _follow(self, subscription: Subscription, stop: asyncio.Event, watching: asyncio.Future[None]) -> bool:
        """Save what the events change until `stop` is set, `watching` ends, or an event is to be tried again.

        Returns whether there is more to follow.
        """
        self._aside = await self._read_models.aside()
        await self._catch_up()
        self._aside = await self._read_models.aside()
        self._blocked = set(self._aside.blocked)
        if await stop_if_too_many(self._read_models, self._aside, self._blocked):
            return not stop.is_set()
        async with until_due(self._read_models, self._blocked, stop, watching) as over:
            try:
                if self.position < self._careful_to:
                    await self._save_one_by_one(subscription, over)
                    goes_on = over.is_set() or self.position >= self._careful_to
                else:
                    await self._save_all(subscription, over)
                    goes_on = over.is_set() or self.waiting > MOST_BLOCKED
            except ValuesRefused:
                if self.position < self._careful_to:
                    raise
                # What was folded ahead as well.
                self._careful_to = self.position + 3 * max(self._limit, self._together)
                self._recent, goes_on = {}, True
        return goes_on and not (stop.is_set() or watching.done())

    async def _save_all(self, subscription: Subscription, stop: asyncio.Event) -> None:
        # While one batch is saved the next is folded and the one after that is read.
        async with (
            aclosing(self._batches(subscription, stop, self._limit)) as batches,
            aclosing(ahead(batches)) as batches_ahead,
            aclosing(self._fold_batches(batches_ahead, self.position)) as folded,
            aclosing(gathered(folded, self._group, most=self._together)) as all_changes,
            aclosing(ahead(all_changes)) as changes_ahead,
        ):
            async for changes in changes_ahead:
                await self._save(changes)
                if changes.parked and self.waiting > MOST_BLOCKED:
                    return

    async def _save_one_by_one(self, subscription: Subscription, stop: asyncio.Event) -> None:
        """Save each event by itself, and set aside those that the database refuses to save."""
        async with aclosing(self._batches(subscription, stop, 1)) as batches:
            async for batch in batches:
                before = dict(self._recent)
                try:
                    await self._save(await self._fold(batch, self.position))
                except ValuesRefused as error:
                    self._recent = before
                    await self._save(await self._fold(batch, self.position, error))
                if self.position >= self._careful_to:
                    return

    def _batches(
        self, subscription: Subscription, stop: asyncio.Event, limit: int
    ) -> AsyncGenerator[Sequence[StoredEvent]]:
        categories = [source.category for source in self._group.projection.sources]
        pause = self._group.pause
        return subscription.batches(stop, after=self.position, limit=limit, categories=categories, pause=pause)

    async def _save(self, changes: Changes) -> None:
        await self._read_models.save(changes)
        self.position, self.saved_at = changes.position, time.monotonic()
        self._spans.reached([self.position])

    async def _catch_up(self) -> None:
        """Try those events again whose time has come, each with what waits behind it."""
        blocked, skipped = self._aside
        await catch_up_rows(self._group, self._read_models, blocked, skipped, self._save_row)

    async def _save_row(self, row: StreamId, found: CaughtUp | ValuesRefused) -> None:
        self._recent.pop(row, None)
        at = self.position
        if isinstance(found, ValuesRefused):
            await self._save(Changes(at, at, (), {}, parked=[parked(row, self._aside.blocked[row], found)]))
        elif found.parked is not None:
            await self._save(Changes(at, at, list(found.views.values()), found.sums, parked=[found.parked]))
        else:
            await self._save(Changes(at, at, list(found.views.values()), found.sums, freed=[row]))

    async def _fold_batches(
        self, batches: AsyncIterator[Sequence[StoredEvent]], position: int
    ) -> AsyncGenerator[Changes]:
        async for batch in batches:
            self._spans.begin(batch, [batch[-1].position])
            await asyncio.sleep(0)  # a fold blocks the event loop, so let the save and the next read start first
            try:
                yield await self._fold(batch, position)
            except EventNotApplied as error:
                if before := [event for event in batch if event.position < error.position]:
                    yield await self._fold(before, position)
                raise
            position = batch[-1].position

    async def _fold(self, batch: Sequence[StoredEvent], position: int, refused: ValuesRefused | None = None) -> Changes:
        """Fold a batch. `refused`: why the database could not save its last event, which is set aside then."""
        events = read(self._group.projection, batch)
        if self._share is not None and events and not self._share.has(events[-1][0]):
            del events[-1]  # it only says how far the log was read
        if self._blocked:
            events = [one for one in events if one[0] not in self._blocked]
        before = await self._load(events)
        aside = SetAside(self._blocked, self._aside.skipped)
        if refused is not None:
            aside.park(events[-1][0], events[-1][2], refused)
        after, sums = add_up(self._group, before, fold(self._group.projection, before, events, aside), events, aside)
        self._remember(after, batch[-1].position)
        self._blocked.update(aside.parked)
        new = [view for stream, view in after.items() if stream not in before]
        older = [after[stream] for stream in before if stream in after]
        return Changes(
            after=position,
            position=batch[-1].position,
            views=[*new, *older],
            sums=sums,
            parked=list(aside.parked.values()),
            new=len(new),
        )

    async def _load(self, events: Sequence[Read]) -> Views:
        # Streams that begin in this batch have no view yet. The first event of another source says nothing of that.
        first, begun_to = self._group.projection.sources[0], self._begun_to
        begin = {
            stream
            for stream, source, stored, _ in events
            if stored.version == 1 and source is first and stored.position > begun_to
        }
        older = {one[0] for one in events if one[0] not in begin}
        views = {stream: self._recent[stream] for stream in older & self._recent.keys()}
        if unknown := older - views.keys():
            views.update(await self._read_models.load(list(unknown)))
        return views

    def _remember(self, views: Views, position: int) -> None:
        """Keep these views, which a batch up to this position has changed, and forget those that changed longest ago.

        A view that is not saved yet is never forgotten: what the database has of it would be an older one, or nothing.
        """
        for stream in views.keys() & self._recent.keys():
            del self._recent[stream]  # so that it moves to the end, since the first views are forgotten first
        self._recent.update(views)
        self._unsaved.append((position, len(views)))
        while self._unsaved and self._unsaved[0][0] <= self.position:
            self._unsaved.popleft()
        kept = max(self._keeps, sum(changed for _, changed in self._unsaved))
        for stream in list(islice(self._recent, max(0, len(self._recent) - kept))):
            del self._recent[stream]
