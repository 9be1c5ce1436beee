"""The hub: follows the log once for all live readers, and keeps the latest events, encoded once, in a ring.

Each reader goes at its own pace and slows down no other: events that are no longer in the ring it reads from the log.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from core.codec import Shape, StoredEvent
from core.ports.log import EventStore
from core.ports.reading import Subscription
from daemons.process.guard.places import Places
from daemons.query_api.frames import Filter, Frame, FrameRing, frame, skipped

RING = 20_000  # events that the ring holds
MOST_A_WRITE = 200  # events that are sent to a reader at once
BYTES_A_WRITE = 64 * 1024  # bytes that are sent to a reader at once: with the server's buffer, what a slow reader costs
READERS = 200  # at one time; each may cost four times BYTES_A_WRITE, and each event is sent to all
READERS_SHARE = 100  # of these, for one address
LOG_READS = 2  # reads of the log for readers at one time, so that ordinary queries find a connection free
BATCH = 1_000  # events that the hub reads from the log at once
KEEP_ALIVE = 10.0  # seconds without an event after which a comment is sent
TOO_FAR = 10_000  # events; a reader that may skip and is further behind jumps to the head

ReadLog = Callable[[int, Filter, int], Awaitable[Sequence[StoredEvent]]]
"""At most so many events after a position that pass the filter."""


class Hub:
    """Follows the log as long as there is a reader, and gives each reader its stream of frames."""

    def __init__(self, store: EventStore, subscription: Callable[[], Subscription], read_log: ReadLog) -> None:
        self._store = store
        self._subscription = subscription
        self._read_log = read_log
        self._ring = FrameRing(RING)
        self._grown = asyncio.Event()
        self._stop = asyncio.Event()
        self.places = Places(READERS, READERS_SHARE)
        self._log_reads = asyncio.Semaphore(LOG_READS)
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
        most = MOST_A_WRITE
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
                frames, after = await self._next(after, choice, most)
                kept = _fitting(frames, choice.shape)
                if len(kept) < len(frames):  # the rest is read again later: a slow reader must not hold it
                    after, most = kept[-1].position, len(kept)
                else:
                    most = min(MOST_A_WRITE, 2 * most)
                frames.clear()
                if kept:
                    chunk = b"".join([one.bytes_in(choice.shape) for one in kept])
                    kept.clear()
                    yield chunk

    async def _next(self, after: int, choice: Filter, most: int) -> tuple[list[Frame], int]:
        """The next frames that pass the filter, and the position up to which the log was looked at for them."""
        if self._ring.holds(after + 1):
            frames = self._ring.after(after, most)
            return [one for one in frames if choice.passes(one)], frames[-1].position
        # All events up to the head are committed, so a read that is not full has looked at all of them.
        head = self.head
        async with self._log_reads:
            events = await self._read_log(after, choice, most)
        last = events[-1].position if events else after
        return [frame(event) for event in events], last if len(events) >= most else max(last, head)

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


def _fitting(frames: Sequence[Frame], shape: Shape) -> list[Frame]:
    """The first of these frames that are sent at once: the first one, and those that fit into BYTES_A_WRITE with it."""
    sizes = itertools.accumulate(len(one.bytes_in(shape)) for one in frames)
    return [
        one for number, (one, size) in enumerate(zip(frames, sizes, strict=True)) if not number or size <= BYTES_A_WRITE
    ]
