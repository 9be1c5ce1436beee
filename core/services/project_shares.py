"""Projects shares: fills the read models of a group from Kafka's topics, and from the log whatever they cannot give.

Versions decide what is folded, so events may come in any order and often. What a place delivers is trusted only from a
mark on; before that, and while Kafka is away, its events are read from the log. Nothing is folded that the log has not.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import structlog

from core.codec import StoredEvent
from core.errors import EventNotApplied, ValuesRefused
from core.ports.dead_letters import MOST_BLOCKED
from core.ports.deliveries import PlacesLost, TopicMark, TopicPlace, Topics, TopicsAway
from core.ports.reading import Subscription
from core.ports.shared_models import SharedChanges, SharedReadModels
from core.projections.projection import Group
from core.services.catch_up_row import catch_up_rows, stop_if_too_many, until_due
from core.services.fold_shares import Batch, Folded, ShareFolder, together
from core.services.gather import BATCH, ahead
from core.services.topic_watch import Pulse, reach_positions, wait_until_back

AGAIN = 5.0  # seconds after which a share is tried again that met an event which cannot be applied
PAUSE = 0.1  # seconds, so that a topic full of what is no event does not make us read the log without end
CAREFUL = 10.0  # seconds in which each event is saved by itself, after the database has refused to save some
TELL_EVERY = 10.0  # seconds between two lines in the log about events that are not as the log has them

log = structlog.get_logger(__name__)


class ShareProjector:
    """Fills the shares that a process holds of one group. There are `count` shares; place p belongs to share p % count.

    `outage`: why events are read from the log; None when they come from Kafka. `stuck`: the errors of shares that stay.
    """

    def __init__(
        self,
        group: Group[Any],
        read_models: SharedReadModels,
        topics: Topics,
        subscription: Callable[[], Subscription],
        *,
        count: int,
        stuck: Callable[[EventNotApplied], None] = lambda _: None,
    ) -> None:
        self._group = group
        self._models = read_models
        self._topics = topics
        self._subscription = subscription
        self._categories = [source.category for source in group.projection.sources]
        self._folder = ShareFolder(group, read_models, topics, count, stuck)
        self._count = count
        self._told_differing_at = -math.inf  # by the monotonic clock
        self._careful_until = -math.inf  # until then, each event is saved by itself, since one of them cannot be
        self.outage: str | None = None
        self.saved_at = -math.inf  # by the monotonic clock
        self.progress = Pulse()
        self.held: Mapping[int, int] = {}
        self.positions: dict[int, int] = {}
        self.marks: dict[TopicPlace, TopicMark] = {}
        self._saves: dict[int, int] = {}  # by share: how often it has been saved, as far as we know

    @property
    def stuck(self) -> Mapping[int, EventNotApplied]:
        return self._folder.stuck

    @property
    def waiting(self) -> int:
        return len(self._folder.blocked)

    def places_of(self, shares: Collection[int]) -> Sequence[TopicPlace]:
        return self._folder.places_of(shares)

    async def run(self, held: Mapping[int, int], stop: asyncio.Event) -> None:
        """Fill these shares, held by these epochs, until `stop` is set.

        Raises what `SharedReadModels` and `Subscription` raise. Then call it again: it begins with what is saved.
        """
        states, head = await self._models.take(held)
        self._folder.begin(held, states, head, await self._models.aside())
        self.held, self.marks = held, dict(self._folder.marks)
        self.positions = {number: state.position for number, state in states.items()}
        self._saves = {number: state.saves for number, state in states.items()}
        if await self._catch_up():
            return
        try:
            async with until_due(self._models, self._folder.waiting_here, stop) as over:
                await self._fill(over)
        except ValuesRefused as error:
            if time.monotonic() < self._careful_until:
                raise
            log.warning("saves each event by itself for a while", group=self._group.name, reason=str(error))
            self._careful_until = time.monotonic() + CAREFUL

    async def _catch_up(self) -> bool:
        """Try those events again whose time has come, and what waits behind them. Returns whether to do it again."""
        folder, save = self._folder, self._save_changes
        await catch_up_rows(
            *(self._group, self._models, folder.waiting_here, folder.aside.skipped),
            lambda row, found: save(folder.caught_up(row, found)),
        )
        folder.take_aside(await self._models.aside())
        return await stop_if_too_many(self._models, folder.aside, folder.waiting_here)

    async def _fill(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                try:
                    await self._start(stop)
                    if self.outage is not None:
                        log.info("its events come from Kafka again", group=self._group.name)
                    self.outage = None
                    await self._follow_topics(stop)
                except PlacesLost as error:
                    log.warning("reads events from the log", group=self._group.name, reason=str(error))
                    self._lose(error.places)
                    await asyncio.sleep(PAUSE)
                except TopicsAway as error:
                    await self._follow_log(str(error), stop)
                if self._to_try_again():
                    return
        finally:
            await self._topics.close()

    def _lose(self, places: Collection[tuple[str, int]]) -> None:
        for place in self.places_of({partition % self._count for _, partition in places}):
            self._folder.marks.pop(place, None)
            self.marks.pop(place, None)

    # --- where events come from -----------------------------------------------------------------------------
    async def _start(self, stop: asyncio.Event) -> None:
        """Begin with the topics at the marks. Shares without marks that can be trusted are filled from the log before.

        Whatever a place has before its end is in the log by then. So when the log was read from the share's position to
        its head as it is after the end was noted, nothing before that end is missing.
        """
        await self._topics.open()
        while not (stop.is_set() or self._to_try_again()):
            marks, wanted = self._folder.marks, self.places_of(self.held)
            without = [place for place in wanted if place not in marks]
            without += await self._topics.start({place: marks[place] for place in wanted if place in marks})
            shares = {place.partition % self._count for place in without} - self.stuck.keys()
            if not shares:
                return
            places = self.places_of(shares)
            ends = await self._topics.ends(places)
            head = (await self._models.standing()).head
            log.info("fills shares from the log", group=self._group.name, shares=sorted(shares), upto=head)
            await self._pipe(self._from_log(shares, stop, upto=head))
            read = self.places_of({number for number in shares if self.positions[number] >= head})
            trusted = {place: TopicMark(ends[place]) for place in read}
            self._folder.marks.update(trusted)
            self.marks.update(trusted)

    async def _follow_log(self, reason: str, stop: asyncio.Event) -> None:
        """Read the log while Kafka is away, until it has the newest events again."""
        if self.outage is None:
            log.warning("reads events from the log while Kafka is away", group=self._group.name, reason=reason)
        self.outage = reason
        back = asyncio.Event()
        watching = asyncio.create_task(wait_until_back(self._topics, self._models, stop, back, self._still))
        try:
            await self._pipe(self._from_log(set(self.held), back))
            await watching
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def _still(self, reason: str) -> None:
        self.outage = reason

    async def _from_log(
        self, shares: Collection[int], stop: asyncio.Event, *, upto: float = math.inf
    ) -> AsyncGenerator[Batch]:
        begun = dict(self.positions)
        after = min(begun[number] for number in shares)
        if after >= upto:
            return
        batches = self._subscription().batches(stop, after=after, limit=BATCH, categories=self._categories)
        async with aclosing(batches):
            async for batch in batches:
                position = batch[-1].position
                events = [
                    event
                    for event in batch
                    if event.category in self._categories
                    and (number := self._folder.share(event)) in shares
                    and event.position > begun[number]
                ]
                yield Batch(events, {}, {number: max(position, begun[number]) for number in shares})
                if position >= upto or self._to_try_again():
                    return

    async def _follow_topics(self, stop: asyncio.Event) -> None:
        watching = asyncio.create_task(reach_positions(self, self._topics, self._models, stop))
        try:
            await self._pipe(self._from_topics(stop, watching))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _from_topics(self, stop: asyncio.Event, watching: asyncio.Task[None]) -> AsyncGenerator[Batch]:
        async with aclosing(self._deliveries(stop, watching)) as come, aclosing(together(come, BATCH)) as batches:
            async for batch in batches:
                events = batch.events
                if events and (differing := await self._models.differing(events)):
                    self._tell_differing(batch, len(differing))
                    events = [own for n, event in enumerate(events) if (own := differing.get(n, event)) is not None]
                ours = {event.event_id for event in events}
                marks = {p: mark if mark.event_id in ours else TopicMark(mark.next) for p, mark in batch.marks.items()}
                yield Batch(events, marks, {})

    def _tell_differing(self, batch: Batch, count: int) -> None:
        if time.monotonic() - self._told_differing_at > TELL_EVERY:
            self._told_differing_at = time.monotonic()
            what = f"{count} events in Kafka are not as the log has them; what the log has is taken, or nothing"
            log.warning(what, group=self._group.name, topics=sorted({place.topic for place in batch.marks}))

    async def _deliveries(self, stop: asyncio.Event, watching: asyncio.Task[None]) -> AsyncGenerator[Batch]:
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not (stop.is_set() or self._to_try_again()):
                polling = asyncio.ensure_future(self._topics.poll())
                try:
                    await asyncio.wait([polling, watching, stopping], return_when=asyncio.FIRST_COMPLETED)
                finally:  # also when this is cancelled, so that nobody asks clients of Kafka that are closed meanwhile
                    polling.cancel()
                    await asyncio.gather(polling, return_exceptions=True)
                if watching.done():
                    watching.result()
                if not stop.is_set() and (delivery := polling.result()).marks:
                    yield Batch([e for at, e in delivery.events if self._folder.belongs(at, e)], delivery.marks, {})
        finally:
            stopping.cancel()

    # --- folding and saving ---------------------------------------------------------------------------------
    async def _pipe(self, batches: AsyncGenerator[Batch]) -> None:
        """Fold and save. While one batch is saved, the next is folded and the one after that is read."""
        async with (
            aclosing(batches),
            aclosing(ahead(batches)) as batches_ahead,
            aclosing(self._fold_batches(batches_ahead)) as all_folded,
            aclosing(ahead(all_folded)) as folded_ahead,
        ):
            async for folded in folded_ahead:
                await self._save(folded)

    async def _save_changes(self, changes: SharedChanges) -> None:
        await self._models.save(changes)
        self._saves |= {number: share.saves + 1 for number, share in changes.shares.items()}
        self.saved_at = time.monotonic()

    async def _save(self, folded: Folded) -> None:
        if folded.changes is not None:
            await self._save_changes(folded.changes)
        self.marks.update(folded.marks)
        if folded.marks:
            self._topics.mirror({place: mark.next for place, mark in folded.marks.items()})
        await self.reach(folded.positions)
        self._folder.spans.reached([*folded.positions.values(), *(mark.position for mark in folded.marks.values())])
        self.progress.beat()

    async def reach(self, positions: Mapping[int, int]) -> None:
        """Note that shares have every event up to a position."""
        if positions:
            await self._models.reach(positions, self.held, self._saves)
            self.positions |= {number: max(at, self.positions[number]) for number, at in positions.items()}
            self.saved_at = time.monotonic()

    async def _fold_batches(self, batches: AsyncIterator[Batch]) -> AsyncGenerator[Folded]:
        async for batch in batches:
            await asyncio.sleep(0)  # a fold blocks the event loop, so let the save and the next read start first
            if time.monotonic() < self._careful_until:
                for event in batch.events:
                    await self._save_alone(event)
                await self._save(await self._folder.fold(Batch([], batch.marks, batch.positions)))
            else:
                yield await self._folder.fold(batch)

    async def _save_alone(self, event: StoredEvent) -> None:
        """Save an event by itself, and set it aside if the database refuses to save what it changes."""
        alone, state = Batch([event], {}, {}), self._folder.state()
        try:
            await self._save(await self._folder.fold(alone))
        except ValuesRefused as error:
            self._folder.go_back(state)
            await self._save(await self._folder.fold(alone, error))

    def _to_try_again(self) -> bool:
        return self.waiting > MOST_BLOCKED or (bool(self.stuck) and time.monotonic() - self._folder.stuck_at > AGAIN)
