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
from core.errors import DatabaseFault, Unavailable
from core.sagas import SAGAS
from core.services.sagas.advance import World
from core.services.sagas.runner import READER, SagaRunner
from core.services.sagas.stock import StockDesk
from core.settings import Settings
from daemons.process.owner import gone, our_name
from daemons.process.runtime import run_reader
from daemons.process.vitals import STEADY, Vitals

BATCH = 2_000
LOOK_EVERY = 0.25  # seconds between looks for what is due
RENEW_EVERY = 10.0  # seconds; a third of a lease
SWEEP_EVERY = 600.0  # seconds
DRAIN = 15.0  # seconds
FINISH_STARTING = 2.0  # seconds to finish a batch of starts, once asked to stop
TRY_AGAIN_EVERY = 5.0  # seconds between tries while something is wrong that a person has to mend
STARTING = "starting sagas"
STANDS_STILL = 5.0  # seconds without progress while events wait

POSITION = Gauge("orderdeck_saga_runner_position", "Position up to which sagas were started.")

log = structlog.get_logger(__name__)


class LogProgress:
    """What this runner has read, to tell standing still from having nothing to do."""

    def __init__(self, app: App, runner: SagaRunner, position: int) -> None:
        self._app = app
        self._runner = runner
        self.position = position
        self._seen = position
        self._seen_at = time.monotonic()

    async def stands_still(self) -> str | None:
        head, now = await self._app.store.head(), time.monotonic()
        if head <= self.position or self.position != self._seen:
            self._seen, self._seen_at = self.position, now
        if (waits := self._runner.waits_for_database()) > STANDS_STILL:
            return f"a saga has been waiting for the database for {waits:.0f} s"
        still = now - self._seen_at
        return f"stands still at position {self.position} of {head} for {still:.0f} s" if still > STANDS_STILL else None


async def work(settings: Settings, vitals: Vitals) -> None:
    async with bootstrap(settings, name=vitals.name, faults=vitals.faults) as app, open_gateway(settings) as gateway:
        world = World(app.store, StockDesk(app.store), gateway, app.clock, settings.within_scale)
        owner = our_name()
        runner = SagaRunner(world, app.sagas, SAGAS, owner, vitals.faults)
        ended = [name for name in await app.sagas.owners() if name == owner or gone(name)]
        log.info("takes over", owners=ended, sagas=await app.sagas.release(ended))
        progress = LogProgress(app, runner, await app.sagas.reached(READER))
        POSITION.set_function(lambda: progress.position)
        vitals.started(progress.stands_still)
        try:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(_follow(app, runner, progress, vitals))
                group.create_task(_end(following, vitals.stop))
                group.create_task(_every(LOOK_EVERY, "claiming sagas", runner.claim, vitals))
                group.create_task(_every(RENEW_EVERY, "renewing leases", runner.renew, vitals))
                group.create_task(_every(SWEEP_EVERY, "forgetting idempotency keys", runner.sweep, vitals))
        except BaseException:
            await runner.drain(0)  # else what it holds would go on for ever, on a store that is closed
            raise
        await runner.drain(DRAIN)
        with contextlib.suppress(Unavailable, DatabaseFault):  # then they run out by themselves
            await app.sagas.release([owner])


async def _follow(app: App, runner: SagaRunner, progress: LogProgress, vitals: Vitals) -> None:
    """Start sagas as the log asks for them.

    An event that cannot be read, or a fault of the database: stand still there rather than lose an order, and try
    again, while what is under way goes on.
    """
    stop = vitals.stop
    while not stop.is_set():
        steady = asyncio.get_running_loop().call_later(STEADY, vitals.faults.clear, STARTING)
        try:
            async with aclosing(app.subscription().batches(stop, after=progress.position, limit=BATCH)) as batches:
                async for batch in batches:
                    await runner.start(batch)
                    progress.position = batch[-1].position
        except Exception as error:  # noqa: BLE001 - it is said in /ready and logged once
            steady.cancel()
            vitals.faults.report(STARTING, error)
            await _pause(TRY_AGAIN_EVERY, stop)


async def _end(following: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Once the runner has to stop, end what a database that is away would keep going."""
    await stop.wait()
    await asyncio.wait([following], timeout=FINISH_STARTING)
    following.cancel()


async def _every(seconds: float, part: str, do: Callable[[], Awaitable[object]], vitals: Vitals) -> None:
    """Do it again and again: an outage is waited for, a fault tried again at a slow pace; each is logged once."""
    away = False
    while not vitals.stop.is_set():
        pause = seconds
        try:
            await do()
        except Unavailable as error:
            if not away:
                log.warning("waits for the database", part=part, reason=str(error))
            away = True
        except Exception as error:  # noqa: BLE001 - what is under way goes on
            vitals.faults.report(part, error)
            pause = max(seconds, TRY_AGAIN_EVERY)
        else:
            if away:
                log.info("no longer waits for the database", part=part)
            away = False
            vitals.faults.clear(part)
        await _pause(pause, vitals.stop)


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def main() -> None:
    run_reader("saga-runner", "saga_runner_port", work)


if __name__ == "__main__":
    main()
