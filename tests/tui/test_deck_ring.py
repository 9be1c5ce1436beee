from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tui.viewmodels.ring import Ring, RingFrame
from tui.viewmodels.stream import StreamModel

CAPACITY, MAX_BYTES = 7, 40


class RingMachine(RuleBasedStateMachine):
    """The ring beside a plain list of everything that was ever pushed."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = Ring(CAPACITY, MAX_BYTES)
        self.all: list[RingFrame] = []

    @rule(size=st.integers(0, 60))
    def push(self, size: int) -> None:
        frame = RingFrame(len(self.all) + 1, "E", b"x" * size)
        self.all.append(frame)
        self.ring.push(frame)

    @rule(number=st.integers(-3, 60))
    def get(self, number: int) -> None:
        held = self.ring.first <= number < self.ring.end
        assert self.ring.get(number) == (self.all[number] if held else None)

    @rule(number=st.integers(-3, 60))
    def since(self, number: int) -> None:
        start = max(number, self.ring.first)
        assert list(self.ring.since(number)) == list(enumerate(self.all))[start : self.ring.end]

    @invariant()
    def bounded_and_newest_first_to_stay(self) -> None:
        held = self.all[self.ring.first :]
        assert self.ring.end == len(self.all)
        assert len(held) == len(self.ring) <= CAPACITY
        assert self.ring.bytes == sum(len(f.data) for f in held)
        assert self.ring.bytes <= MAX_BYTES or len(held) == 1

    @invariant()
    def nothing_is_dropped_without_need(self) -> None:
        held = self.all[self.ring.first :]
        if self.ring.first and len(held) < CAPACITY:
            worst = max(sum(len(f.data) for f in self.all[self.ring.first - 1 : n]) for n in range(len(self.all) + 1))
            assert worst > MAX_BYTES


TestRing = RingMachine.TestCase
TestRing.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class StreamMachine(RuleBasedStateMachine):
    """The stream over a small ring: pauses, filters and overruns in any order lose no failure and invent no row."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = Ring(CAPACITY, 10_000)
        self.stream = StreamModel(self.ring)
        self.pushed: list[str] = []

    @rule(types=st.lists(st.sampled_from(["OrderCreated", "PaymentFailed", "SagaStepFailed"]), max_size=5))
    def arrive(self, types: list[str]) -> None:
        for name in types:
            self.pushed.append(name)
            self.ring.push(RingFrame(len(self.pushed), name, b"{}"))
        self.stream.absorb([*self.ring.since(len(self.pushed) - len(types))])

    @rule()
    def pause(self) -> None:
        self.stream.pause()

    @rule()
    def follow(self) -> None:
        self.stream.follow()

    @rule(hidden=st.sets(st.sampled_from(["OrderCreated", "PaymentFailed"])))
    def filter(self, hidden: set[str]) -> None:
        self.stream.show_only(hidden)

    @rule()
    def paint(self) -> None:
        self.stream.note_painted(range(max(self.stream.first, self.stream.end - 3), self.stream.end))

    @invariant()
    def rows_are_the_held_frames_that_pass(self) -> None:
        rows = [self.stream.number(rank) for rank in range(self.stream.first, self.stream.newest)]
        held = range(self.ring.first, self.ring.end)
        assert rows == [n for n in held if self.pushed[n] not in self.stream.hidden]

    @invariant()
    def counters_add_up(self) -> None:
        assert 0 <= self.stream.painted <= self.ring.end
        assert self.stream.waiting >= 0
        assert self.stream.following <= (self.stream.waiting == 0)
        assert self.stream.failed == sum(name.endswith("Failed") for name in self.pushed)

    @invariant()
    def no_failure_misses_the_strip(self) -> None:
        assert list(self.stream.failures) == [n for n, name in enumerate(self.pushed) if name.endswith("Failed")][-200:]


TestStream = StreamMachine.TestCase
TestStream.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_paused_stream_stays_where_it_is_while_a_type_is_hidden() -> None:
    stream = StreamModel(Ring(100))
    for n in range(10):
        stream.ring.push(RingFrame(n + 1, "A" if n % 2 else "B", b"{}"))
    stream.absorb([*stream.ring.since(0)])
    stream.pause()
    stream.ring.push(RingFrame(11, "A", b"{}"))
    stream.absorb([*stream.ring.since(10)])
    stream.show_only({"B"})
    assert [stream.number(rank) for rank in range(stream.first, stream.end)] == [1, 3, 5, 7, 9]
    assert stream.waiting == 1


def test_rows_painted_twice_count_once_and_rows_that_flew_past_are_skipped() -> None:
    stream = StreamModel(Ring(100))
    for n in range(50):
        stream.ring.push(RingFrame(n + 1, "A", b"{}"))
    stream.absorb([*stream.ring.since(0)])
    stream.note_painted(range(40, 50))
    stream.note_painted(range(35, 45))  # scrolled back a little: five new rows
    assert (stream.painted, stream.skipped) == (15, 35)


def test_an_unreadable_event_is_counted_once_however_often_it_is_painted() -> None:
    stream = StreamModel(Ring(10))
    stream.ring.push(RingFrame(1, "A", b"not json"))
    stream.absorb([*stream.ring.since(0)])
    assert stream.event(0) is None
    assert stream.event(0) is None
    assert stream.undecodable == 1
