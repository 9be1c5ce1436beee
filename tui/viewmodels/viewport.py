"""Viewport: which rows a list shows and which one is chosen, over ranks that may be far from zero."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Viewport:
    """`cursor` and `top` are ranks; `first` and `end` bound the rows there are."""

    cursor: int = 0
    top: int = 0
    height: int = 1
    first: int = 0
    end: int = 0

    def bound(self, first: int, end: int) -> None:
        """The rows there are now; cursor and top stay on theirs as long as those exist."""
        self.first, self.end = first, max(first, end)
        self.go(self.cursor, reveal=False)
        self._settle()

    def resize(self, height: int) -> None:
        self.height = max(1, height)
        self.go(self.cursor)

    def go(self, rank: int, *, reveal: bool = True) -> None:
        """Choose a row, the nearest there is, and scroll no further than needed to show it."""
        self.cursor = max(self.first, min(rank, self.end - 1))
        if reveal:
            self.top = max(self.cursor - self.height + 1, min(self.top, self.cursor))
            self._settle()

    def move(self, delta: int) -> None:
        self.go(self.cursor + delta)

    def shift(self, delta: int) -> None:
        """Every row got another rank; what is seen does not move."""
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
