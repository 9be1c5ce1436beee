"""saga-runner: drives every order's sagas to their end, and forgets idempotency keys that are too old.

Safe to kill at any time: what it had begun is claimed again when its leases run out, on this machine at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog
from prometheus_client import Gauge

from core.bootstrap import App, bootstrap, open_gateway
from core.errors import Unavailable
from core.sagas import SAGAS
from core.services.sagas.advance import World
from core.services.sagas.runner import READER, SagaRunner
from core.services.sagas.stock import StockDesk
from core.settings import Settings
from daemons.process.owner import gone, our_name
from daemons.process.runtime import run_reader
from daemons.process.vitals import Vitals

BATCH = 2_000
LOOK_EVERY = 0.25  # seconds between looks for what is due
RENEW_EVERY = 10.0  # seconds; a third of a lease
SWEEP_EVERY = 600.0  # seconds
DRAIN = 15.0  # seconds
FINISH_STARTING = 2.0  # seconds to finish a batch of starts, once asked to stop
TRY_AGAIN_EVERY = 5.0  # seconds between tries to start what cannot be read
STANDS_STILL = 5.0  # seconds without progress while events wait

POSITION = Gauge("orderdeck_saga_runner_position", "Position up to which sagas were started.")

log = structlog.get_logger(__name__)


class LogProgress:
    """What this runner has read, to tell standing still from having nothing to do."""

    def __init__(self, app: App, position: int) -> None:
        self._app = app
        self.position = position
        self._seen = position
        self._seen_at = time.monotonic()

    async def stands_still(self) -> str | None:
        head, now = await self._app.store.head(), time.monotonic()
        if head <= self.position or self.position != self._seen:
            self._seen, self._seen_at = self.position, now
        still = now - self._seen_at
        return f"stands still at position {self.position} of {head} for {still:.0f} s" if still > STANDS_STILL else None


async def work(settings: Settings, vitals: Vitals) -> None:
    async with bootstrap(settings, name=vitals.name) as app, open_gateway(settings) as gateway:
        world = World(app.store, StockDesk(app.store), gateway, app.clock, settings.within_scale)
        owner = our_name()
        runner = SagaRunner(world, app.sagas, SAGAS, owner)
        ended = [name for name in await app.sagas.owners() if name == owner or gone(name)]
        log.info("takes over", owners=ended, sagas=await app.sagas.release(ended))
        progress = LogProgress(app, await app.sagas.reached(READER))
        POSITION.set_function(lambda: progress.position)
        vitals.started(progress.stands_still)
        try:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(_follow(app, runner, progress, vitals.stop))
                group.create_task(_end(following, vitals.stop))
                group.create_task(_every(LOOK_EVERY, runner.claim, vitals.stop))
                group.create_task(_every(RENEW_EVERY, runner.renew, vitals.stop))
                group.create_task(_every(SWEEP_EVERY, runner.sweep, vitals.stop))
        except BaseException:
            await runner.drain(0)  # else what it holds would go on for ever, on a store that is closed
            raise
        await runner.drain(DRAIN)
        with contextlib.suppress(Unavailable):  # then they run out by themselves
            await app.sagas.release([owner])


async def _follow(app: App, runner: SagaRunner, progress: LogProgress, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with aclosing(app.subscription().batches(stop, after=progress.position, limit=BATCH)) as batches:
                async for batch in batches:
                    await runner.start(batch)
                    progress.position = batch[-1].position
        except Exception:  # an event that cannot be read: stand still there rather than lose an order; the rest goes on
            log.exception("sagas cannot be started", after=progress.position)
            await _pause(TRY_AGAIN_EVERY, stop)


async def _end(following: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Nor does a database that is away keep us from stopping."""
    await stop.wait()
    await asyncio.wait([following], timeout=FINISH_STARTING)
    following.cancel()


async def _every(seconds: float, do: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await do()
        except Unavailable as error:
            log.warning("waits for the database", reason=str(error))
        await _pause(seconds, stop)


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def main() -> None:
    run_reader("saga-runner", "saga_runner_port", work)


if __name__ == "__main__":
    main()
