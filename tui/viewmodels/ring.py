"""Ring: the newest frames of the feed as raw bytes, at most so many and so large; all that ever came are counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class RingFrame(NamedTuple):
    """One event as it came in; it is decoded when its row is painted, which most are not."""

    position: int
    event_type: str
    data: bytes


NumberedFrame = tuple[int, RingFrame]  # a frame with its number in the ring


class Ring:
    """Holds the frames `first` .. `end - 1`; a frame's number counts all frames before it, so it never changes."""

    def __init__(self, capacity: int = 20_000, max_bytes: int = 8 * 1024 * 1024) -> None:
        self.capacity = capacity
        self.max_bytes = max_bytes
        self.first = 0
        self.end = 0
        self.bytes = 0
        self._slots: list[RingFrame | None] = [None] * capacity

    def __len__(self) -> int:
        return self.end - self.first

    def push(self, frame: RingFrame) -> None:
        """Take a frame in, and drop the oldest ones for it. The newest stays even if it is larger than `max_bytes`."""
        if len(self) == self.capacity:
            self._drop()
        self._slots[self.end % self.capacity] = frame
        self.end += 1
        self.bytes += len(frame.data)
        while self.bytes > self.max_bytes and len(self) > 1:
            self._drop()

    def get(self, number: int) -> RingFrame | None:
        """The frame with that number; None when it was dropped or has not come yet."""
        return self._slots[number % self.capacity] if self.first <= number < self.end else None

    def number_at(self, position: int) -> int:
        """The number of the first held frame at a position in the log or after it; `end` when there is none."""
        low, high = self.first, self.end
        while low < high:
            middle = (low + high) // 2
            frame = self._slots[middle % self.capacity]
            if frame is not None and frame.position < position:
                low = middle + 1
            else:
                high = middle
        return low

    def since(self, number: int) -> Iterator[NumberedFrame]:
        """The frames from `number` on that are still held, with their numbers."""
        for n in range(max(number, self.first), self.end):
            frame = self._slots[n % self.capacity]
            if frame is not None:
                yield n, frame

    def _drop(self) -> None:
        slot = self.first % self.capacity
        gone = self._slots[slot]
        self._slots[slot] = None
        self.first += 1
        self.bytes -= len(gone.data) if gone else 0
