"""Measures each second: how fast the log grows, how far its readers are behind, which sagas ended, and which wait."""

from __future__ import annotations

import math
import time

from prometheus_client import Gauge

from core.ports.queries import Queries
from core.ports.sagas import Backlog
from daemons.process.histogram import Histogram
from daemons.process.history import Figures

LOOK_BACK = 60  # seconds over which the percentiles of sagas are taken
MOST_ENDED = 2_000  # sagas that ended in one second and are looked at
MOST_WAITING = 10_000  # sagas that are due, and events whose saga is not started, that are counted
COUNT_EVERY = 5.0  # seconds between two counts of what waits, while nothing does
PER_SECOND = "per second"
LOG_POSITION = Gauge("orderdeck_log_position", "Position of the last event in the log.")
LAG_EVENTS = Gauge("orderdeck_reader_lag_events", "Events of the log that this reader has not done yet.", ["reader"])
LAG_SECONDS = Gauge("orderdeck_reader_lag_seconds", "How long the oldest of them has been in the log.", ["reader"])


class LogMeter:
    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._head: int | None = None
        self._took = Histogram(over=LOOK_BACK)
        self._backlog = Backlog(due=0, due_for=0.0, unstarted=0, unstarted_for=0.0)
        self._counted_at = -math.inf

    async def measure(self, elapsed: float) -> Figures:
        try:
            readers = await self._queries.progress()
        except BaseException:
            LAG_EVENTS.clear()  # nobody knows how far they are now, which must not look as if they stood still
            LAG_SECONDS.clear()
            raise
        if not readers:
            return {}
        head = max(reader.head for reader in readers)
        LOG_POSITION.set(head)
        figures: dict[str, tuple[float, str]] = {}
        for reader in readers:
            figures[f"lag.{reader.reader}"] = reader.behind, "seconds"
            figures[f"lag_events.{reader.reader}"] = reader.head - reader.position, "events"
            LAG_EVENTS.labels(reader.reader).set(reader.head - reader.position)
            LAG_SECONDS.labels(reader.reader).set(reader.behind)
        before, self._head = self._head, head
        if before is None or head < before:  # the first look, or another log
            return figures
        figures["log.events"] = (head - before) / elapsed, PER_SECOND
        return figures | await self._sagas(before, head, elapsed) | await self._waiting(grown=head > before)

    async def _waiting(self, *, grown: bool) -> dict[str, tuple[float, str]]:
        """What waits for a runner. While nothing has waited and the log has not grown, that is not counted anew."""
        now = time.monotonic()
        if grown or self._backlog.waiting or now - self._counted_at > COUNT_EVERY:
            self._backlog, self._counted_at = await self._queries.backlog(most=MOST_WAITING), now
        backlog = self._backlog
        return {
            "backlog.due": (backlog.due, "sagas"),
            "backlog.unstarted": (backlog.unstarted, "events"),
            "backlog.seconds": (backlog.waits_for, "seconds"),
        }

    async def _sagas(self, before: int, head: int, elapsed: float) -> dict[str, tuple[float, str]]:
        ended = await self._queries.ended_sagas(after=before, upto=head, limit=MOST_ENDED) if head > before else ()
        counts = dict.fromkeys(("completed", "compensated", "failed"), 0)
        for saga in ended:
            counts[saga.outcome] += 1
            self._took.observe(saga.seconds)
        rates = {f"sagas.{outcome}": (count / elapsed, PER_SECOND) for outcome, count in counts.items()}
        took = self._took.turn(50, 95, 99)
        return rates | {f"sagas.seconds.p{percent:g}": (value, "seconds") for percent, value in took.items()}
