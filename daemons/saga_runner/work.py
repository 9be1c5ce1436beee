"""The work of the saga runner: drives the sagas of every order to their end, and deletes old idempotency keys.

Several runners divide the starting of sagas among them, and each advances whichever sagas are due. A runner may be
killed at any time: others claim its sagas when their leases run out; on the same machine, at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Gauge

from core.bootstrap import App, bootstrap, open_gateway
from core.errors import DatabaseFault, Unavailable
from core.pace import Pace, together
from core.ports.sagas import READER, SHARES, STARTS_ON
from core.sagas import SAGAS
from core.services.sagas.advance import World
from core.services.sagas.runner import SagaRunner
from core.services.sagas.starting import Starting
from core.services.sagas.stock import StockDesk
from core.services.shares import ShareKeeper
from core.settings import Settings
from daemons.process.backlog_meter import BacklogMeter
from daemons.process.owner import gone, our_name
from daemons.process.vitals import STEADY, Vitals
from daemons.process.work_again import cancel_after

LOOK_EVERY = 0.25  # seconds between looks for what is due, while sagas are under way
LONGEST_LOOK = 1.0  # seconds between looks while none have been for long
TAKE_OVER_EVERY = 2.0  # seconds between looks whether another runner of this machine has ended
RENEW_EVERY = 10.0  # seconds; a third of a lease
SWEEP_EVERY = 600.0  # seconds
COUNT_EVERY = 2.0  # seconds between two counts of what waits
DRAIN = 15.0  # seconds in which sagas under way may finish their step when the runner stops
FINISH_STARTING = 2.0  # seconds in which a batch of new sagas may still be started when the runner stops
TRY_AGAIN_EVERY = 5.0  # seconds between two tries, while a person has to mend something
STARTING = "starting sagas"
STANDS_STILL = 5.0  # seconds without progress while events wait

CLOCK_TOLERANCE = 60.0  # seconds for which the clock may be behind the last event

POSITION = Gauge("orderdeck_saga_runner_position", "Position up to which sagas were started, of the shares held here.")
HELD = Gauge("orderdeck_saga_runner_sagas", "Sagas that this runner works on now.")
SHARE_COUNT = Gauge("orderdeck_saga_runner_shares", f"Shares, of {SHARES}, of the orders whose sagas are started here.")

PROVIDER_AWAY = "the payment provider does not answer: sagas wait for it, and then go on by themselves"

log = structlog.get_logger(__name__)


class LogProgress:
    """How far this runner has started sagas, and since when it stands still although events wait."""

    def __init__(self, app: App, runner: SagaRunner, starting: Starting, keeper: ShareKeeper) -> None:
        self._app = app
        self._runner = runner
        self._starting = starting
        self._keeper = keeper
        self._last_position: int | None = None
        self._moved_at = time.monotonic()

    async def stands_still(self) -> str | None:
        head, now, position = await self._app.store.head(), time.monotonic(), self._starting.position
        if position is None or head <= position or position != self._last_position:
            self._last_position, self._moved_at = position, now
        if (ahead := await self._app.log_ahead_of_clock()) > CLOCK_TOLERANCE:
            return f"the database's clock is {ahead:.0f} s behind the last event of the log: set it right"
        if (waits := self._runner.waits_for_database()) > STANDS_STILL:
            return f"a saga has been waiting for the database for {waits:.0f} s"
        if self._keeper.trouble:
            return self._keeper.trouble
        still = now - self._moved_at
        return f"stands still at position {position} of {head} for {still:.0f} s" if still > STANDS_STILL else None


async def work(settings: Settings, vitals: Vitals) -> None:
    async with (
        bootstrap(settings, name=vitals.name, faults=vitals.faults) as app,
        open_gateway(settings) as gateway,
    ):
        desk = StockDesk(app.store, app.stock_turns)
        world = World(app.store, desk, gateway, app.clock, settings.within_scale)
        owner = our_name()
        runner = SagaRunner(world, app.sagas, SAGAS, owner, vitals.faults)
        keeper = ShareKeeper(app.shares, READER, owner, count=SHARES, gone=gone)
        starting = Starting(app.saga_starts, app.shares, keeper, STARTS_ON, runner.start)
        meter = BacklogMeter(app.sagas)
        log.info("takes over", sagas=await app.sagas.release([owner, *await _ended_runners(app)]))
        await keeper.renew()
        progress = LogProgress(app, runner, starting, keeper)
        POSITION.set_function(lambda: starting.position or 0)
        HELD.set_function(lambda: runner.held)
        SHARE_COUNT.set_function(lambda: len(keeper.held))
        pace = Pace(LOOK_EVERY, LONGEST_LOOK)

        def without_provider() -> str | None:
            return PROVIDER_AWAY if gateway.is_away() else None

        async def claim() -> None:
            if await runner.claim() or runner.held:
                pace.came()

        vitals.degraded += [without_provider, meter.degraded]
        vitals.started(progress.stands_still)
        try:
            async with asyncio.TaskGroup() as group:
                # With the database away, the reading of the log would not end by itself.
                group.create_task(cancel_after(vitals.stop, FINISH_STARTING, _follow(starting, vitals)))
                group.create_task(keeper.keep(vitals.stop))
                claiming = _every(pace.pause, "claiming sagas", claim, vitals, sooner=runner.has_room)
                group.create_task(claiming)
                group.create_task(_every(RENEW_EVERY, "renewing leases", runner.renew, vitals))
                taking_over = _every(TAKE_OVER_EVERY, "taking over", lambda: _take_over(app), vitals)
                group.create_task(taking_over)
                group.create_task(_every(SWEEP_EVERY, "forgetting idempotency keys", runner.sweep, vitals))
                group.create_task(_every(COUNT_EVERY, "counting what waits", meter.count, vitals))
        except BaseException:
            await runner.drain(0)  # without this its sagas would go on for ever, on a store that is closed
            raise
        finally:
            vitals.degraded.remove(meter.degraded)
            vitals.degraded.remove(without_provider)
        await runner.drain(DRAIN)
        with contextlib.suppress(Unavailable, DatabaseFault):  # leases that cannot be released run out by themselves
            await app.sagas.release([owner])


async def _take_over(app: App) -> None:
    """Make the sagas due whose runners have ended on this machine: their leases would last for up to 30 seconds."""
    if ended := await _ended_runners(app):
        log.info("takes over", owners=ended, sagas=await app.sagas.release(ended))


async def _ended_runners(app: App) -> list[str]:
    return [name for name in await app.sagas.owners() if gone(name)]


async def _follow(starting: Starting, vitals: Vitals) -> None:
    """Start a saga for each event of the log that one begins with.

    When an event cannot be read, or the database has a fault, the position stays there and the batch is tried again:
    passing it by would lose an order. Sagas that were started before go on meanwhile.
    """
    stop = vitals.stop
    while not stop.is_set():
        steady = asyncio.get_running_loop().call_later(STEADY, vitals.faults.clear, STARTING)
        try:
            await starting.run(stop)
        except Exception as error:  # noqa: BLE001 - the fault board puts any error into /ready and into the log
            vitals.faults.report(STARTING, error)
            await _pause(TRY_AGAIN_EVERY, stop)
        finally:
            steady.cancel()


async def _every(
    seconds: float | Callable[[], float],
    part: str,
    do: Callable[[], Awaitable[object]],
    vitals: Vitals,
    *,
    sooner: asyncio.Event | None = None,
) -> None:
    """Call `do` every so many seconds until the runner stops; an outage or a fault is logged once, not for each call.

    When `sooner` is set, the next call comes at once. After a fault at least TRY_AGAIN_EVERY seconds pass. If `seconds`
    is a function, it is asked after `do`, which may have found a reason to look again soon.
    """
    away = False
    while not vitals.stop.is_set():
        least, events = 0.0, [vitals.stop, sooner or vitals.stop]
        try:
            await do()
        except Unavailable as error:
            if not (away or error.logged):
                log.warning("waits for the database", part=part, reason=str(error))
                away = True
            events = [vitals.stop]
        except Exception as error:  # noqa: BLE001 - an error of one task must not end the others
            vitals.faults.report(part, error)
            least, events = TRY_AGAIN_EVERY, [vitals.stop]
        else:
            if away:
                log.info("no longer waits for the database", part=part)
            away = False
            vitals.faults.clear(part)
        await _pause(max(least, seconds() if callable(seconds) else together(seconds)), *events)


async def _pause(seconds: float, *events: asyncio.Event) -> None:
    """Wait so many seconds, or until one of the events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
