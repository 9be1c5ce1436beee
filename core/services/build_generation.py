"""Builds a generation of read models: fills it from the log, and puts a rebuild in the place of the live one."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from core.errors import CheckpointMoved, EventNotApplied, LogShorter, Unavailable
from core.ports.generations import Generation, GenerationGone, Generations
from core.ports.reading import ReadModels, Subscription
from core.projections.projection import Group
from core.services.fill_share import RECENT, TOGETHER
from core.services.paced_log import PacedLog
from core.services.project import Projector

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

KEPT = timedelta(hours=24)
"""How long the tables that were live before are kept."""

TELL_EVERY = 0.5  # seconds
CLOSE = 4_000  # events; whoever is not further behind than that can catch up while the live tables are locked
SHORTEST_LOCK, LONGEST_LOCK = timedelta(milliseconds=20), timedelta(milliseconds=250)
LONGEST_PAUSE = 5.0  # seconds between two tries to switch

SHARES = 2  # processes that fill a generation with many rows together
WORTH_SHARING = 20_000  # events; to fill fewer takes no longer than to begin another process

FillShares = Callable[[int, asyncio.Event], Awaitable[None]]
"""Fills all shares of the rows up to a position, each in a process of its own, and returns when these have ended.

It may return too early, when a process was killed or stopped.
"""
Check = Callable[[Generation], Awaitable[str]]
"""Compares a generation with the log, and says what differs; '' if nothing does."""

log = structlog.get_logger(__name__)


class GenerationBuild:
    """Works on one generation until it is ready, live or given up. It may be killed at any time and begun again.

    Raises what `ReadModels`, `Subscription` and `Generations` raise. GenerationGone says that it was cancelled.
    """

    def __init__(
        self,
        generation: Generation,
        group: Group[Any],
        read_models: ReadModels,
        generations: Generations,
        subscription: Callable[[], Subscription],
        check: Check,
        fill_shares: FillShares | None = None,
        shares: int = SHARES,
    ) -> None:
        """Without `fill_shares`, the generation is filled as a whole by this process.

        One share is the whole, too, but whoever reads the log for it reads no more than a fold needs.
        """
        self._id = generation.id
        self._generation = generation
        self._generations = generations
        self._subscription = subscription
        self._check = check
        self._fill_shares, self._shares = fill_shares, shares
        self._projector = Projector(group, read_models, recent=RECENT)
        self._paced: PacedLog | None = None
        self._note = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Return when there is nothing more to do, or when `stop` is set."""
        try:
            async with self._telling():
                await self._build(stop)
        except (EventNotApplied, LogShorter) as error:
            await self._give_up(str(error))

    async def _build(self, stop: asyncio.Event) -> None:
        if self._generation.state == "waiting":
            await self._generations.make(self._id)
            self._generation = await self._seen()
        if self._generation.state == "building":
            await self._fill_first(self._generation.end, stop)
            if stop.is_set():
                return
            await self._move("indexing")
        if self._generation.state == "indexing":
            self._note = "makes the indexes"
            await self._generations.index(self._id)
            await self._move("ready" if self._generation.purpose == "as_of" else "checking")
        elif self._generation.state in ("checking", "switching"):
            await self._generations.index(self._id)  # a migration may have made more indexes since it got its own
        if self._generation.state in ("checking", "switching"):
            await self._finish(stop)

    async def _finish(self, stop: asyncio.Event) -> None:
        """Compare it with the log and switch it in, while it follows the log."""
        over = asyncio.Event()
        following = asyncio.create_task(self._fill(math.inf, over))
        finishing = asyncio.create_task(self._check_and_switch(stop))
        try:
            await asyncio.wait([following, finishing], return_when=asyncio.FIRST_COMPLETED)
            if finishing.done():
                finishing.result()
            else:
                following.result()
        except (CheckpointMoved, GenerationGone):
            # Once it is live its own reader is gone, and the one who follows the log may notice that first.
            if (await self._seen()).state != "live":
                raise
        finally:
            over.set()
            finishing.cancel()
            await asyncio.gather(following, finishing, return_exceptions=True)

    async def _check_and_switch(self, stop: asyncio.Event) -> None:
        if self._generation.state == "checking":
            self._note = "is compared with the log"
            if wrong := await self._check(self._generation):
                await self._give_up(wrong)
                return
            await self._move("switching")
        within, pause = SHORTEST_LOCK, 0.05
        while not stop.is_set():
            self._note = ""
            while self._generation.head - self._projector.position > CLOSE:
                await asyncio.sleep(0.05)
                self._generation = await self._seen()
            why_not = await self._generations.switch(self._id, within=within, keep=KEPT)
            if not why_not:
                log.info("is read from now on", generation=self._id, reader=self._generation.reader)
                return
            self._note = f"waits to be switched in: {why_not}"
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), random.uniform(0.5, 1) * pause)  # noqa: S311 - jitter
            within, pause = min(LONGEST_LOCK, within * 1.5), min(LONGEST_PAUSE, pause * 1.5)

    async def _fill_first(self, upto: int, stop: asyncio.Event) -> None:
        begin = self._generation.max_rate is None and upto >= WORTH_SHARING
        fill_shares = self._fill_shares
        if fill_shares is None or not await self._generations.share(self._id, self._shares, begin=begin):
            await self._fill(upto, stop)
            return
        await fill_shares(upto, stop)
        if not stop.is_set() and not await self._generations.join(self._id, upto):
            raise Unavailable(f"a process that fills generation {self._id} has ended too early")

    async def _fill(self, upto: float, stop: asyncio.Event) -> None:
        self._paced = PacedLog(self._subscription(), upto=upto, rate=self._generation.max_rate)
        together = TOGETHER if upto < math.inf else 0  # who follows the log does so without a delay
        await self._projector.run(self._paced, stop, together=together)

    async def _move(self, state: Any) -> None:
        self._note = ""
        await self._generations.move(self._id, self._generation.state, state)
        self._generation = await self._seen()
        log.info("goes on", generation=self._id, reader=self._generation.reader, state=self._generation.state)

    async def _give_up(self, why: str) -> None:
        await give_up(self._generations, self._generation, why)

    async def _seen(self) -> Generation:
        if (seen := await self._generations.read(self._id)) is None:
            raise GenerationGone(self._id)
        return seen

    @asynccontextmanager
    async def _telling(self) -> AsyncGenerator[None]:
        """While the block runs, save how fast it goes. Cancel the block when somebody has cancelled the generation."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        gone: list[GenerationGone] = []

        async def tell() -> None:
            at, position, rate = time.monotonic(), self._generation.position, 0.0
            while True:
                await asyncio.sleep(TELL_EVERY)
                there, now = await self._generations.read(self._id), time.monotonic()
                if there is not None:
                    lately = max(0, there.position - position) / (now - at)
                    rate = 0.0 if there.state == "indexing" else (rate + lately) / 2 if rate else lately
                    at, position = now, there.position
                seen = await self._generations.tell(self._id, rate=rate, note=self._note)
                if seen is None or not (seen.unfinished or seen.state in ("live", "ready", "failed")):
                    gone.append(GenerationGone(self._id))
                    task.cancel()
                    return
                if self._paced is not None:
                    self._paced.rate = seen.max_rate

        telling = asyncio.create_task(tell())
        try:
            yield
        except asyncio.CancelledError:
            if gone:
                task.uncancel()
                raise gone[0] from None
            raise
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)


async def give_up(generations: Generations, generation: Generation, why: str) -> None:
    log.error("gives up a generation", generation=generation.id, reader=generation.reader, reason=why)
    await generations.tell(generation.id, rate=0, note=why[:1_000])
    await generations.drop(generation.id, "failed")
