"""Opens the cache: one connection for a daemon, and the read models or the queries that use it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import cast

from core.adapters.redis.generations import CachedGenerations
from core.adapters.redis.link import RedisLink
from core.adapters.redis.queries import CachedQueries
from core.adapters.redis.read_models import CachedReadModels
from core.adapters.redis.shared_read_models import CachedSharedReadModels
from core.adapters.redis.writer import OrderWriter
from core.errors import ConfigurationError
from core.ports.generations import Generations
from core.ports.order_cache import CacheReport
from core.ports.queries import Queries
from core.ports.reading import ReadModels
from core.ports.shared_models import SharedReadModels
from core.projections.order_view import ORDER_VIEW
from core.redis_address import read_redis_address

READ_LIMIT = 0.05  # seconds that a reader waits for Redis
MARK_LIMIT = 0.1  # seconds that a projector waits for Redis


@dataclass(frozen=True)
class OrderCache:
    """The cache of a daemon: where its Redis is, which database's orders it has, and for how long.

    Only the projectors of that database, `database`, and of this revision of the read model, vouch for them.
    """

    url: str = field(repr=False)
    database: str
    seconds: float
    daemon: str
    report: CacheReport

    @property
    def board(self) -> str:
        """The key on which the projectors give their promises."""
        return f"orderdeck:{self.database}:{ORDER_VIEW.name}:{ORDER_VIEW.revision}"

    def link(self, *, limit: float) -> RedisLink:
        address = read_redis_address(self.url)
        for name, path in address.files.items():
            if not os.access(path, os.R_OK):
                raise ConfigurationError(f"the file {path} cannot be read: correct {name} in REDIS_URL")
        return RedisLink(address, limit=limit, name=f"orderdeck-{self.daemon}", report=self.report)


@contextlib.asynccontextmanager
async def cached_queries(queries: Queries, cache: OrderCache) -> AsyncGenerator[Queries]:
    """Queries that read an order from Redis when they can."""
    link = cache.link(limit=READ_LIMIT)
    keeping = asyncio.create_task(link.keep())
    cached = CachedQueries(queries, link, board=cache.board, seconds=cache.seconds, report=cache.report)
    try:
        yield cast("Queries", cached)  # it passes on the methods that it does not have
    finally:
        await _end(keeping)


@contextlib.asynccontextmanager
async def cached_generations(generations: Generations, cache: OrderCache) -> AsyncGenerator[Generations]:
    """Generations of the orders, at whose switch nothing of before is left in Redis."""
    link = cache.link(limit=MARK_LIMIT)
    keeping = asyncio.create_task(link.keep())
    try:
        yield cast("Generations", CachedGenerations(generations, link, cache.board))
    finally:
        await _end(keeping)


@contextlib.asynccontextmanager
async def cached_read_models(
    read_models: ReadModels, cache: OrderCache, holds: Callable[[float], bool]
) -> AsyncGenerator[ReadModels]:
    """Read models of the orders whose changes are marked and stored in Redis."""
    async with _writing(cache, holds) as writer:
        yield cast(
            "ReadModels", CachedReadModels(read_models, writer)
        )  # it passes on the methods that it does not have


@contextlib.asynccontextmanager
async def cached_shared_read_models(
    read_models: SharedReadModels, cache: OrderCache, holds: Callable[[float], bool], count: int
) -> AsyncGenerator[SharedReadModels]:
    """The same for read models that several projectors fill by so many shares."""
    async with _writing(cache, holds) as writer:
        yield cast("SharedReadModels", CachedSharedReadModels(read_models, writer, count))


@contextlib.asynccontextmanager
async def _writing(cache: OrderCache, holds: Callable[[float], bool]) -> AsyncGenerator[OrderWriter]:
    link = cache.link(limit=MARK_LIMIT)
    writer = OrderWriter(link, board=cache.board, seconds=cache.seconds, report=cache.report, holds=holds)
    keeping, promising = asyncio.create_task(link.keep()), asyncio.create_task(writer.keep())
    try:
        yield writer
    finally:
        await _end(promising)  # withdraws the promise, so before the link
        await _end(keeping)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
