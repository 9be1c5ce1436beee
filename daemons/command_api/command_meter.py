"""Counts the commands that are answered, by what became of them, and how long they took."""

from __future__ import annotations

import time
from typing import Any

from daemons.process.histogram import Histogram
from daemons.process.history import PER_SECOND, Figures
from daemons.process.traced_requests import STATUS
from daemons.process.vitals import ASGIApp

LOOK_BACK = 10  # seconds over which the percentiles are taken
CONFLICTS = (409, 412)


class CommandMeter:
    """`recorded` or answered again: with 2xx. `rejected`: 4xx, without `conflicts`. `failed`: 5xx. No dry runs."""

    def __init__(self) -> None:
        self.recorded = self.rejected = self.conflicts = self.failed = 0
        self._before = (0, 0, 0, 0)
        self._took = Histogram(over=LOOK_BACK)

    def counting(self, app: ASGIApp) -> ASGIApp:
        async def counted(scope: Any, receive: Any, send: Any) -> None:
            if scope["method"] not in ("POST", "PUT") or b"dry_run" in scope["query_string"]:
                await app(scope, receive, send)
                return
            began = time.perf_counter()
            try:
                await app(scope, receive, send)
            finally:  # its caller may have gone while it was answered
                if (status := scope.get(STATUS)) is not None:
                    self.note(status, time.perf_counter() - began)

        return counted

    def note(self, status: int, seconds: float) -> None:
        if status < 300:
            self.recorded += 1
            self._took.observe(seconds)
        elif status >= 500:
            self.failed += 1
        elif status in CONFLICTS:
            self.conflicts += 1
        else:
            self.rejected += 1

    async def measure(self, elapsed: float) -> Figures:
        counts = (self.recorded, self.rejected, self.conflicts, self.failed)
        grown = [now - before for now, before in zip(counts, self._before, strict=True)]
        self._before = counts
        names = ("commands.recorded", "commands.rejected", "commands.conflicts", "commands.failed")
        rates = {name: (count / elapsed, PER_SECOND) for name, count in zip(names, grown, strict=True)}
        took = self._took.turn(50, 95, 99)
        return rates | {f"commands.seconds.p{percent:g}": (value, "seconds") for percent, value in took.items()}
