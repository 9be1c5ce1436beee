from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tui.viewmodels.ring import Ring, RingFrame

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

    @rule(position=st.integers(-3, 60))
    def number_at(self, position: int) -> None:
        held = range(self.ring.first, self.ring.end)
        assert self.ring.number_at(position) == next((n for n in held if n + 1 >= position), self.ring.end)

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
