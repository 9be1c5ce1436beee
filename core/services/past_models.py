"""Past models: the queries on read models as of an earlier position, which are built when they are first asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from core.errors import OrderdeckError, Unavailable
from core.ports.past_generations import PastGenerations
from core.ports.queries import Queries
from core.projections import GROUPS
from core.projections.projection import Group

KEEP = timedelta(hours=1)
"""How long a generation is kept after its last use."""

UNUSED = timedelta(seconds=20)
"""One that was used or asked for less than this ago is not given up for another one."""

SAY_AGAIN = (
    10.0  # seconds after which a process says again that it uses a generation; below UNUSED by more than a query takes
)
LONGEST_QUERY = 10.0  # seconds that a query may still need on connections that nobody asks any more


@dataclass
class PastComing(OrderdeckError):
    """The read models of that position are being built: ask again. `done` of `position` events are in them.

    With `others`, the number of other moments that are in use, it has to wait until one of these is not.
    """

    position: int
    done: int
    rate: float
    others: int = 0

    @property
    def seconds_left(self) -> float | None:
        return (self.position - self.done) / self.rate if self.rate > 0 else None

    def __str__(self) -> str:
        if self.others:
            wait = f"those as of position {self.position:,} come when one was unused for {UNUSED.seconds} seconds"
            return f"lists as of {self.others} other moments are in use: {wait}"
        return f"the lists as of position {self.position:,} are being made: {self.done:,} events are in them"


@dataclass
class _Opened:
    queries: Queries
    opening: AbstractAsyncContextManager[Queries]
    said_at: float = field(default_factory=time.monotonic)


class PastModels:
    """The generations that this process reads: of each group of read models, as of at most `most` positions."""

    def __init__(
        self,
        generations: PastGenerations,
        open_queries: Callable[[int], AbstractAsyncContextManager[Queries]],
        most: int,
    ) -> None:
        self._generations = generations
        self._open_queries = open_queries
        self._most = most
        self._opened: dict[tuple[str, int], tuple[int, _Opened]] = {}  # by reader and position: the generation's id
        self._asking = asyncio.Lock()
        self._closing = set[asyncio.Task[None]]()

    async def queries(self, reader: str, position: int) -> Queries:
        """The queries of a group's read models as of a position.

        Raises PastComing while they are being built or wait for room, Unavailable when they cannot be built.
        """
        group = next(group for group in GROUPS if group.reader == reader)
        known = self._opened.get((reader, position))
        if known is not None and time.monotonic() - known[1].said_at < SAY_AGAIN:
            return known[1].queries
        async with self._asking:
            return await self._look(group, position)

    async def _look(self, group: Group[Any], position: int) -> Queries:
        key = group.reader, position
        known = self._opened.get(key)
        if known is not None:
            id_, opened = known
            if await self._generations.use(id_, keep=KEEP):
                opened.said_at = time.monotonic()
                return opened.queries
            self._forget(key)
        generation = await self._generations.find(group, position, keep=KEEP)
        if generation is None:
            generation = await self._generations.request(group, position, keep=KEEP, most=self._most, unused=UNUSED)
        if generation is None:
            raise PastComing(position, 0, 0.0, others=self._most)
        if generation.state == "failed":
            raise Unavailable(f"the lists as of position {position:,} cannot be made: {generation.note}", 60)
        if generation.state != "ready" or not await self._generations.use(generation.id, keep=KEEP):
            raise PastComing(position, min(generation.position, position), generation.rate)
        opening = self._open_queries(generation.id)
        opened = _Opened(await opening.__aenter__(), opening)
        self._opened[key] = generation.id, opened
        for other in [each for each, (_, one) in self._opened.items() if _is_old(one)]:
            self._forget(other)
        return opened.queries

    def _forget(self, key: tuple[str, int]) -> None:
        """Close the connections, once the queries that are under way on them have had their time."""
        _, opened = self._opened.pop(key)
        task = asyncio.create_task(_close_later(opened))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for _, opened in self._opened.values():
            await opened.opening.__aexit__(None, None, None)


def _is_old(opened: _Opened) -> bool:
    return time.monotonic() - opened.said_at > UNUSED.total_seconds()


async def _close_later(opened: _Opened) -> None:
    try:
        await asyncio.sleep(LONGEST_QUERY)
    finally:
        await opened.opening.__aexit__(None, None, None)
