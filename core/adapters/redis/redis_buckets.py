"""Token buckets in Redis: requests that come while a script runs are counted together, by the next one."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from core.adapters.coalesce import Coalescer
from core.adapters.redis import scripts
from core.adapters.redis.link import CacheAway, CacheFull, RedisLink
from core.errors import ConfigurationError
from core.ports.order_cache import CacheReport
from core.ports.shared_buckets import BucketLevel, level_at
from core.quotas import Quota
from core.redis_address import read_redis_address

LIMIT = 0.05  # seconds that a request waits for Redis


class _Taking(NamedTuple):
    """One request. `number` makes it another one than the next of the same caller."""

    key: str
    quota: Quota
    number: int


class RedisBuckets:
    """See `core.ports.shared_buckets.SharedBuckets`. `prefix` is that of all keys."""

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._numbers = itertools.count()
        self._takings = Coalescer[_Taking, BucketLevel](self._take)

    async def take(self, key: str, quota: Quota) -> BucketLevel | None:
        if self._link.away is not None:
            return None
        return await self._takings.get(_Taking(key, quota, next(self._numbers)))

    async def _take(self, takings: Sequence[_Taking]) -> Mapping[_Taking, BucketLevel]:
        """The level after each; none when Redis does not answer."""
        together: dict[tuple[str, Quota], list[_Taking]] = {}
        for taking in takings:
            together.setdefault((taking.key, taking.quota), []).append(taking)
        keys = [self._prefix + key for key, _ in together]
        arguments = [
            number
            for (_, quota), of_one in together.items()
            for number in (quota.requests, quota.seconds * 1_000_000, len(of_one))
        ]
        try:
            answer = await self._link.run(scripts.TAKE, keys, arguments)
        except (CacheAway, CacheFull):
            return {}
        levels: dict[_Taking, BucketLevel] = {}
        for ((_, quota), of_one), granted, ahead in zip(together.items(), answer[::2], answer[1::2], strict=True):
            level = level_at(quota, ahead / 1e6, granted=True)
            for place, taking in enumerate(of_one):
                later = max(0, granted - 1 - place)  # of the same script
                levels[taking] = level._replace(granted=place < granted, left=level.left + later)
        return levels


@asynccontextmanager
async def open_buckets(url: str, database: str, daemon: str) -> AsyncGenerator[RedisBuckets]:
    """The buckets of all processes that use this database."""
    address = read_redis_address(url)
    for name, path in address.files.items():
        if not os.access(path, os.R_OK):
            raise ConfigurationError(f"the file {path} cannot be read: correct {name} in REDIS_URL")
    link = RedisLink(
        address, limit=LIMIT, name=f"orderdeck-{daemon}-limits", report=CacheReport(), what="shared rate limits"
    )
    keeping = asyncio.create_task(link.keep())
    try:
        yield RedisBuckets(link, f"orderdeck:{database}:limit:")
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
