"""EventWindow: the part of the log that a list holds: rows that can be added at both ends, never too many."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from tui.viewmodels.event_row import EventRow, row_of
from tui.viewmodels.ring import RingFrame

LARGE = 8 * 1024  # bytes of a frame that is not kept but made into a row at once


class Gap(NamedTuple):
    """Events that never came in, because the service let the deck jump ahead: those between two positions."""

    after: int
    before: int

    @property
    def position(self) -> int:
        return self.after + 1


Item = RingFrame | EventRow | Gap


class EventWindow:
    """Its rows have the ranks `start` .. `end - 1`, which stay as they are while rows are added and dropped.

    All events from `low` to `high` have been looked at; those that belong in the list are rows. When there are more
    than `most` rows, those at the other end are dropped, and `low` or `high` with them.
    """

    def __init__(self, most: int = 1_000) -> None:
        self.most = most
        self.start = 0
        self.low, self.high = 1, 0
        self.generation = 0
        self._rows: list[Item] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def end(self) -> int:
        return self.start + len(self._rows)

    def reset(self, position: int) -> None:
        """Forget every row: the next ones lie at this position and after it, or before it."""
        self._rows.clear()
        self.start = 0
        self.low, self.high = position, position - 1
        self.generation += 1

    def add_newer(self, items: Sequence[Item], high: int) -> None:
        self._rows += map(_small, items[-self.most :])
        self.high = max(self.high, high)
        cut = len(self._rows) - self.most
        if cut > 0 or len(items) > self.most:
            gone = max(0, cut)
            self.start += gone + max(0, len(items) - self.most)
            del self._rows[:gone]
            self.low = self._rows[0].position

    def add_older(self, items: Sequence[Item], low: int) -> None:
        self._rows[:0] = map(_small, items)
        self.start -= len(items)
        self.low = min(self.low, low)
        if len(self._rows) > self.most:
            del self._rows[self.most :]
            self.high = self._rows[-1].position

    def get(self, rank: int) -> EventRow | Gap | None:
        """The row with that rank; an event is decoded when its row is first asked for."""
        if not self.start <= rank < self.end:
            return None
        item = self._rows[rank - self.start]
        if isinstance(item, RingFrame):
            item = self._rows[rank - self.start] = row_of(item)
        return item

    def position(self, rank: int) -> int | None:
        return self._rows[rank - self.start].position if self.start <= rank < self.end else None

    def rank_at(self, position: int) -> int:
        """The rank of the first row at a position or after it."""
        return self.start + bisect_left(self._rows, position, key=_position)


def _position(item: Item) -> int:
    return item.position


def _small(item: Item) -> Item:
    return row_of(item) if isinstance(item, RingFrame) and len(item.data) > LARGE else item
