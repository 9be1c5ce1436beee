"""The two ways of filling read models, as one kind of thing: from the log, and from topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg

from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.codec import StoredEvent
from core.errors import CheckpointMoved, EventNotApplied, LogShorter, Unavailable
from core.projections import ORDERS
from core.services.project import Projector
from tests.support.memory_topics import MemoryTopics
from tests.support.opener import Opener
from tests.support.orders import contents, write
from tests.support.projecting import project
from tests.support.sharing import Sharer, relayed, running


class Feed(Protocol):
    """`deliver` records events and brings them to whoever follows; `filling` follows, in so many processes."""

    name: str
    errors: list[Exception]

    async def deliver(self, events: Sequence[StoredEvent]) -> None: ...
    def filling(self, processes: int = 1) -> Any: ...


@dataclass
class LogFeed:
    opener: Opener
    dsn: str
    name: str = "log"
    errors: list[Exception] = field(default_factory=list[Exception])

    async def deliver(self, events: Sequence[StoredEvent]) -> None:
        await write(self.dsn, events)

    @asynccontextmanager
    async def filling(self, processes: int = 1) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(self._follow(stop)) for _ in range(processes)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def _follow(self, stop: asyncio.Event) -> None:
        models = PostgresReadModels(self.opener, ORDERS)
        projector = Projector(ORDERS, models)
        while not stop.is_set():
            try:
                await projector.run(PostgresSubscription(self.opener), stop, limit=70)
            except (CheckpointMoved, EventNotApplied, LogShorter, Unavailable) as error:
                self.errors.append(error)
                await asyncio.sleep(0.05)
        models.close()


@dataclass
class TopicFeed:
    opener: Opener
    dsn: str
    topics: MemoryTopics = field(default_factory=MemoryTopics)
    name: str = "topics"
    errors: list[Exception] = field(default_factory=list[Exception])
    recorded: int = 0

    async def deliver(self, events: Sequence[StoredEvent]) -> None:
        await write(self.dsn, events)
        self.topics.copy(events)
        self.recorded += len(events)
        await relayed(self.dsn, events[-1].position)

    @asynccontextmanager
    async def filling(self, processes: int = 1) -> AsyncIterator[None]:
        sharers = [Sharer(self.opener, self.topics.client(), f"process {n}") for n in range(processes)]
        for sharer in sharers:
            sharer.errors = self.errors
        async with running(*sharers):
            yield


async def tamper(dsn: str, *statements: str) -> None:
    """Change the database as its owner."""
    connection = await asyncpg.connect(dsn)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def as_if_undisturbed(opener: Opener, dsn: str) -> dict[str, Any]:
    """Assert that the tables are as one undisturbed fold of the log makes them."""
    found = await contents(dsn)
    await tamper(dsn, "UPDATE checkpoints SET position = 0 WHERE reader LIKE 'projector.%'")
    await project(opener, groups=[ORDERS])
    assert found == await contents(dsn)
    return found
