"""Token buckets that all processes share: how many requests each caller has left."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from core.quotas import Quota


class BucketLevel(NamedTuple):
    """What became of a request: whether it may go on, and how many more may follow at once.

    `wait`: seconds until the bucket has one request more than now.
    """

    granted: bool
    left: int
    wait: float


class SharedBuckets(Protocol):
    async def take(self, key: str, quota: Quota) -> BucketLevel | None:
        """Take one request out of the bucket of this key; None at once, or soon, while nobody can say."""
        ...


def level_at(quota: Quota, ahead: float, *, granted: bool) -> BucketLevel:
    """The level of a bucket that is full again in `ahead` seconds."""
    interval = quota.seconds / quota.requests
    left = (quota.seconds - ahead) / interval + 1e-6  # the sum of many intervals is not exact
    whole = max(0, math.floor(left))
    return BucketLevel(granted, whole, max(0.0, min(interval, (1 + whole - left) * interval)))
