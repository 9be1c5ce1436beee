"""A projector of a test's own."""

from __future__ import annotations

import asyncio

from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.services.project import Projector
from tests.support.opener import Opener


async def project(opener: Opener) -> None:
    """Run a projector until it has saved everything that is in the log now."""
    stop = asyncio.Event()
    read_models = PostgresReadModels(opener)
    projector = Projector(read_models)
    connection = await opener()
    head = await connection.fetchval("SELECT coalesce(max(position), 0) FROM events")
    await connection.close()
    running = asyncio.create_task(projector.run(PostgresSubscription(opener), stop))
    async with asyncio.timeout(20):
        while projector.position < head and not running.done():
            await asyncio.wait([running], timeout=0.005)
    stop.set()
    await running
    read_models.close()
