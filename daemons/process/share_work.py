"""Does the work of a share while this process holds it; several processes of a program hand a share on that way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from core.services.shares import ShareKeeper


class ShareWork:
    """Calls `work(epoch, lost)` each time that this process has got the share with this number.

    The work has to end soon after `lost` is set. One call begins after the one before it has ended, so when the share
    is soon got again, nothing of the last time is still under way.
    """

    def __init__(self, number: int, work: Callable[[int, asyncio.Event], Awaitable[None]]) -> None:
        self._number = number
        self._work = work
        self._one_at_a_time = asyncio.Lock()
        self.epoch: int | None = None
        """Under which the share is held; None while it is not."""

    async def follow(self, keeper: ShareKeeper, stop: asyncio.Event) -> None:
        """Work whenever this process holds the share, until `stop` is set."""
        lost = asyncio.Event()
        async with asyncio.TaskGroup() as working, aclosing(keeper.changes(stop)) as changes:
            async for held in changes:
                if held.get(self._number) == self.epoch:
                    continue
                self.epoch = held.get(self._number)
                lost.set()
                if self.epoch is not None:
                    lost = asyncio.Event()
                    working.create_task(self._begin(self.epoch, lost))
            lost.set()

    async def _begin(self, epoch: int, lost: asyncio.Event) -> None:
        async with self._one_at_a_time:
            await self._work(epoch, lost)
