"""Reads the log up to a position, and no faster than so many events a second."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

from core.codec import StoredEvent
from core.ports.reading import BUSY, Subscription


class PacedLog:
    """See `core.ports.reading.Subscription`. It ends with the event at `upto`. `rate` may be changed at any time."""

    def __init__(self, subscription: Subscription, *, upto: float = math.inf, rate: int | None = None) -> None:
        self._subscription = subscription
        self._upto = upto
        self.rate = rate

    async def batches(
        self,
        stop: asyncio.Event,
        *,
        after: int,
        limit: int,
        categories: Sequence[str] = (),
        pause: float = BUSY,
    ) -> AsyncGenerator[Sequence[StoredEvent]]:
        while not stop.is_set() and after < self._upto:
            # A batch ends at most `size` positions further, and says how far it was read even if it has few events.
            size = int(min(limit, self._upto - after, max(1, (self.rate or limit) // 4)))
            reading = self._subscription.batches(stop, after=after, limit=size, categories=categories, pause=pause)
            async with aclosing(reading) as batches:
                async for batch in batches:
                    began, before, after = time.monotonic(), after, batch[-1].position
                    yield batch
                    if self.rate is not None:
                        await _pause(stop, began + (after - before) / self.rate - time.monotonic())
                    if after + size > self._upto:
                        break


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
