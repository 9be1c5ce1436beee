"""The work of the projector: from Kafka if the settings name one, and from the log otherwise."""

from __future__ import annotations

import asyncio
from functools import partial

from core.bootstrap import bootstrap
from core.bootstrap_generations import open_generations
from core.settings import Settings
from daemons.process.cache_metrics import show_cache
from daemons.process.forks import Forks
from daemons.process.vitals import Vitals
from daemons.projector.build import build_generation
from daemons.projector.building import Building
from daemons.projector.from_kafka import follow_kafka
from daemons.projector.from_log import follow_log


class ProjectorProgram:
    """`forks` are its processes that build generations."""

    def __init__(self) -> None:
        self._forks: Forks | None = None

    def begin(self, settings: Settings) -> None:
        self._forks = Forks(partial(build_generation, settings))

    async def work(self, settings: Settings, vitals: Vitals) -> None:
        assert self._forks is not None  # noqa: S101 - `begin` comes first
        follow = follow_kafka if settings.kafka_brokers else follow_log
        async with (
            bootstrap(settings, name=vitals.name, faults=vitals.faults) as app,
            open_generations(app) as generations,
            asyncio.TaskGroup() as tasks,
        ):
            show_cache(settings, app.cache, vitals)
            tasks.create_task(follow(app, vitals))
            tasks.create_task(Building(app, generations, self._forks, vitals).keep())
