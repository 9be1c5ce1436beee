"""The hub: follows the log once for all live readers, and keeps the latest events, encoded once, in a ring.

Each reader goes at its own pace and slows down no other: events that are no longer in the ring it reads from the log.
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

RING = 20_000  # events that the ring holds
MOST_A_WRITE = 500  # events that are sent to a reader at once
BATCH = 1_000  # events that the hub reads from the log at once
KEEP_ALIVE = 10.0  # seconds without an event after which a comment is sent
TOO_FAR = 10_000  # events; a reader that may skip and is further behind jumps to the head

ReadLog = Callable[[int, "Filter"], Awaitable[Sequence[StoredEvent]]]


@dataclass(frozen=True, slots=True)
class Frame:
    """An event as the bytes of a server-sent event, with what a filter looks at."""

    position: int
    category: str
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Filter:
    """The categories and types of events that a reader gets; an empty tuple lets all pass."""

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
    """The latest frames, of positions without gaps, so that a frame's place in the list follows from its position."""

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
        """At most so many of the frames after a position; the ring has to hold the frame that follows it."""
        passed = position + 1 - self._frames[self._next].position
        left = min(most, len(self._frames) - passed)
        start = (self._next + passed) % len(self._frames)
        frames = self._frames[start : start + left]
        return frames + self._frames[: left - len(frames)]


class Hub:
    """Follows the log as long as there is a reader, and gives each reader its stream of frames."""

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

    async def stream(self, after: int, choice: Filter, *, skip: bool) -> AsyncGenerator[bytes]:
        """The frames after a position that pass the filter, several in each chunk, until the hub closes.

        Raises the error that ended the task which follows the log, such as a DatabaseFault.
        """
        self._readers += 1
        try:
            await self._follow_from_head()
            yield b": from %d\n\n" % after
            async with aclosing(self._chunks(after, choice, skip=skip)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            await self._leave()

    async def _chunks(self, after: int, choice: Filter, *, skip: bool) -> AsyncGenerator[bytes]:
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
                frames, after = await self._next(after, choice)
                if frames:
                    yield b"".join([one.data for one in frames])

    async def _next(self, after: int, choice: Filter) -> tuple[list[Frame], int]:
        """The next frames that pass the filter, and the position up to which the log was looked at for them."""
        if self._ring.holds(after + 1):
            frames = self._ring.after(after, MOST_A_WRITE)
            return [one for one in frames if choice.passes(one)], frames[-1].position
        # All events up to the head are committed, so a read that is not full has looked at all of them.
        head = self.head
        events = await self._read_log(after, choice)
        last = events[-1].position if events else after
        return [frame(event) for event in events], last if len(events) >= MOST_A_WRITE else max(last, head)

    async def _follow_from_head(self) -> None:
        if self._following is None or self._following.done():
            head = await self._store.head()
            if self._following is None or self._following.done():  # another reader may have begun to follow meanwhile
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
            self._wake()  # nobody follows the log any more: streams see it and end, and their readers connect again

    def _wake(self) -> None:
        awaited, self._grown = self._grown, asyncio.Event()
        awaited.set()

    def close(self) -> None:
        """End every stream."""
        self._stop.set()
        self._wake()
