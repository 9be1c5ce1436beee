"""Projectors of a test's own that divide a group into shares, and fill it from topics in memory and from the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from core.adapters.postgres.connection import Link
from core.adapters.postgres.read_models.shared_store import PostgresSharedReadModels
from core.adapters.postgres.shares import PostgresShares
from core.adapters.postgres.subscription import PostgresSubscription
from core.errors import EventNotApplied, ShareLost, Unavailable
from core.ports.deliveries import Topics
from core.projections import ORDERS
from core.projections.projection import Group
from core.services.project_shares import ShareProjector
from core.services.shares import ShareKeeper
from tests.support.opener import Opener


class Sharer:
    """One process that fills shares of a group until it is stopped. `errors`: what it met, and went on after."""

    def __init__(
        self, opener: Opener, topics: Topics, name: str, *, count: int = 4, group: Group[Any] = ORDERS
    ) -> None:
        self.name = name
        self.models = PostgresSharedReadModels(opener, group)
        self.projector = ShareProjector(
            group, self.models, topics, lambda: PostgresSubscription(opener), count=count, stuck=self._note
        )
        self._link = Link(opener)
        self.keeper = ShareKeeper(PostgresShares(self._link), group.reader, name, count=count)
        self.errors: list[Exception] = []
        self.stop = asyncio.Event()

    def _note(self, error: Exception) -> None:
        self.errors.append(error)

    async def run(self) -> None:
        keeping = None
        try:
            await self.models.open()
            keeping = asyncio.create_task(self.keeper.keep(self.stop))
            while not self.stop.is_set():
                if held := self.keeper.held:
                    await self._fill(dict(held))
                await asyncio.sleep(0.01)
        finally:
            self.stop.set()
            if keeping is not None:
                await keeping
            self.models.close()
            self._link.close()

    async def _fill(self, held: dict[int, int]) -> None:
        lost = asyncio.Event()

        async def watch() -> None:
            while not self.stop.is_set() and dict(self.keeper.held) == held:
                await asyncio.sleep(0.01)
            lost.set()

        watching = asyncio.create_task(watch())
        try:
            await self.projector.run(held, lost)
        except (EventNotApplied, ShareLost, Unavailable) as error:
            self.errors.append(error)
            await asyncio.sleep(0.05)
        finally:
            watching.cancel()


@asynccontextmanager
async def running(*sharers: Sharer) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(sharer.run()) for sharer in sharers]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for sharer in sharers:
            sharer.stop.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for error in done:
            if isinstance(error, Exception):
                raise error


async def relayed(dsn: str, position: int) -> None:
    """Note that the relay has copied the log up to a position."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO checkpoints (reader, position) VALUES ('relay', $1) "
        "ON CONFLICT (reader) DO UPDATE SET position = $1",
        position,
    )
    await connection.close()


async def reached(dsn: str, position: int, reader: str = ORDERS.reader, within: float = 20.0) -> None:
    """Wait until a group has every event up to a position."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(within):
            while await connection.fetchval("SELECT position FROM checkpoints WHERE reader = $1", reader) != position:
                await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def shares(dsn: str, reader: str = ORDERS.reader) -> Sequence[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch("SELECT * FROM reader_shares WHERE reader = $1 ORDER BY share", reader)
    finally:
        await connection.close()
