"""How long to pause between two looks for something: the longer nothing has come, the longer."""

from __future__ import annotations


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
        return pause
