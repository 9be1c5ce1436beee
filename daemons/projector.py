"""projector: reads the log and keeps the read models up to date, each group of them by itself.

Several projectors divide the groups among them; one without a group stands by until another is gone. It may be killed
at any time, since rows and checkpoint commit together. A fault stops only the group that meets it.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack, aclosing
from typing import Any

from prometheus_client import Gauge

from core.bootstrap import App, bootstrap, open_read_models
from core.fault_board import FaultBoard
from core.ports.reading import ReadModels
from core.projections import GROUPS
from core.projections.projection import Group
from core.services.project import Projector
from core.services.shares import ShareKeeper
from core.settings import Settings
from daemons.process.cache_metrics import show_cache
from daemons.process.owner import gone, our_name
from daemons.process.runtime import keep_up, run_reader
from daemons.process.vitals import STEADY, Vitals

READER = "projector"
STANDS_STILL = 5.0  # seconds without progress while an event waits

POSITION = Gauge("orderdeck_projector_position", "Position of the last event that the read models filled here have.")


class Follower:
    """Keeps one group up to date, and says why when it does not."""

    def __init__(self, app: App, group: Group[Any], read_models: ReadModels, faults: FaultBoard) -> None:
        self._app = app
        self._group = group
        self._read_models = read_models
        self._faults = faults
        self._part = f"the read models of {group.name}"  # its name on the FaultBoard
        self._projector = Projector(group, read_models)
        self._steady: asyncio.TimerHandle | None = None
        self._outage: str | None = None
        self._waits_since = -math.inf  # by the monotonic clock
        self._one_at_a_time = asyncio.Lock()
        self.holds = False

    @property
    def position(self) -> int:
        return self._projector.position

    async def follow(self, keeper: ShareKeeper, number: int, stop: asyncio.Event) -> None:
        """Fill the group whenever this process holds the share with this number, until `stop` is set."""
        lost = asyncio.Event()
        async with asyncio.TaskGroup() as filling, aclosing(keeper.changes(stop)) as changes:
            async for held in changes:
                if (number in held) == self.holds:
                    continue
                self.holds = number in held
                lost.set()
                if self.holds:
                    lost = asyncio.Event()
                    filling.create_task(self._keep_up(lost))
            lost.set()

    async def _keep_up(self, lost: asyncio.Event) -> None:
        async with self._one_at_a_time:  # when the group is soon taken again, until the last save has ended
            self._outage = None
            await keep_up(lambda: self._run(lost), lost, waits=self._waits, failed=self._failed)
            self._faults.clear(self._part)

    async def _run(self, stop: asyncio.Event) -> None:
        self._steady = asyncio.get_running_loop().call_later(STEADY, self._works)
        try:
            await self._projector.run(self._app.subscription(), stop)
        finally:
            self._steady.cancel()

    def _works(self) -> None:
        """Clear the outage and the fault, since the group has been followed for STEADY seconds without an error."""
        self._outage = None
        self._faults.clear(self._part)

    def _waits(self, reason: str) -> None:
        self._outage, self._waits_since = reason, time.monotonic()

    def _failed(self, error: Exception) -> None:
        self._faults.report(self._part, error)

    async def why_not_ready(self) -> str | None:
        """An outage or a standstill of this group, in words; its faults are on the board, which /ready reads too.

        A projector that does not hold the group stands by, which is what it is there for.
        """
        if not self.holds:
            return None
        waits = self._outage is not None and self._projector.saved_at < self._waits_since
        reason = self._outage if waits else await self._stands_still()
        return f"{self._group.name}: {reason}" if reason else None

    async def _stands_still(self) -> str | None:
        reader = await self._read_models.progress()
        since_save = time.monotonic() - self._projector.saved_at
        if reader is None or min(since_save, reader.behind) <= STANDS_STILL:
            return None
        where = f"position {reader.position} of {reader.head}"
        return f"stands still at {where}: the next event has been waiting for {reader.behind:.0f} s"


async def work(settings: Settings, vitals: Vitals) -> None:
    async with bootstrap(settings, name=vitals.name, faults=vitals.faults) as app, AsyncExitStack() as opened:
        keeper = ShareKeeper(app.shares, READER, our_name(), count=len(GROUPS), gone=gone)
        followers: list[Follower] = []
        for number, group in enumerate(GROUPS):
            read_models = await opened.enter_async_context(
                open_read_models(app, group, lambda number=number: number in keeper.held)
            )
            followers.append(Follower(app, group, read_models, vitals.faults))
        show_cache(settings, app.cache, vitals)
        POSITION.set_function(lambda: min((one.position for one in followers if one.holds), default=0))

        async def why_not_ready() -> str | None:
            reasons = [keeper.trouble, *[await follower.why_not_ready() for follower in followers]]
            return "; ".join(reason for reason in reasons if reason) or None

        await keeper.renew()  # before it says that it is ready, so that it does not yet wait for its share then
        vitals.started(why_not_ready)
        async with asyncio.TaskGroup() as following:
            following.create_task(keeper.keep(vitals.stop))
            for number, follower in enumerate(followers):
                following.create_task(follower.follow(keeper, number, vitals.stop))


def main() -> None:
    run_reader("projector", "projector_port", work)


if __name__ == "__main__":
    main()
