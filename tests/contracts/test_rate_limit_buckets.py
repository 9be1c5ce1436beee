"""Token buckets, in one process and in a Redis that several share: nobody gets more than its quota."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from core.adapters.redis.redis_buckets import RedisBuckets, open_buckets
from core.ports.shared_buckets import BucketLevel
from core.quotas import Quota
from daemons.process.guard.buckets import Buckets
from tests.support.redis_server import RedisServer


def test_a_bucket_gives_its_quota_at_once_and_then_as_fast_as_it_fills() -> None:
    now = [1_000.0]
    buckets, quota = Buckets(monotonic=lambda: now[0]), Quota(3, 6)
    assert [level.left for level in (buckets.take("a", quota) for _ in range(3))] == [2, 1, 0]
    refused = buckets.take("a", quota)
    assert (refused.granted, refused.left, round(refused.wait, 3)) == (False, 0, 2.0)
    assert buckets.take("b", quota).granted
    now[0] += 2
    assert [buckets.take("a", quota).granted for _ in range(2)] == [True, False]
    now[0] += 1_000
    assert [buckets.take("a", quota).granted for _ in range(4)] == [True, True, True, False]


def test_a_caller_never_gets_more_than_its_quota_allows_in_any_time() -> None:
    seed = random.randrange(1 << 30)
    luck, now = random.Random(seed), [0.0]
    buckets, quota = Buckets(monotonic=lambda: now[0]), Quota(20, 7)
    granted = []
    for _ in range(5_000):
        now[0] += luck.choice((0.0, 0.01, 0.3, 2.0))
        granted += [now[0]] if buckets.take("a", quota).granted else []
    for begin in range(0, len(granted), 7):
        for end in range(begin, min(len(granted), begin + 60)):
            allowed = quota.requests + (granted[end] - granted[begin]) * quota.requests / quota.seconds + 1e-6
            assert end - begin + 1 <= allowed, f"seed {seed}"


def test_so_many_callers_are_kept_and_no_more() -> None:
    buckets = Buckets(most=100)
    for number in range(1_000):
        buckets.take(f"address {number}", Quota(1, 60))
    assert len(buckets) == 100
    assert not buckets.take("address 999", Quota(1, 60)).granted


@asynccontextmanager
async def shared(server: RedisServer, database: str) -> AsyncGenerator[RedisBuckets]:
    async with open_buckets(server.url, database, "test") as buckets:
        await until_reached(buckets)
        yield buckets


async def until_reached(buckets: RedisBuckets) -> None:
    deadline = time.monotonic() + 20
    while await buckets.take("reached", Quota(1_000_000, 1)) is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_processes_that_share_a_redis_count_together(
    redis_server: RedisServer,
) -> None:
    database, quota = uuid4().hex, Quota(10, 600)
    async with shared(redis_server, database) as one, shared(redis_server, database) as other:
        levels = await asyncio.gather(*((one, other)[place % 2].take("caller ana", quota) for place in range(24)))
        granted = [level for level in levels if level and level.granted]
        assert len(granted) == 10
        assert sorted(level.left for level in granted) == list(range(10))
        refused = [level for level in levels if level and not level.granted]
        assert len(refused) == 14
        assert all(0 < level.wait <= 60 for level in refused)
        assert (await one.take("caller bo", quota) or BucketLevel(granted=False, left=0, wait=0)).left == 9
        with redis_server.client() as client:  # what is no bucket of ours counts as a full one
            client.set(f"orderdeck:{database}:limit:junk", "x")
            client.hset(f"orderdeck:{database}:limit:hash", "x", "y")
        for key in ("junk", "hash"):
            level = await one.take(key, quota)
            assert level is None or level.granted
