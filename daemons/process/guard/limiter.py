"""Rate limits: how many requests of each class a caller may send, told in every answer (RateLimit, RateLimit-Policy).

The headers are those of draft-ietf-httpapi-ratelimit-headers-11. A caller is known by its key, where keys are needed,
else by its address. What daemons of one home ask each other is not limited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter

from core.home_key import CALLER as HOME
from core.ports.shared_buckets import BucketLevel, SharedBuckets
from core.quotas import Quota
from daemons.process.guard.buckets import Buckets
from daemons.process.guard.callers import CALLER, Caller
from daemons.process.guard.places import owner_of
from daemons.process.guard.refusals import Refusal

VITALS = frozenset({"/health", "/ready", "/metrics"})
"""Never limited and never shed: they are asked when a service is busiest."""
FAILURES = "failures"
ALONE = Counter(
    "orderdeck_rate_limits_alone",
    "Requests whose limit this process counted by itself although there is a Redis, since Redis did not answer.",
)
LIMITED = Counter("orderdeck_rate_limited_requests", "Requests refused because their caller sent too many.", ["limit"])

Header = tuple[bytes, bytes]


def class_of(method: str, path: str) -> str:
    """The class of a request; every request is of one, however its path is written."""
    if path.startswith("/api/v1/admin/"):
        return "admin"
    if method not in ("GET", "HEAD", "OPTIONS"):
        return "commands"
    return "feeds" if path.endswith("/stream") else "reads"


class Limiter:
    """`shared` are the buckets of all processes, when there are any and they can be reached."""

    def __init__(self, quotas: Mapping[str, Quota], buckets: Buckets | None = None) -> None:
        self._quotas = quotas
        self._buckets = buckets or Buckets()
        self._policies = {
            name: b'"%b";q=%d;w=%d' % (name.encode(), quota.requests, quota.seconds) for name, quota in quotas.items()
        }
        self.shared: SharedBuckets | None = None
        self.has_shared = False

    async def take(self, scope: Any) -> list[Header]:
        """Count a request, and return the headers that tell what is left. Raises a Refusal (429) when nothing is."""
        caller: Caller | None = scope.get(CALLER)
        if caller is not None and caller.name == HOME:
            return []
        name = class_of(scope["method"], scope["path"])
        quota = self._quotas.get(name)
        if quota is None:
            return []
        who = f"address {owner_of(scope['client'])}" if caller is None else f"caller {caller.name}"
        key = f"{name} {who}"
        level = await self.shared.take(key, quota) if self.shared is not None else None
        if level is None:
            if self.has_shared:
                ALONE.inc()
            level = self._buckets.take(key, quota)
        headers = self._told(name, level)
        if not level.granted:
            raise self._too_many(name, quota, level.wait, headers)
        return headers

    def failed(self, client: Any) -> Refusal | None:
        """Count a key that was not valid. Returns what its sender is told instead, once it has sent too many.

        Whoever shows a valid key is let in all the same: else a stranger at the same address could shut others out.
        """
        quota = self._quotas.get(FAILURES)
        if quota is None:
            return None
        level = self._buckets.take(f"{FAILURES} {owner_of(client)}", quota)
        if level.granted:
            return None
        return self._too_many(FAILURES, quota, level.wait, self._told(FAILURES, level))

    def _told(self, name: str, level: BucketLevel) -> list[Header]:
        return [
            (b"ratelimit-policy", self._policies[name]),
            (b"ratelimit", b'"%b";r=%d;t=%d' % (name.encode(), level.left, max(1, math.ceil(level.wait)))),
        ]

    def _too_many(self, name: str, quota: Quota, wait: float, headers: list[Header]) -> Refusal:
        LIMITED.labels(name).inc()
        of = "keys that are not valid" if name == FAILURES else f"requests of the class {name}"
        detail = f"more than {quota.requests} {of} in {quota.seconds} s; come back after Retry-After seconds"
        told = {header.decode(): value.decode() for header, value in headers}
        return Refusal(
            429,
            "quota_exceeded",
            detail,
            {**told, "Retry-After": str(max(1, math.ceil(wait)))},
            members={"violated-policies": [name]},
        )
