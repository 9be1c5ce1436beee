"""Tally: counts the events that came in, were shown, flew past unseen, and wait; the parts always add up."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

MOST_STRETCHES = 1_000


class Stretches:
    """A set of positions, kept as the first and last one of each stretch without a gap.

    When there are too many stretches the lowest are forgotten, and what lies below them counts as held.
    """

    def __init__(self, most: int = MOST_STRETCHES) -> None:
        self.most = most
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._floor = 0

    def holds(self, position: int) -> bool:
        n = bisect_right(self._firsts, position) - 1
        return position <= self._floor or (n >= 0 and position <= self._lasts[n])

    def add(self, first: int, last: int) -> None:
        low = bisect_left(self._lasts, first - 1)  # the first stretch that ends beside this one or after it
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high], self._lasts[low:high] = [first], [last]
        while len(self._firsts) > self.most:
            self._floor = max(self._floor, self._lasts.pop(0))
            del self._firsts[0]


class Tally:
    """The words, here and on the screen: `received` = `shown` + `skipped` + `waiting`, always.

    `received`: the feed brought them in. `waiting`: of these, those after the last event that a paused view let pass.
    `shown`: of the others, those that were in a row on the screen, each counted once. `skipped`: those that were not.
    Events that are read from the log and never came in over the feed are in none of them. An event that is scrolled
    back to counts as shown from then on, unless more than a thousand stretches of rows were shown since it came in.
    """

    def __init__(self) -> None:
        self.received = 0
        self.shown = 0
        self.newest = 0
        self._passed = 0  # how many of those received have passed
        self._passed_to = 0  # the position up to which events have passed
        self._missed: list[tuple[int, int]] = []  # the stretches that never came in: first and last position
        self._seen = Stretches()

    @property
    def waiting(self) -> int:
        return self.received - self._passed

    @property
    def skipped(self) -> int:
        return self._passed - self.shown

    def receive(self, position: int, count: int = 1) -> None:
        """Events came in without a gap between them; the last is at `position`."""
        first = position - count + 1
        if first <= self.newest or not self.received:  # the first ever, or those of another log
            self._missed, self._seen = [], Stretches()
            self._passed = self.received
            self._passed_to = self.newest = first - 1
            self._seen.add(0, first - 1)
        if first > self.newest + 1:
            self._missed.append((self.newest + 1, first - 1))
            if len(self._missed) > MOST_STRETCHES:  # the events between the oldest two count as missed from now on
                self._missed[:2] = [(self._missed[0][0], self._missed[1][1])]
        self.newest = position
        self.received += count

    def let_pass(self, position: int | None = None) -> None:
        """Let every event up to a position pass, or all that came in."""
        if position is None or position >= self.newest:
            self._passed, self._passed_to = self.received, self.newest
        elif position > self._passed_to:
            missed = sum(max(0, min(last, position) - max(first - 1, self._passed_to)) for first, last in self._missed)
            self._passed += position - self._passed_to - missed
            self._passed_to = position

    def show(self, positions: Iterable[int]) -> None:
        """These rows were painted. Those of events that have not passed do not count."""
        for position in positions:
            if position <= self._passed_to and not self._seen.holds(position):
                self._seen.add(position, position)
                self.shown += not self._never_came(position)

    def _never_came(self, position: int) -> bool:
        n = bisect_left(self._missed, position, key=_last)
        return n < len(self._missed) and self._missed[n][0] <= position


def _last(stretch: tuple[int, int]) -> int:
    return stretch[1]
