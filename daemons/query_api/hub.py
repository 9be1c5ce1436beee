"""The hub: one follower of the log for all live readers, and the latest frames, encoded once, in a ring.

A reader goes at its own pace: what has left the ring it reads from the log. It never slows down another reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

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


class FrameRing:
    """The latest frames in a row of positions without gaps; any of them is found by its position, at once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._frames: list[Frame] = []
        self._next = 0  # where the next frame goes once the ring is full

    def add(self, frame: Frame) -> None:
        if len(self._frames) < self._size:
            self._frames.append(frame)
        else:
            self._frames[self._next] = frame
            self._next = (self._next + 1) % self._size

    def holds(self, position: int) -> bool:
        return bool(self._frames) and self._frames[self._next].position <= position

    def after(self, position: int, most: int) -> list[Frame]:
        """The frames after a position, the next of which it holds; at most so many."""
        passed = position + 1 - self._frames[self._next].position
        left = min(most, len(self._frames) - passed)
        start = (self._next + passed) % len(self._frames)
        found = self._frames[start : start + left]
        return found + self._frames[: left - len(found)]


class Hub:
    """Follows the log while anyone reads."""

    def __init__(self, store: EventStore, subscription: Callable[[], Subscription], read_log: ReadLog) -> None:
        self._store = store
        self._subscription = subscription
        self._read_log = read_log
        self._ring = FrameRing(RING)
        self._grown = asyncio.Event()
        self._stop = asyncio.Event()
        self._readers = 0
        self._following: asyncio.Task[None] | None = None
        self.head = 0

    async def stream(self, after: int, wanted: Filter, *, skip: bool) -> AsyncGenerator[bytes]:
        """Frames of what comes after a position, many at a time, until the hub closes.

        Raises what ended the follower, such as a DatabaseFault.
        """
        self._readers += 1
        try:
            await self._follow_from_head()
            yield b": from %d\n\n" % after
            async with aclosing(self._chunks(after, wanted, skip=skip)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            await self._leave()

    async def _chunks(self, after: int, wanted: Filter, *, skip: bool) -> AsyncGenerator[bytes]:
        while not (self._stop.is_set() or self._following is None):
            if self._following.done():
                if not self._following.cancelled():
                    self._following.result()  # raises what ended it
                return
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
        if self._ring.holds(after + 1):
            frames = self._ring.after(after, MOST_A_WRITE)
            return [one for one in frames if wanted.passes(one)], frames[-1].position
        known = self.head  # everything up to here is committed, so a read that finds less has seen it all
        events = await self._read_log(after, wanted)
        reached = events[-1].position if events else after
        return [frame(event) for event in events], reached if len(events) >= MOST_A_WRITE else max(reached, known)

    async def _follow_from_head(self) -> None:
        if self._following is None or self._following.done():
            head = await self._store.head()
            if self._following is None or self._following.done():  # another reader may have been as quick
                self.head = head
                self._ring = FrameRing(RING)
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
                    for event in batch:
                        self._ring.add(frame(event))
                    self.head = batch[-1].position
                    self._wake()
        finally:
            self._wake()  # without a follower the streams end, and their readers connect again

    def _wake(self) -> None:
        past, self._grown = self._grown, asyncio.Event()
        past.set()

    def close(self) -> None:
        """End every stream."""
        self._stop.set()
        self._wake()
