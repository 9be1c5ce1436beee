"""StreamModel: the ring as a list that follows the feed or is paused, filtered by type, with counters."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence

import msgspec

from tui.viewmodels.ring import NumberedFrame, Ring
from tui.viewmodels.timeline import failed
from tui.wire import Unreadable, WireEvent, read_json

_DECODED = 512  # events that are kept decoded: several screens full
_PINNED = 200
MOST_TYPES, OTHER_TYPES = 500, "(others)"  # different types of events that are counted one by one


class StreamModel:
    """A row's rank is its place among the frames that pass the type filter, counted from the first that ever came."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.following = True
        self.hidden: set[str] = set()
        self.types: Counter[str] = Counter()
        self.failures: deque[int] = deque(maxlen=_PINNED)
        self.failed = 0
        self.painted = 0
        self.undecodable = 0
        self._painted_from = 0
        self._painted_to = 0
        self._paused_end = 0
        self._shown: list[int] | None = None  # numbers of the frames that pass the filter; None: all of them do
        self._decoded: dict[int, WireEvent | None] = {}

    @property
    def end(self) -> int:
        """One past the last rank to show; while paused it stays where the pause began."""
        return self.newest if self.following else min(self._paused_end, self.newest)

    @property
    def newest(self) -> int:
        return self.ring.end if self._shown is None else len(self._shown)

    @property
    def first(self) -> int:
        return self.ring.first if self._shown is None else bisect_left(self._shown, self.ring.first)

    @property
    def waiting(self) -> int:
        """Events that arrived behind a paused view."""
        return self.newest - self.end

    @property
    def skipped(self) -> int:
        """Events that came in and were never painted."""
        return self.ring.end - self.painted

    @property
    def older_gone(self) -> int:
        """Events that came in and were dropped for newer ones."""
        return self.ring.first

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        """Count the types and failures of frames that just came into the ring, and let them through the filter."""
        for number, frame in fresh:
            known = frame.event_type in self.types or len(self.types) < MOST_TYPES
            self.types[frame.event_type if known else OTHER_TYPES] += 1
            if failed(frame.event_type):
                self.failures.append(number)
                self.failed += 1
            if self._shown is not None and frame.event_type not in self.hidden:
                self._shown.append(number)

    def number(self, rank: int) -> int | None:
        """The number, in the ring, of the frame in a row."""
        if self._shown is None:
            return rank
        return self._shown[rank] if 0 <= rank < len(self._shown) else None

    def rank(self, number: int) -> int:
        """The row of a frame; of a hidden one, the row that follows it."""
        return number if self._shown is None else bisect_left(self._shown, number)

    def event(self, number: int) -> WireEvent | None:
        """The event with that number, decoded now; None when it was dropped or cannot be read."""
        if number in self._decoded:
            return self._decoded[number]
        frame = self.ring.get(number)
        if frame is None:
            return None
        event = decode(frame.data)
        self.undecodable += event is None
        while len(self._decoded) >= _DECODED:
            del self._decoded[next(iter(self._decoded))]
        self._decoded[number] = event
        return event

    def pause(self) -> None:
        if self.following:
            self._paused_end = self.newest
            self.following = False

    def follow(self) -> None:
        self.following = True

    def show_only(self, hidden: set[str]) -> None:
        """Hide these types of event; a paused stream stays at the same event."""
        paused_at = None if self.following or self.end == 0 else self.number(self.end - 1)
        self.hidden = hidden
        self._shown = None
        if hidden:
            self._shown = [n for n, frame in self.ring.since(0) if frame.event_type not in hidden]
        if paused_at is not None:
            self._paused_end = min(self.rank(paused_at) + 1, self.newest)

    def note_painted(self, ranks: range) -> None:
        """Count rows that were painted. A row counts once as long as the operator scrolls without leaving a gap."""
        if not ranks:
            return
        numbers = [n for n in map(self.number, ranks) if n is not None]
        if not numbers or numbers[-1] < self._painted_from:
            return
        self.painted += sum(1 for n in numbers if not self._painted_from <= n < self._painted_to)
        apart = numbers[0] > self._painted_to
        self._painted_from = numbers[0] if apart else min(self._painted_from, numbers[0])
        self._painted_to = max(self._painted_to, numbers[-1] + 1)


_events = msgspec.json.Decoder(WireEvent)


def decode(data: bytes) -> WireEvent | None:
    """The event in a frame's bytes; None when they are none."""
    try:
        return read_json(data, _events)
    except Unreadable:
        return None
