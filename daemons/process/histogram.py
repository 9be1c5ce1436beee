"""Histogram: how long things took of late, counted in steps that grow by a quarter, so that no time is kept itself."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping

SHORTEST, GROWTH, STEPS = 0.0001, 1.25, 84  # seconds: from 0.1 ms to about 4 h, each step a quarter more than the last
BOUNDS = tuple(SHORTEST * GROWTH**n for n in range(STEPS))
"""The longest time that each step counts; what is longer counts in the last one."""


class Histogram:
    """`over`: the number of turns that its percentiles look back."""

    def __init__(self, *, over: int) -> None:
        self._counts = array("Q", bytes(8 * STEPS))
        self._before: deque[array[int]] = deque([array("Q", self._counts)], maxlen=over)

    def observe(self, seconds: float) -> None:
        self._counts[min(bisect_left(BOUNDS, seconds), STEPS - 1)] += 1

    def turn(self, *percents: float) -> Mapping[float, float]:
        """The percentiles of what was observed in the last turns, and one turn begins; empty when nothing was."""
        oldest = self._before[0]
        recent = [now - then for now, then in zip(self._counts, oldest, strict=True)]
        self._before.append(array("Q", self._counts))
        total = sum(recent)
        return {percent: _at(recent, math.ceil(total * percent / 100)) for percent in percents} if total else {}


def _at(counts: list[int], rank: int) -> float:
    """The bound of the step in which the observation of this rank is, 1 for the shortest."""
    for bound, count in zip(BOUNDS, counts, strict=True):
        rank -= count
        if rank <= 0:
            return bound
    return BOUNDS[-1]
