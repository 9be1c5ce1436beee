"""Builds one generation of read models, in a process of its own that a projector has begun."""

from __future__ import annotations

import asyncio
import os
import signal

import structlog
import uvloop

from core.bootstrap import bootstrap
from core.bootstrap_generations import compare_with_log, open_generation_to_fill, open_generations, switching
from core.errors import OrderdeckError
from core.ports.generations import GenerationGone
from core.projections import GROUPS
from core.services.build_generation import GenerationBuild
from core.settings import Settings
from daemons.process.logs import configure_logs
from daemons.process.vitals import SELDOM, settle_down

NAME = "builder"
LESS_URGENT = 5  # added to its niceness, so that whoever serves orders comes first

log = structlog.get_logger(__name__)


async def build(settings: Settings, id_: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with bootstrap(settings, name=NAME) as app, open_generations(app) as generations:
        generation = await generations.read(id_)
        group = next((one for one in GROUPS if generation is not None and one.reader == generation.reader), None)
        if generation is None or group is None:
            return
        opening, telling = open_generation_to_fill(app, group, id_), switching(app, group, generations)
        async with opening as read_models, telling as switched:
            building = GenerationBuild(
                generation,
                group,
                read_models,
                switched,
                app.subscription,
                lambda seen: compare_with_log(app, group, seen),
            )
            working = asyncio.create_task(building.run(stop))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            await working


def build_generation(settings: Settings, id_: int) -> None:
    """Work on one generation until there is nothing more to do, or until this process is told to end.

    The settings are the daemon's: one that root has started may not be allowed to read them again.
    """
    os.nice(LESS_URGENT)
    settle_down(SELDOM)
    configure_logs(NAME, settings.log_level)
    structlog.contextvars.bind_contextvars(generation=id_)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(build(settings, id_))
    except (GenerationGone, asyncio.CancelledError) as error:
        log.info("stops", reason=str(error) or "it was told to")
    except OrderdeckError as error:
        log.warning("ends, and is started again", reason=str(error))
