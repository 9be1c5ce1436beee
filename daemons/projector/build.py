"""Builds one generation of read models, in a process of its own that a projector has begun."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
import uvloop

from core.bootstrap import App, bootstrap
from core.bootstrap_generations import (
    compare_with_log,
    log_of_share,
    open_generation_to_fill,
    open_generations,
    switching,
)
from core.errors import EventNotApplied, LogShorter, OrderdeckError
from core.ports.generations import Generation, GenerationGone, Generations
from core.ports.reading import RowShare
from core.projections import GROUPS, ORDERS
from core.projections.projection import Group
from core.services.build_generation import SHARES, GenerationBuild, give_up
from core.services.fill_share import fill_share
from core.settings import Settings
from daemons.process.forks import Forks
from daemons.process.logs import configure_logs
from daemons.process.vitals import SELDOM, settle_down

NAME = "builder"
PAUSE = 2.0  # seconds between the begins of two processes that fill the same share
LESS_URGENT = 5  # added to its niceness, so that whoever serves orders comes first

log = structlog.get_logger(__name__)


class OpenedGeneration:
    """A generation that is built, with its group."""

    def __init__(self, app: App, generations: Generations, generation: Generation, group: Group[Any]) -> None:
        self.app = app
        self.generations = generations
        self.generation = generation
        self.group = group
        self.shares = SHARES if group is ORDERS else 1  # the stock has few rows

    async def fill(self, share: RowShare, upto: int, stop: asyncio.Event) -> None:
        events, rate = log_of_share(self.app, share), self.generation.max_rate
        async with open_generation_to_fill(self.app, self.group, self.generation.id, share) as read_models:
            await fill_share(self.group, read_models, events, share, upto, stop, rate)


@asynccontextmanager
async def opened(settings: Settings, id_: int) -> AsyncGenerator[OpenedGeneration | None]:
    """The generation; None if this release has no group for it."""
    async with bootstrap(settings, name=NAME) as app, open_generations(app) as generations:
        generation = await generations.read(id_)
        group = next((one for one in GROUPS if generation is not None and one.reader == generation.reader), None)
        yield None if generation is None or group is None else OpenedGeneration(app, generations, generation, group)


async def build(settings: Settings, id_: int, others: Forks, stop: asyncio.Event) -> None:
    async with opened(settings, id_) as at:
        if at is None:
            return
        opening, telling = (
            open_generation_to_fill(at.app, at.group, id_),
            switching(at.app, at.group, at.generations),
        )
        async with opening as read_models, telling as switched:
            building = GenerationBuild(
                at.generation,
                at.group,
                read_models,
                switched,
                at.app.subscription,
                lambda seen: compare_with_log(at.app, at.group, seen),
                partial(fill_shares, at, others),
                shares=at.shares,
            )
            await building.run(stop)


async def fill_shares(at: OpenedGeneration, others: Forks, upto: int, stop: asyncio.Event) -> None:
    """Fill the first share here, and each other one in a process of its own."""
    over = asyncio.Event()
    hearing = asyncio.create_task(others.keep(over))
    filling = [asyncio.create_task(have_filled(at, others, upto, number)) for number in range(1, at.shares)]
    try:
        await asyncio.gather(at.fill(RowShare(0, at.shares), upto, stop), *filling)
    finally:
        over.set()
        for task in filling:
            task.cancel()
        await asyncio.gather(hearing, *filling, return_exceptions=True)


async def have_filled(at: OpenedGeneration, others: Forks, upto: int, share: int) -> None:
    """Begin a process that fills a share, and the next one at once if it was killed before it was done."""
    id_, told = at.generation.id, False
    while True:
        began = time.monotonic()
        await others.begin(upto * SHARES + share).wait()
        if not await at.generations.share_lacks_events(id_, share, upto):
            return
        if not told:  # once: it may end at once for as long as the database is away
            log.warning(
                "a process that fills a share has ended too early, and another goes on", generation=id_, share=share
            )
        told = True
        await asyncio.sleep(began + PAUSE - time.monotonic())


async def fill_other_share(settings: Settings, id_: int, upto: int, share: int, stop: asyncio.Event) -> None:
    async with opened(settings, id_) as at:
        if at is None:
            return
        try:
            await at.fill(RowShare(share, SHARES), upto, stop)
        except (EventNotApplied, LogShorter) as error:
            await give_up(at.generations, at.generation, str(error))


def build_generation(settings: Settings, id_: int) -> None:
    """Work on one generation until there is nothing more to do, or until this process is told to end.

    The settings are the daemon's: one that root has started may not be allowed to read them again.
    """
    os.nice(LESS_URGENT)
    settle_down(SELDOM)
    configure_logs(NAME, settings.log_level)
    structlog.contextvars.bind_contextvars(generation=id_)
    others = Forks(lambda number: _run(partial(fill_other_share, settings, id_, *divmod(number, SHARES))))
    _run(partial(build, settings, id_, others))


def _run(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(work))
    except (GenerationGone, asyncio.CancelledError) as error:
        log.info("stops", reason=str(error) or "it was told to")
    except OrderdeckError as error:
        log.warning("ends, and is started again", reason=str(error))


async def _until_told(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    working, stopping = asyncio.create_task(work(stop)), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    working.cancel()
    await working
