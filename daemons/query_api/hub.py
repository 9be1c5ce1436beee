"""The hub: one follower of the log for all live readers, and the latest frames, encoded once, in a ring.

A reader goes at its own pace: what has left the ring it reads from the log. It never slows anyone else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

from core import codec
from core.codec import StoredEvent
from core.ports.log import EventStore
from core.ports.reading import Subscription

RING = 20_000  # events
MOST_A_WRITE = 500  # events
BATCH = 1_000  # events
KEEP_ALIVE = 10.0  # seconds
TOO_FAR = 10_000  # events behind, where one that may skip does

ReadLog = Callable[[int, "Filter"], Awaitable[Sequence[StoredEvent]]]


@dataclass(frozen=True, slots=True)
class Frame:
    """An event as it goes over the wire."""

    position: int
    category: str
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Filter:
    """Everything when empty."""

    categories: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def passes(self, frame: Frame) -> bool:
        return (not self.categories or frame.category in self.categories) and (
            not self.types or frame.type in self.types
        )


def frame(event: StoredEvent) -> Frame:
    data = b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.position,
        event.event_type.encode(),
        event.envelope().encode(),
    )
    return Frame(event.position, event.category, event.event_type, data)


def skipped(after: int, before: int) -> bytes:
    data = codec.json({"after": after, "before": before, "count": before - after - 1})
    return b"id: %d\nevent: skipped\ndata: %b\n\n" % (before - 1, data)


class Hub:
    """Follows the log while anyone reads."""

    def __init__(self, store: EventStore, subscription: Callable[[], Subscription], read_log: ReadLog) -> None:
        self._store = store
        self._subscription = subscription
        self._read_log = read_log
        self._ring: deque[Frame] = deque(maxlen=RING)
        self._grown = asyncio.Event()
        self._stop = asyncio.Event()
        self._readers = 0
        self._following: asyncio.Task[None] | None = None
        self.head = 0

    async def stream(self, after: int, wanted: Filter, *, skip: bool) -> AsyncGenerator[bytes]:
        """Frames of what comes after a position, many at a time, until the hub closes."""
        await self._join()
        try:
            yield b": from %d\n\n" % after
            async with aclosing(self._chunks(after, wanted, skip=skip)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            await self._leave()

    async def _chunks(self, after: int, wanted: Filter, *, skip: bool) -> AsyncGenerator[bytes]:
        while not (self._stop.is_set() or self._following is None or self._following.done()):
            grown = self._grown
            if skip and self.head - after > TOO_FAR:
                yield skipped(after, self.head + 1)
                after = self.head
            elif after >= self.head:
                try:
                    await asyncio.wait_for(grown.wait(), KEEP_ALIVE)
                except TimeoutError:
                    yield b": at %d\n\n" % self.head
            else:
                frames, after = await self._next(after, wanted)
                if frames:
                    yield b"".join([one.data for one in frames])

    async def _next(self, after: int, wanted: Filter) -> tuple[list[Frame], int]:
        """What comes next of what is wanted, and the position that takes us to."""
        first = self.head - len(self._ring) + 1  # positions have no gaps
        if after + 1 >= first:
            start = after + 1 - first
            frames = list(islice(self._ring, start, start + MOST_A_WRITE))
            return [one for one in frames if wanted.passes(one)], frames[-1].position
        known = self.head  # everything up to here is committed, so a read that finds less has seen it all
        events = await self._read_log(after, wanted)
        reached = events[-1].position if events else after
        return [frame(event) for event in events], reached if len(events) >= MOST_A_WRITE else max(reached, known)

    async def _join(self) -> None:
        self._readers += 1
        if self._following is None or self._following.done():
            head = await self._store.head()
            if self._following is None or self._following.done():  # someone else may have been as quick
                self.head = head
                self._ring.clear()
                self._following = asyncio.create_task(self._follow(head))

    async def _leave(self) -> None:
        self._readers -= 1
        if self._readers == 0 and self._following is not None:
            following, self._following = self._following, None
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self, after: int) -> None:
        try:
            async with aclosing(self._subscription().batches(self._stop, after=after, limit=BATCH)) as batches:
                async for batch in batches:
                    self._ring.extend([frame(event) for event in batch])
                    self.head = batch[-1].position
                    self._wake()
        finally:
            self._wake()  # without a follower the streams end, and their readers come again

    def _wake(self) -> None:
        past, self._grown = self._grown, asyncio.Event()
        past.set()

    def close(self) -> None:
        """End every stream."""
        self._stop.set()
        self._wake()
