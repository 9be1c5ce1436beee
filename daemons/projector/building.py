"""Has generations of read models built, each by a process of its own, so that the live ones are not delayed.

Of all projectors, one does that. A process that ends before its work is done is started again, and goes on from what it
has saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from core.bootstrap import App
from core.pace import Pace
from core.ports.generations import Generation, Generations
from core.projections import GROUPS
from core.services.shares import ShareKeeper
from daemons.process.forks import Forks
from daemons.process.owner import gone, our_name
from daemons.process.vitals import Vitals
from daemons.process.work_again import keep_up

READER = "rebuild"
PART = "the building of read models"  # its name on the FaultBoard
LOOK_EVERY = 0.5  # seconds between two looks for work while there is some
LONGEST_LOOK = 2.0  # seconds between two looks while there has been none for long
AT_ONCE = 3  # processes
PAUSE = 2.0  # seconds before a process that ended too early is started again

log = structlog.get_logger(__name__)


class Building:
    """The processes that build generations, as long as this projector holds the share. `keep` ends with the daemon."""

    def __init__(self, app: App, generations: Generations, forks: Forks, vitals: Vitals) -> None:
        self._generations = generations
        self._forks = forks
        self._vitals = vitals
        self._keeper = ShareKeeper(app.shares, READER, our_name(), count=1, gone=gone)
        self._began: dict[
            int, float
        ] = {}  # by generation: when a process was begun for it last, by the monotonic clock

    async def keep(self) -> None:
        stop, faults = self._vitals.stop, self._vitals.faults
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keeper.keep(stop))
            tasks.create_task(self._forks.keep(stop))
            await keep_up(self._look_on, stop, waits=lambda _: None, failed=lambda error: faults.report(PART, error))
        self._forks.end_all()

    async def _look_on(self) -> None:
        pace = Pace(LOOK_EVERY, LONGEST_LOOK)
        looked_at_ready = False  # a migration runs before the projectors of its release, so once is enough
        while not self._vitals.stop.is_set():
            if self._keeper.held and not looked_at_ready:
                for group in GROUPS:
                    for id_ in await self._generations.index_ready(group):
                        log.info("indexes read models again", generation=id_, reader=group.reader)
                looked_at_ready = True
            if self._keeper.held and await self._look():
                pace.came()
            elif not self._keeper.held and self._forks.count:
                self._forks.end_all()
            self._vitals.faults.clear(PART)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._vitals.stop.wait(), pace.pause())

    async def _look(self) -> bool:
        """Begin what is to be built, and drop what is too old. Returns whether there is something of either."""
        unfinished, expired = await self._generations.unfinished(), await self._generations.expired()
        for generation in unfinished:
            if self._may_begin(generation):
                if generation.id not in self._began:
                    log.info("builds read models", generation=generation.id, reader=generation.reader)
                self._began[generation.id] = time.monotonic()
                self._forks.begin(generation.id)
        for id_ in expired:
            generation = await self._generations.read(id_)
            if generation is not None and not self._forks.runs(id_):
                becomes = generation.state if generation.state in ("cancelled", "failed") else "dropped"
                await self._generations.drop(id_, becomes)
                log.info("drops read models", generation=id_, reader=generation.reader, state=becomes)
        return bool(unfinished or expired)

    def _may_begin(self, generation: Generation) -> bool:
        """A generation of the rules of another release is left to that release."""
        if self._forks.runs(generation.id) or self._forks.count >= AT_ONCE:
            return False
        return time.monotonic() - self._began.get(generation.id, -PAUSE) >= PAUSE and fills(generation)


def fills(generation: Generation) -> bool:
    """Whether this release fills it: it has our rules, or it was live before, and then is gone on with as it is."""
    revisions = {group.reader: group.revision for group in GROUPS}
    return generation.ended_at is not None or revisions.get(generation.reader) == generation.revision
