"""Meters: how many events come in a second, and how far the screen is behind the feed."""

from __future__ import annotations

from collections import deque


class Rate:
    """How fast a total grew over the last few seconds."""

    def __init__(self, over: float = 3.0) -> None:
        self.over = over
        self._marks: deque[tuple[float, int]] = deque()

    def note(self, now: float, total: int) -> None:
        self._marks.append((now, total))
        while len(self._marks) > 2 and self._marks[1][0] <= now - self.over:
            self._marks.popleft()

    @property
    def per_second(self) -> float:
        if len(self._marks) < 2:
            return 0.0
        (then, before), (now, total) = self._marks[0], self._marks[-1]
        return (total - before) / (now - then) if now > then else 0.0


class Peak:
    """The highest value of the last second or two, so that the figure stands long enough to be read."""

    def __init__(self, hold: float = 1.5) -> None:
        self.hold = hold
        self._values: deque[tuple[float, float]] = deque()

    def note(self, now: float, value: float) -> None:
        self._values.append((now, value))
        self._forget(now)

    def worst(self, now: float) -> float | None:
        self._forget(now)
        return max((value for _, value in self._values), default=None)

    def _forget(self, now: float) -> None:
        while self._values and self._values[0][0] < now - self.hold:
            self._values.popleft()
