"""projector: keeps the read models up to date, each group by itself.

Safe to kill at any time: rows and checkpoint commit together. A group that meets a fault stands still, others go on.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack
from typing import Any

from prometheus_client import Gauge

from core.bootstrap import App, bootstrap, open_read_models
from core.ports.reading import ReadModels
from core.projections import GROUPS
from core.projections.projection import Group
from core.services.project import Projector
from core.settings import Settings
from daemons.process.runtime import keep_up, run_reader
from daemons.process.vitals import Vitals

STANDS_STILL = 5.0  # seconds without progress while an event waits
GOES_ON = 1.0  # seconds without an error, after which the last one is over

POSITION = Gauge("orderdeck_projector_position", "Position of the last event that all read models have.")


class Follower:
    """Keeps one group up to date, and says why when it does not."""

    def __init__(self, app: App, group: Group[Any], read_models: ReadModels) -> None:
        self._app = app
        self._group = group
        self._read_models = read_models
        self._projector = Projector(group, read_models)
        self._began = self._failed = -math.inf  # by the monotonic clock
        self._error: str | None = None

    @property
    def position(self) -> int:
        return self._projector.position

    async def follow(self, stop: asyncio.Event) -> None:
        async def run() -> None:
            self._began = time.monotonic()
            await self._projector.run(self._app.subscription(), stop)

        await keep_up(run, stop, self._waits, group=self._group.name)

    async def why_not_ready(self) -> str | None:
        reason = self._error if self._fails() else await self._stands_still()
        return f"{self._group.name}: {reason}" if reason else None

    def _waits(self, reason: str) -> None:
        self._error, self._failed = reason, time.monotonic()

    def _fails(self) -> bool:
        """From an error until something is saved again, or nothing went wrong for a while."""
        saved = self._projector.saved_at > self._failed
        goes_on = self._began > self._failed and time.monotonic() - self._began > GOES_ON
        return self._error is not None and not saved and not goes_on

    async def _stands_still(self) -> str | None:
        reader = await self._read_models.progress()
        still = time.monotonic() - self._projector.saved_at
        if reader is None or min(still, reader.behind) <= STANDS_STILL:
            return None
        where = f"position {reader.position} of {reader.head}"
        return f"stands still at {where}: the next event has been waiting for {reader.behind:.0f} s"


async def work(settings: Settings, vitals: Vitals) -> None:
    async with bootstrap(settings, name=vitals.name) as app, AsyncExitStack() as opened:
        followers = [
            Follower(app, group, await opened.enter_async_context(open_read_models(app, group))) for group in GROUPS
        ]
        POSITION.set_function(lambda: min(follower.position for follower in followers))

        async def why_not_ready() -> str | None:
            reasons = [await follower.why_not_ready() for follower in followers]
            return "; ".join(reason for reason in reasons if reason) or None

        vitals.started(why_not_ready)
        async with asyncio.TaskGroup() as following:
            for follower in followers:
                following.create_task(follower.follow(vitals.stop))


def main() -> None:
    run_reader("projector", "projector_port", work)


if __name__ == "__main__":
    main()
