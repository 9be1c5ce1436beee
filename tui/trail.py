"""Trail: the places where the operator was, in order, to go back and on again."""

from __future__ import annotations

from typing import NamedTuple

MOST_PLACES = 100


class Stop(NamedTuple):
    """A view, and the id of what it shows if it shows one thing."""

    view: str
    subject: str | None = None


class Trail:
    """Going somewhere from a place in the middle forgets what came after it, as a browser does."""

    def __init__(self, start: Stop) -> None:
        self.stops = [start]
        self.at = 0
        self.before = start

    @property
    def here(self) -> Stop:
        return self.stops[self.at]

    def go(self, stop: Stop) -> None:
        if stop == self.here:
            return
        self.before = self.here
        self.stops = [*self.stops[: self.at + 1], stop][-MOST_PLACES:]
        self.at = len(self.stops) - 1

    def walk(self, steps: int) -> Stop | None:
        """Move along the trail; None when it has no place so far away."""
        if not 0 <= self.at + steps < len(self.stops):
            return None
        self.before = self.here
        self.at += steps
        return self.here
