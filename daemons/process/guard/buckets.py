"""Token buckets of this process: each is one number, the time at which it is full again."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.ports.shared_buckets import BucketLevel, level_at
from core.quotas import Quota

MOST_KEPT = 10_000  # buckets; when there are more, the one that was longest unused begins anew


class Buckets:
    def __init__(self, *, most: int = MOST_KEPT, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: str, quota: Quota) -> BucketLevel:
        """Take one request out of the bucket of this key, if it has one."""
        now = self._monotonic()
        full_at = max(now, self._full_at.pop(key, now))
        ahead = min(full_at - now, quota.seconds) + quota.seconds / quota.requests
        granted = ahead <= quota.seconds * (1 + 1e-9)
        if not granted:
            ahead = min(full_at - now, quota.seconds)
        self._full_at[key] = now + ahead  # at the end of the dict: the first is the one that was longest unused
        if len(self._full_at) > self._most:
            del self._full_at[next(iter(self._full_at))]
        return level_at(quota, ahead, granted=granted)
