"""projector: keeps the read models up to date.

Safe to kill at any time: rows and checkpoint commit together.
"""

from __future__ import annotations

import time

from prometheus_client import Gauge

from core.adapters.postgres.connection import Link
from core.adapters.postgres.queries.progress import progress
from core.bootstrap import bootstrap, open_read_models
from core.services.project import READER, Projector
from core.settings import Settings
from daemons.process.runtime import run_reader
from daemons.process.vitals import Vitals

STANDS_STILL = 5.0  # seconds without progress while an event waits

POSITION = Gauge("orderdeck_projector_position", "Position of the last event in the read models.")


async def work(settings: Settings, vitals: Vitals) -> None:
    async with bootstrap(settings, name=vitals.name, faults=vitals.faults) as app, open_read_models(app) as read_models:
        link = Link(app.open_connection)
        projector = Projector(read_models)
        POSITION.set_function(lambda: projector.position)

        async def stands_still() -> str | None:
            for reader in await link.run(progress):
                still = time.monotonic() - projector.saved_at
                if reader.reader == READER and min(still, reader.behind) > STANDS_STILL:
                    where = f"position {reader.position} of {reader.head}"
                    return f"stands still at {where}: the next event has been waiting for {reader.behind:.0f} s"
            return None

        try:
            vitals.started(stands_still)
            await projector.run(app.subscription(), vitals.stop)
        finally:
            link.close()


def main() -> None:
    run_reader("projector", "projector_port", work)


if __name__ == "__main__":
    main()
