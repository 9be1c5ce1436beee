"""What differs, beyond noise, between two programs that were measured in turns: an interval of the ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from statistics import median
from typing import Literal

CONFIDENCE = 0.99  # one figure in a hundred that is the same is called better or worse
FEWEST_PAIRS = 8  # with fewer the interval has no ends at that confidence

Verdict = Literal["better", "worse", "no difference seen"]


@dataclass(frozen=True)
class Difference:
    """The median of the ratios new / old, and the interval of it; both medians."""

    old: float
    new: float
    ratio: float
    low: float
    high: float
    verdict: Verdict


def compare(old: Sequence[float], new: Sequence[float], *, more_is_better: bool) -> Difference:
    """Compare figures above 0 that were measured in pairs, the first of `old` with the first of `new` and so on."""
    logs = [math.log(each / before) for before, each in zip(old, new, strict=True)]
    low, high = (math.exp(end) for end in _interval(logs))
    verdict: Verdict = "no difference seen"
    if low > 1 or high < 1:
        verdict = "better" if (low > 1) == more_is_better else "worse"
    return Difference(median(old), median(new), math.exp(median(logs)), low, high, verdict)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """The ends of the interval of Wilcoxon's signed-rank test (Hollander and Wolfe, Nonparametric Methods, 3.3)."""
    if len(values) < FEWEST_PAIRS:
        raise ValueError(f"{len(values)} pairs are too few: at least {FEWEST_PAIRS}")
    means = sorted((a + b) / 2 for a, b in combinations_with_replacement(values, 2))
    left_out = _most_left_out(len(values))
    return means[left_out], means[-1 - left_out]


def _most_left_out(pairs: int) -> int:
    """How many of the means may lie outside at each end: the largest sum of ranks that chance hardly ever falls to."""
    ways = [1]  # in which signs give each sum of ranks
    for rank in range(1, pairs + 1):
        more = [0] * rank + ways
        ways = [a + b for a, b in zip(ways + [0] * rank, more, strict=True)]
    share, total = 0.0, 2**pairs
    for sum_of_ranks, each in enumerate(ways):
        share += each / total
        if share > (1 - CONFIDENCE) / 2:
            return sum_of_ranks - 1
    raise AssertionError("the shares of all sums are 1")
