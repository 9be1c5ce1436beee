"""History: what a service measured in each of its last 900 seconds, in arrays that never grow.

A second in which nothing could be measured stays unknown; it is never a zero.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from msgspec import Struct

from core.errors import OrderdeckError
from core.pace import AFTER

SECONDS = 900
MOST_SERIES = 64
MEASURE_WITHIN = 0.9  # seconds
SHORTEST = 0.5  # seconds over which a rate is taken; one command in a tenth of a second is not ten a second
UNKNOWN = math.nan
PER_SECOND = "per second"

Figures = Mapping[str, tuple[float, str]]
"""Values with their units, by the names of their series."""


class HistorySeries(Struct, kw_only=True):
    """`values`: one a second, the oldest first; null for a second of which it is not known."""

    name: str
    unit: str
    values: list[float | None]


class MetricsHistory(Struct, kw_only=True):
    """The last value of each series is of the second `until` (Unix time). There is nothing from before `started_at`."""

    service: str
    started_at: datetime
    until: int
    series: list[HistorySeries]


class Measures(Protocol):
    """A function that measures what there is now; `elapsed` are the seconds since it last did so without an error."""

    def __call__(self, elapsed: float) -> Awaitable[Figures]: ...


class History:
    """`clock` is monotonic seconds, for the places of the values; `now` is the time of day, for what is answered.

    By itself it measures when a second of the time of day begins, as others look for what they look for.
    """

    def __init__(
        self, service: str, *, clock: Callable[[], float] | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._service = service
        self._clock = clock or in_step()
        self._now = now
        self._series: dict[str, tuple[str, array[float]]] = {}
        self._first = self._last = math.floor(self._clock())  # seconds of the monotonic clock
        self._started = self._until = now()

    def note(self, figures: Figures) -> None:
        """Keep the values of the second that is now; seconds since the last call that were left out are unknown."""
        second = math.floor(self._clock())
        for _, values in self._series.values():
            for skipped in range(max(self._last + 1, second - SECONDS + 1), second + 1):
                values[skipped % SECONDS] = UNKNOWN
        self._last, self._until = second, self._now()
        for name, (value, unit) in figures.items():
            if name not in self._series and len(self._series) < MOST_SERIES:
                self._series[name] = unit, array("d", [UNKNOWN] * SECONDS)
            if name in self._series:
                self._series[name][1][second % SECONDS] = value

    def last(self, seconds: int) -> MetricsHistory:
        """The values of at most so many seconds."""
        count = min(seconds, self._last - self._first + 1, SECONDS)
        places = [second % SECONDS for second in range(self._last - count + 1, self._last + 1)]
        return MetricsHistory(
            service=self._service,
            started_at=datetime.fromtimestamp(self._started, UTC),
            until=math.floor(self._until),
            series=[
                HistorySeries(name=name, unit=unit, values=[_known(values[place]) for place in places])
                for name, (unit, values) in self._series.items()
            ],
        )

    async def keep(self, measure: Measures) -> None:
        """Measure once a second, until cancelled. What cannot be measured, or not in time, is unknown.

        So is a second that begins right after a measurement that was late, as in a process that is busy.
        """
        before = self._clock()
        while True:
            now = self._clock()
            pause = 1 + AFTER - now % 1
            await asyncio.sleep(pause if now + pause - before >= SHORTEST else pause + 1)
            figures: Figures = {}
            now = self._clock()
            with contextlib.suppress(OrderdeckError, TimeoutError):
                async with asyncio.timeout(MEASURE_WITHIN):
                    figures = await measure(now - before)
                    before = now
            self.note(figures)


def in_step() -> Callable[[], float]:
    """Monotonic seconds, each of which begins with a second of the time of day, as it is now."""
    ahead = (time.time() - time.monotonic()) % 1
    return lambda: time.monotonic() + ahead


def together(histories: Sequence[MetricsHistory]) -> MetricsHistory:
    """The figures of several processes of one service: their rates added, and of everything else the highest.

    A second that some of them do not know is that of the others.
    """
    first = histories[0]
    until = max(history.until for history in histories)
    length = max((until - h.until + len(s.values) for h in histories for s in h.series), default=0)
    series: dict[str, tuple[str, list[float | None]]] = {}
    for history in histories:
        for one in history.series:
            unit, values = series.setdefault(one.name, (one.unit, [None] * length))
            begin = length - (until - history.until) - len(one.values)
            for place, value in enumerate(one.values, begin):
                if value is not None:
                    before = values[place]
                    values[place] = value if before is None else _combined(unit, before, value)
    return MetricsHistory(
        service=first.service,
        started_at=min(history.started_at for history in histories),
        until=until,
        series=[
            HistorySeries(name=name, unit=unit, values=values[-SECONDS:]) for name, (unit, values) in series.items()
        ],
    )


def _combined(unit: str, one: float, other: float) -> float:
    return round(one + other, 4) if unit == PER_SECOND else max(one, other)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
