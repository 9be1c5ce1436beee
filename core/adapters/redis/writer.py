"""A writer of the cache: one projector's promise to mark orders before it changes them, and what it stores afterwards.

The promise lasts for a second and is renewed all the time. Whoever cannot mark orders lets it run out before the orders
change, and then no entry is trusted any more, until a new promise begins a new generation of entries.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from core import codec
from core.adapters.redis import entries, scripts
from core.adapters.redis.link import CacheAway, CacheFull, RedisLink
from core.domain.message import OrderId
from core.ports.order_cache import CacheReport
from core.projections.order_view import OrderView

LASTS = 1.0  # seconds that a promise lasts
RENEW_EVERY = 0.25  # seconds
# A promise has surely ended so many seconds after a call failed: Redis may do that call late, but only while the last
# promise lasts, and then the new one lasts as long again.
SURELY_OVER = 2 * LASTS
LOOK_EVERY = 0.02  # seconds between two looks whether Redis can be reached
MOST_MARKED = 200  # orders of one batch; a projector that changes more is catching up, and the cache rests meanwhile
QUIET = 1.0  # seconds without a batch after which it has caught up


class Marked(NamedTuple):
    """How orders were marked, and in which generation."""

    mark: str
    generation: bytes


class OrderWriter:
    """Marks and stores the orders of the shares that this process has opened.

    `holds` says whether this process still holds them, and surely will for so many seconds.
    """

    def __init__(
        self, link: RedisLink, *, board: str, seconds: float, report: CacheReport, holds: Callable[[float], bool]
    ) -> None:
        self._link = link
        self._board = board
        self._lasts = round(1000 * seconds)
        self._report = report
        self._holds = holds
        self._shares, self._epochs, self._count = "", "", 1
        self._name = ""
        self._seq = 0
        self._opened = self._promised = self._rests = False
        self._over_at = 0.0  # by the monotonic clock: every promise that was given for these shares has ended then
        self._changed_at = 0.0
        self._changing = asyncio.Lock()  # held from before orders are marked until they are saved
        self._calls = asyncio.Lock()  # held while Redis is told something that depends on `_seq`
        self._writing: asyncio.Task[None] | None = None

    async def keep(self) -> None:
        """Renew the promise, or give a new one. Call it in a task of its own, and cancel that to end."""
        try:
            while True:
                await asyncio.sleep(RENEW_EVERY if self._promised else LOOK_EVERY)
                if not (self._opened and self._holds(SURELY_OVER)):
                    self._promised = False
                elif self._promised:
                    await self._renew()
                elif not self._changing.locked():
                    async with self._changing:
                        await self._promise_when_quiet()
        finally:
            with contextlib.suppress(CacheAway, CacheFull):
                await self._withdraw()

    def opened(self, epochs: Mapping[int, int], count: int) -> None:
        """Note that this process alone changes the orders of these shares now, given with their epochs."""
        self._shares, self._epochs = ",".join(map(str, epochs)), ",".join(map(str, epochs.values()))
        self._count = count
        self._promised, self._opened, self._rests = False, True, False
        self._over_at = time.monotonic() + SURELY_OVER  # others may have promised a moment ago

    def lost(self) -> None:
        """Note that this process may not be the one that changes these orders any more; the promise runs out."""
        self._opened = False
        self._broken()

    @contextlib.asynccontextmanager
    async def changing(self, views: Sequence[OrderView]) -> AsyncGenerator[None]:
        """Mark orders, or make sure that no entry is trusted; after the block, which saves them, store them."""
        async with self._changing:
            marked = await self._mark([view.order_id for view in views]) if views else None
            yield
            self._changed_at = time.monotonic()
            if marked is not None:
                self._writing = asyncio.create_task(self._write(marked, views))

    # --- the promise ----------------------------------------------------------------------------------------
    async def _promise_when_quiet(self) -> None:
        if self._rests and time.monotonic() - self._changed_at > QUIET:
            self._rests = False
        if not self._rests:
            with contextlib.suppress(CacheAway, CacheFull):
                await self._promise()

    async def _promise(self) -> None:
        """Begin a new generation, if Redis can be reached and this process holds its shares until that has ended.

        Redis does it within LASTS after it has told the time, or not at all, and then it lasts for LASTS. So a process
        that was frozen and has lost its shares cannot take away the marks of those who have them, in whatever way they
        divide them: the epochs, which Redis compares, are of one way of dividing only.
        """
        if self._link.away is not None:
            return
        async with self._calls:
            latest = int(await self._link.run(scripts.CLOCK, [self._board])) + round(1000 * LASTS)
            if not self._holds(SURELY_OVER):  # after Redis has told the time, since we may be frozen before
                return
            name, generation = secrets.token_hex(8), secrets.token_hex(8)
            arguments = (name, generation, round(1000 * LASTS), self._count, self._shares, latest, self._epochs)
            if await self._call(scripts.ANNOUNCE, [self._board], arguments) == 1:
                self._name, self._seq, self._promised = name, 0, True

    async def _renew(self) -> None:
        async with self._calls:
            if not self._promised:
                return
            with contextlib.suppress(CacheAway, CacheFull):
                arguments = (self._name, self._seq, round(1000 * LASTS), self._shares)
                if await self._call(scripts.RENEW, [self._board], arguments) == 0:
                    self._promised = False

    async def _withdraw(self) -> None:
        """End every promise for these shares at once."""
        async with self._calls:
            if self._promised or time.monotonic() < self._over_at:
                await self._call(scripts.WITHDRAW, [self._board], (self._name, self._shares))
                self._promised, self._over_at = False, time.monotonic()

    async def _call(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Make a call that may lengthen the promise. If it fails, nobody knows whether it did."""
        try:
            answer = await self._link.run(script, keys, arguments)
        except BaseException:
            self._broken()
            raise
        self._over_at = time.monotonic() + LASTS
        return answer

    def _broken(self) -> None:
        self._promised, self._over_at = False, time.monotonic() + SURELY_OVER

    # --- orders that change ---------------------------------------------------------------------------------
    async def _mark(self, ids: Sequence[OrderId]) -> Marked | None:
        """None when they are not marked; then no promise lasts any more."""
        if self._writing is not None:
            await self._writing
        self._rests = len(ids) > MOST_MARKED
        tried = False
        while True:
            if not tried and self._link.away is None:
                tried = True
                with contextlib.suppress(CacheAway, CacheFull):
                    if self._rests:
                        await self._withdraw()
                    elif (marked := await self._mark_now(ids)) is not None:
                        return marked
            if self._promised:
                self._broken()
            if (left := self._over_at - time.monotonic()) <= 0:
                return None
            await asyncio.sleep(min(LOOK_EVERY, left))

    async def _mark_now(self, ids: Sequence[OrderId]) -> Marked | None:
        keys = [self._board, *map(entries.key_of, ids)]
        for _ in range(2):  # a promise that has run out, or was forgotten by Redis, is given again
            if not self._promised:
                await self._promise()
            async with self._calls:
                if not self._promised:
                    return None
                arguments = (self._name, self._seq, round(1000 * LASTS), self._shares)
                generation = await self._call(scripts.MARK, keys, arguments)
                if generation != 0:
                    self._seq += 1
                    self._report.marked += len(ids)
                    return Marked(f"{self._name} {self._seq}", generation)
                self._promised = False
        return None

    async def _write(self, marked: Marked, views: Sequence[OrderView]) -> None:
        """Store orders as they were saved, and take their marks away."""
        keys, arguments = [self._board], list[Any]([marked.mark, marked.generation, self._lasts])
        for view in views:
            head, document = entries.written(view.order_id, view.version, view.payment_version, codec.json(view))
            keys.append(entries.key_of(view.order_id))
            arguments += (view.version + view.payment_version, head, document)
        try:
            try:
                await self._link.run(scripts.WRITE, keys, arguments)
                self._report.written += len(views)
            except CacheFull:
                await self._link.run(scripts.FORGET, keys, [marked.mark])
        except (CacheAway, CacheFull):
            self._broken()  # the marks stay until the next generation
