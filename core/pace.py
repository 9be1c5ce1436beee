"""How long to pause between two looks for something: the longer nothing has come the longer, and as others do."""

from __future__ import annotations

import time

AFTER = 0.002  # seconds in a new second; an event loop wakes up to 1 ms early, and would wake twice


class Pace:
    """`shortest` and `longest` are seconds. Each pause is twice the one before it, until something comes."""

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest = shortest
        self._longest = longest
        self._next = shortest

    def came(self) -> None:
        """Something has come, so the next pause is the shortest."""
        self._next = self._shortest

    def pause(self) -> float:
        """The next pause, in seconds."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return together(pause)


def together(seconds: float) -> float:
    """A pause of at most so many seconds, which ends when a second begins, or a quarter of one if it is shorter.

    An even number of seconds ends when an even second begins. So all that a machine does time and again while nothing
    happens needs one wake, and not one each.
    """
    part = 0.25 if seconds < 1 else 1.0 if seconds % 2 else 2.0
    if seconds < part:
        return seconds
    now = time.time()
    return (now + seconds) // part * part + AFTER - now
