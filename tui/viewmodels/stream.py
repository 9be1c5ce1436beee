"""StreamModel: the log as a list that follows the feed or is paused, its failures, and what came in, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tui.gateway import Gateway
from tui.viewmodels.event_filter import Condition, EventFilter
from tui.viewmodels.event_list import EventList, with_gaps
from tui.viewmodels.event_row import EventRow, decode
from tui.viewmodels.known_numbers import KnownNumbers
from tui.viewmodels.log_reader import read_event
from tui.viewmodels.ring import NumberedFrame, Ring, RingFrame
from tui.viewmodels.tally import Stretches, Tally
from tui.viewmodels.timeline import FAILURES, failed
from tui.wire import WireEvent

MOST_FAILURES = 1_000  # that are kept; older ones are read from the log
MOST_TYPES, OTHER_TYPES = 500, "(others)"  # different types of events that are counted one by one

_FAILED = EventFilter((Condition("type", tuple(f"*{end.lower()}" for end in FAILURES)),))


class StreamModel:
    """While it follows, its list ends with the newest event; while paused, the list stays, whatever comes in."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.list = EventList(ring, EventFilter())
        self.failures = EventList(ring, _FAILED, MOST_FAILURES)
        self.tally = Tally()
        self.types: Counter[str] = Counter()
        self.failed = 0
        self.numbers = KnownNumbers()
        self._unreadable = Stretches()
        self.undecodable = 0

    @property
    def following(self) -> bool:
        return self.list.live

    @property
    def choice(self) -> EventFilter:
        return self.list.choice

    @property
    def hidden(self) -> frozenset[str]:
        return self.choice.hidden

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        """Take in the frames that just came into the ring."""
        frames = [frame for _, frame in fresh]
        if not frames:
            return
        newest = frames[-1].position
        known = self.tally.newest
        if frames[0].position <= known:  # this is another log, put in the place of the one before
            self.list.reset(frames[0].position)
            self.failures.reset(frames[0].position)
            self.list.live = True
            known = 0
        gapless = newest - (known or frames[0].position - 1) == len(frames)
        items = frames if gapless else with_gaps(frames, known)
        self._count(frames)
        self.list.grow(items, frames[0].position, newest)
        self.numbers.learn(frames)
        if self.following:
            self.tally.let_pass()

    def _count(self, frames: Sequence[RingFrame]) -> None:
        last, count = frames[0].position, 0
        for frame in frames:
            if frame.position != last + (count > 0):
                self.tally.receive(last, count)
                count = 0
            last, count = frame.position, count + 1
        self.tally.receive(last, count)
        for name, many in Counter(frame.event_type for frame in frames).items():
            known = name in self.types or len(self.types) < MOST_TYPES
            self.types[name if known else OTHER_TYPES] += many
        failing = [frame for frame in frames if failed(frame.event_type)]
        self.failed += len(failing)
        self.failures.grow(failing, frames[0].position, last)

    def pause(self) -> None:
        self.list.live = False

    def follow(self) -> None:
        """Show the newest events again, and whatever comes in."""
        self.list.live = True
        self.list.reset(self.list.newest + 1)
        self.list.take_older()
        self.tally.let_pass()

    def end_at(self, position: int) -> None:
        """Show the log up to this position, and what failed in it, as if nothing had come after it."""
        for rows in (self.list, self.failures):
            rows.newest = position
            rows.live = True
            rows.reset(position + 1)

    def go(self, position: int) -> None:
        """Pause, with the events around a position; those that the ring has not got are read by `EventList.wants`."""
        self.list.live = False
        self.list.reset(position)
        self.list.take_newer()
        self.list.take_older()

    def choose(self, choice: EventFilter, at: int | None = None) -> None:
        """Show the events that fit only. A paused stream stays near the event at the position `at`."""
        self.list.choice = choice
        if self.following or at is None:
            self.follow()
        else:
            self.go(at)

    def show_only(self, hidden: Iterable[str]) -> None:
        """Switch these types of event off."""
        at = None if self.following else self.list.window.position(self.list.window.start)
        self.choose(self.choice.hiding(frozenset(hidden)), at)

    def note_painted(self, ranks: range) -> None:
        """Count the rows that were painted just now."""
        window = self.list.window
        positions = [position for position in map(window.position, ranks) if position is not None]
        if not positions:
            return
        if not self.following:
            self.tally.let_pass(positions[-1])
        self.tally.show(positions)

    def note_unreadable(self, row: EventRow) -> None:
        if not self._unreadable.holds(row.position):
            self._unreadable.add(row.position, row.position)
            self.undecodable += 1

    async def whole(self, gateway: Gateway, position: int) -> WireEvent | None:
        """The event at a position in full, from the log if the ring has dropped it; None when it cannot be read.

        Raises GatewayError.
        """
        frame = self.ring.get(self.ring.number_at(position))
        if frame is None or frame.position != position:
            frame = await read_event(gateway, position)
        return decode(frame.data)
