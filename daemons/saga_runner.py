"""saga-runner: drives the sagas of every order to their end, and deletes idempotency keys that are too old.

It may be killed at any time: the next runner claims its sagas when their leases run out; on the same machine, at once.
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
from core.errors import DatabaseFault, LogShorter, Unavailable
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
DRAIN = 15.0  # seconds in which sagas under way may finish their step when the runner stops
FINISH_STARTING = 2.0  # seconds in which a batch of new sagas may still be started when the runner stops
TRY_AGAIN_EVERY = 5.0  # seconds between two tries, while a person has to mend something
STARTING = "starting sagas"
STANDS_STILL = 5.0  # seconds without progress while events wait

CLOCK_TOLERANCE = 60.0  # seconds for which the clock may be behind the last event

POSITION = Gauge("orderdeck_saga_runner_position", "Position up to which sagas were started.")

log = structlog.get_logger(__name__)


class LogProgress:
    """How far this runner has read the log, and since when it stands still although events wait."""

    def __init__(self, app: App, runner: SagaRunner, position: int) -> None:
        self._app = app
        self._runner = runner
        self.position = position
        self._last_position = position
        self._moved_at = time.monotonic()

    async def stands_still(self) -> str | None:
        head, now = await self._app.store.head(), time.monotonic()
        if head <= self.position or self.position != self._last_position:
            self._last_position, self._moved_at = self.position, now
        if (ahead := await self._app.log_ahead_of_clock()) > CLOCK_TOLERANCE:
            return f"the database's clock is {ahead:.0f} s behind the last event of the log: set it right"
        if (waits := self._runner.waits_for_database()) > STANDS_STILL:
            return f"a saga has been waiting for the database for {waits:.0f} s"
        still = now - self._moved_at
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
            await runner.drain(0)  # without this its sagas would go on for ever, on a store that is closed
            raise
        await runner.drain(DRAIN)
        with contextlib.suppress(Unavailable, DatabaseFault):  # leases that cannot be released run out by themselves
            await app.sagas.release([owner])


async def _follow(app: App, runner: SagaRunner, progress: LogProgress, vitals: Vitals) -> None:
    """Read the log and start a saga for each event that one begins with.

    When an event cannot be read, or the database has a fault, the position stays there and the batch is tried again:
    passing it by would lose an order. Sagas that were started before go on meanwhile.
    """
    stop = vitals.stop
    while not stop.is_set():
        steady = asyncio.get_running_loop().call_later(STEADY, vitals.faults.clear, STARTING)
        try:
            async with aclosing(app.subscription().batches(stop, after=progress.position, limit=BATCH)) as batches:
                async for batch in batches:
                    await runner.start(batch)
                    progress.position = batch[-1].position
        except Exception as error:  # noqa: BLE001 - the fault board puts any error into /ready and into the log
            steady.cancel()
            vitals.faults.report(STARTING, error)
            if isinstance(error, LogShorter):
                with contextlib.suppress(Unavailable, DatabaseFault):  # then the same error comes again
                    progress.position = await app.sagas.reached(READER)
            await _pause(TRY_AGAIN_EVERY, stop)


async def _end(following: asyncio.Task[None], stop: asyncio.Event) -> None:
    """When the runner has to stop, cancel the reading of the log: with the database away it would not end by itself."""
    await stop.wait()
    await asyncio.wait([following], timeout=FINISH_STARTING)
    following.cancel()


async def _every(seconds: float, part: str, do: Callable[[], Awaitable[object]], vitals: Vitals) -> None:
    """Call `do` every so many seconds until the runner stops; an outage or a fault is logged once, not for each call.

    After a fault at least TRY_AGAIN_EVERY seconds pass until the next call.
    """
    away = False
    while not vitals.stop.is_set():
        pause = seconds
        try:
            await do()
        except Unavailable as error:
            if not away:
                log.warning("waits for the database", part=part, reason=str(error))
            away = True
        except Exception as error:  # noqa: BLE001 - an error of one task must not end the others
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
