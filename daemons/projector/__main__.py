"""Run projector: from Kafka if the settings name one, and from the log otherwise."""

from __future__ import annotations

from core.bootstrap import bootstrap
from core.settings import Settings
from daemons.process.cache_metrics import show_cache
from daemons.process.runtime import run_reader
from daemons.process.vitals import Vitals
from daemons.projector.from_kafka import follow_kafka
from daemons.projector.from_log import follow_log


async def work(settings: Settings, vitals: Vitals) -> None:
    follow = follow_kafka if settings.kafka_brokers else follow_log
    async with bootstrap(settings, name=vitals.name, faults=vitals.faults) as app:
        show_cache(settings, app.cache, vitals)
        await follow(app, vitals)


def main() -> None:
    run_reader("projector", "projector_port", work)


if __name__ == "__main__":
    main()
