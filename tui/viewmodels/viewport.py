"""Viewport: which rows of a list are on the screen, and which one is chosen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Viewport:
    """Ranks: `cursor` is the chosen row, `top` the first one shown; the list has the rows `first` .. `end - 1`."""

    cursor: int = 0
    top: int = 0
    height: int = 1
    first: int = 0
    end: int = 0

    def bound(self, first: int, end: int) -> None:
        """Set which rows there are; cursor and top stay on their rows as long as those exist."""
        self.first, self.end = first, max(first, end)
        self.go(self.cursor, reveal=False)
        self._settle()

    def resize(self, height: int) -> None:
        self.height = max(1, height)
        self.go(self.cursor)

    def go(self, rank: int, *, reveal: bool = True) -> None:
        """Choose the row with that rank, or the nearest one, and scroll no further than needed to show it."""
        self.cursor = max(self.first, min(rank, self.end - 1))
        if reveal:
            self.top = max(self.cursor - self.height + 1, min(self.top, self.cursor))
            self._settle()

    def move(self, delta: int) -> None:
        self.go(self.cursor + delta)

    def shift(self, delta: int) -> None:
        """Follow rows that all got another rank, so that nothing moves on the screen."""
        self.cursor += delta
        self.top += delta

    def tail(self) -> None:
        """Choose the last row and show it at the bottom."""
        self.top = self.end - self.height
        self.go(self.end - 1)

    @property
    def visible(self) -> range:
        return range(max(self.top, self.first), min(self.top + self.height, self.end))

    def _settle(self) -> None:
        self.top = max(self.first, min(self.top, self.end - self.height))
