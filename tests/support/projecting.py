"""Projectors of a test's own: they fill the read models until everything that is in the log is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.ports.reading import ReadModels
from core.projections import GROUPS
from core.projections.projection import Group
from core.services.project import RECENT, Projector
from tests.support.opener import Opener


async def project(
    opener: Opener, *, groups: Sequence[Group[Any]] = GROUPS, limit: int = 2_000, recent: int = RECENT
) -> None:
    """Fill all the groups, each with what the log has now."""
    for group in groups:
        read_models = PostgresReadModels(opener, group)
        try:
            await project_group(opener, group, read_models, limit=limit, recent=recent)
        finally:
            read_models.close()


async def project_group(
    opener: Opener, group: Group[Any], read_models: ReadModels, *, limit: int = 2_000, recent: int = RECENT
) -> None:
    """Fill one group. Raises what its projector raises."""
    connection = await opener()
    head = await connection.fetchval("SELECT coalesce(max(position), 0) FROM events")
    await connection.close()
    stop = asyncio.Event()
    projector = Projector(group, read_models, recent=recent)
    running = asyncio.create_task(projector.run(PostgresSubscription(opener), stop, limit=limit))
    try:
        async with asyncio.timeout(60):
            while projector.position < head and not running.done():
                await asyncio.wait([running], timeout=0.005)
    finally:
        stop.set()
        await running
