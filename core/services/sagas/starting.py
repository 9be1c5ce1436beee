"""Starting: has a saga started for each event that begins one, of the shares of all orders that this process holds.

It may be killed at any time: who takes a share over goes on from its saved position, and starting twice does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from core.codec import UNREADABLE, StoredEvent
from core.domain.message import Event, OrderId, SagaId, StreamId, saga_of
from core.domain.saga import SagaCompleted, SagaResolved
from core.errors import LogShorter, OrderdeckError, ShareLost, Unavailable
from core.pace import Pace
from core.ports.log import EventStore
from core.ports.sagas import READER, SagaLog, SagaStarts
from core.ports.shares import Shares
from core.sagas.saga import Saga
from core.services.shares import ShareKeeper

BATCH = 1_000
BUSY = 0.01  # seconds between reads while events come, of which none starts a saga
SOON = 0.003  # seconds after a start until the next read, so that what it finds goes with the next append of many
QUIET = 0.25  # seconds after the last events until the next read, in case a notification is lost
LONGEST_QUIET = 2.0  # seconds between reads while none have come for long
AWAY = 0.4  # seconds between tries while the database is away
SAVE_EVERY = 0.1  # seconds; who takes over starts again, without effect, what was started since the last save

Start = Callable[[Sequence[StoredEvent]], Awaitable[None]]

log = structlog.get_logger(__name__)


class Starting:
    """`start` starts a saga for each event that it is given, or raises; `event_types` are those that begin one."""

    def __init__(
        self, feed: SagaStarts, shares: Shares, keeper: ShareKeeper, event_types: Sequence[str], start: Start
    ) -> None:
        self._feed = feed
        self._shares = shares
        self._keeper = keeper
        self._event_types = event_types
        self._start = start
        self._epochs: dict[int, int] = {}
        self._places: dict[int, int] = {}  # by share: every event up to this position has its saga
        self._saved: dict[int, int] = {}
        self._saved_at = 0.0  # by the monotonic clock
        self._pace = Pace(QUIET, LONGEST_QUIET)
        self._stop = asyncio.Event()

    @property
    def position(self) -> int | None:
        """The lowest position of the shares that this process holds; None while it holds none."""
        return min(self._places.values(), default=None)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the log until `stop` is set. Raises faults, and LogShorter when an older log is in its place.

        It may be called again then, and goes on where it was.
        """
        away, self._stop = False, stop
        while not stop.is_set():
            try:
                pause = await self._turn()
            except Unavailable as error:
                if not (away or error.logged):
                    log.warning("the log cannot be read", reason=str(error))
                    away = True
                pause = AWAY
            else:
                if away:
                    log.info("the log can be read again")
                away = False
            if pause:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
        with contextlib.suppress(OrderdeckError):  # whoever holds the share next starts some again, without effect
            await self._save()

    async def _turn(self) -> float:
        """Read once, start what was read, and save how far it is. Returns how long to pause before the next turn."""
        await self._take_what_is_held()
        coming = self._feed.coming()  # before the read, so that an event that comes meanwhile is read next time
        if (lowest := self.position) is None:
            await self._feed.wait(coming, at_most=QUIET, stop=self._stop)
            return 0.0
        starts = await self._feed.read(self._event_types, self._places, limit=BATCH)
        if starts.position < lowest:
            await self._shares.rewind(READER)
            self._epochs = {}
            raise LogShorter(lowest, starts.position)
        if starts.events:
            await self._start(starts.events)
        moved = starts.position > lowest
        self._places = {number: max(place, starts.position) for number, place in self._places.items()}
        if time.monotonic() - self._saved_at >= SAVE_EVERY or not moved:
            await self._save()
        if starts.more:
            return 0.0
        if moved:
            self._pace.came()
            return SOON if starts.events else BUSY
        await self._feed.wait(coming, at_most=self._pace.pause(), stop=self._stop)
        return 0.0

    async def _take_what_is_held(self) -> None:
        held = dict(self._keeper.held)
        if held == self._epochs:
            return
        saved = {share.number: share.position for share in await self._shares.read(READER)}
        kept = {number: self._places[number] for number in self._places if self._epochs.get(number) == held.get(number)}
        self._places = {number: kept.get(number, saved[number]) for number in held}
        self._saved = {number: saved[number] for number in held}
        self._epochs = held

    async def _save(self) -> None:
        self._saved_at = time.monotonic()
        moved = {number: place for number, place in self._places.items() if self._saved.get(number) != place}
        if not moved:
            return
        try:
            await self._shares.reach(READER, moved, self._epochs)
        except ShareLost as lost:
            log.info("has lost shares", reader=READER, shares=lost.numbers)
            self._places = {number: place for number, place in self._places.items() if number not in lost.numbers}
        self._saved |= moved


class SagaStart(NamedTuple):
    """The event that starts a saga, or None if it cannot be read; and what it is about."""

    event: Event | None
    about: str


def start_of(saga: Saga, stored: StoredEvent) -> SagaStart | None:
    """How this event starts the saga; None for an older event, which says something else.

    Of an event that cannot be read, the field that says what it is about mostly can. If that cannot be read either,
    the event's id stands for it, until `load_work` can read the event.
    """
    try:
        event = next((each.event for each in stored.recorded() if isinstance(each.event, saga.starts_on)), None)
    except UNREADABLE:
        fields: dict[str, Any] = {}
        with contextlib.suppress(msgspec.DecodeError):
            fields = msgspec.json.decode(stored.payload, type=dict[str, Any])
        named = fields.get(saga.about or "")
        about = named if named and isinstance(named, str) else str(stored.event_id)
        return SagaStart(None, saga.about_which(None, about))
    return None if event is None else SagaStart(event, saga.about_which(event, ""))


async def undoes_itself(store: EventStore, sagas: SagaLog, name: str, order_id: OrderId, position: int) -> bool:
    """Whether the order's saga of that name was not completed before a position of the log. If so, wake it.

    Such a saga sees that its order is cancelled, and undoes its steps itself. A saga that a person resolved does not,
    so it counts as completed.
    """
    before = StreamId(saga_of(order_id, name))
    try:
        history = await store.load(before)
    except UNREADABLE:
        return False  # a second undo of the same step does no harm, and neither does one of a step that never ran
    ended = [event for event in history if isinstance(event.event, SagaCompleted | SagaResolved)]
    if ended and ended[0].position < position:
        return False
    await sagas.wake([SagaId(before)])
    return True
