"""Opens the token buckets that all processes of one database share, in the Redis that the settings name."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

from core.adapters.postgres.connection import Link, connect
from core.adapters.postgres.identity import identity
from core.home import database_url
from core.ports.shared_buckets import SharedBuckets
from core.settings import Settings


@asynccontextmanager
async def open_shared_buckets(settings: Settings, *, name: str) -> AsyncGenerator[SharedBuckets | None]:
    """None without REDIS_URL. The client of Redis is imported here, since nobody else needs it."""
    if settings.redis_url is None:
        yield None
        return
    from core.adapters.redis.redis_buckets import open_buckets  # noqa: PLC0415 - as the docstring says

    dsn = database_url(settings)
    with closing(Link(lambda: connect(dsn, name=name))) as link:
        database = await link.run(identity)
    async with open_buckets(settings.redis_url.get_secret_value(), database, name) as buckets:
        yield buckets
