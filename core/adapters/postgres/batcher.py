"""Group commit: appends that arrive while a batch is being sent are sent together as the next batch.

An append that arrives while nothing is being sent goes at once, unless many came lately and the last batch was sent
less than `spacing` seconds ago. One batch is sent at a time. An append that shares a stream or a key with an earlier
one is not sent in the same batch, but in a later one.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from core.errors import QueueFull, Unavailable
from core.metrics import APPEND_QUEUE
from core.tracing import elsewhere

R = TypeVar("R")


class Weighed(Protocol):
    """What can be batched: it names the streams and keys it touches, its number of events, and about its bytes."""

    @property
    def touches(self) -> frozenset[Hashable]: ...
    @property
    def events(self) -> int: ...
    @property
    def size(self) -> int: ...


I = TypeVar("I", bound=Weighed)  # noqa: E741 - an item


class Waiting(Generic[I, R]):
    __slots__ = ("item", "outcome")

    def __init__(self, item: I, outcome: asyncio.Future[R]) -> None:
        self.item = item
        self.outcome = outcome

    def settle(self, result: R) -> None:
        if not self.outcome.done():
            self.outcome.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class Batcher(Generic[I, R]):
    """`send` settles or fails every append of a batch. A caller that gives up does not affect the others."""

    MOST_APPENDS = 256
    MOST_EVENTS = 1_000
    MOST_BYTES = 1 << 20
    MANY, LATELY = 8, 0.1  # so many appends within so many seconds are sent with their spacing, fewer at once

    def __init__(
        self, send: Callable[[Sequence[Waiting[I, R]]], Awaitable[None]], *, room: int = 4_096, spacing: float = 0.0
    ) -> None:
        self._send = send
        self._spacing = spacing
        self._sent_at = -math.inf  # by the monotonic clock
        self._came = deque[float](maxlen=self.MANY)  # when the last appends did
        self._room = room
        self._queue: deque[Waiting[I, R]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        APPEND_QUEUE.set_function(lambda: len(self._queue))

    @property
    def full(self) -> bool:
        return len(self._queue) >= self._room

    async def submit(self, item: I) -> R:
        if self._closed:
            raise Unavailable("shutting down")
        if self.full:
            raise QueueFull("too many commands wait for the log; try again in a moment")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # once, since each time that Python is asked it asks the system
        waiting: Waiting[I, R] = Waiting(item, self._loop.create_future())
        self._queue.append(waiting)
        self._came.append(time.monotonic())
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=elsewhere())
        return await waiting.outcome

    def refuse_waiting(self, error: Exception) -> None:
        """Fail all appends that are still in the queue. None of them was sent."""
        while self._queue:
            self._queue.popleft().fail(error)

    async def close(self) -> None:
        """Refuse new appends, and wait until those in the queue are sent."""
        self._closed = True
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            while self._queue:
                if (early := self._early()) > 0:
                    await asyncio.sleep(early)
                self._sent_at = time.monotonic()
                if not (batch := self._take()):
                    return
                try:
                    await self._send(batch)
                except Exception as error:  # noqa: BLE001 - the callers raise it, and the queue goes on
                    for waiting in batch:
                        waiting.fail(error)
        finally:
            self._task = None

    def _early(self) -> float:
        """For how many seconds the next batch has to wait."""
        now = time.monotonic()
        many = len(self._came) == self.MANY and now - self._came[0] < self.LATELY
        return self._sent_at + self._spacing - now if many and self._spacing else 0.0

    def _take(self) -> list[Waiting[I, R]]:
        """Take the next batch from the queue, in order, without those that touch the same as an earlier one."""
        batch: list[Waiting[I, R]] = []
        touched: set[Hashable] = set()
        later: list[Waiting[I, R]] = []
        events = size = 0
        while self._queue and len(batch) < self.MOST_APPENDS:
            waiting = self._queue.popleft()
            item = waiting.item
            if waiting.outcome.done():
                continue  # its caller gave up before it was sent
            if not touched.isdisjoint(item.touches):
                touched |= item.touches
                later.append(waiting)
                continue
            if batch and (events + item.events > self.MOST_EVENTS or size + item.size > self.MOST_BYTES):
                self._queue.appendleft(waiting)
                break
            touched |= item.touches
            events += item.events
            size += item.size
            batch.append(waiting)
        self._queue.extendleft(reversed(later))
        return batch
