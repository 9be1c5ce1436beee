"""Tally: what came in was shown, was skipped or waits, whatever the operator does."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tui.viewmodels.tally import MOST_STRETCHES, Stretches, Tally


class TallyMachine(RuleBasedStateMachine):
    """The tally beside plain sets of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()
        self.came: set[int] = set()
        self.passed: set[int] = set()
        self.shown: set[int] = set()
        self.head = 7

    @rule(missed=st.integers(0, 3), count=st.integers(1, 5))
    def receive(self, missed: int, count: int) -> None:
        first = self.head + 1 + missed
        self.head = first + count - 1
        self.came |= set(range(first, self.head + 1))
        self.tally.receive(self.head, count)

    @rule(back=st.integers(-2, 12))
    def let_pass(self, back: int) -> None:
        self.tally.let_pass(self.head - back)
        self.passed |= {p for p in self.came if p <= self.head - back}

    @rule(start=st.integers(0, 40), count=st.integers(0, 6))
    def show(self, start: int, count: int) -> None:
        self.tally.show(range(start, start + count))
        upto = max(self.passed, default=0)
        self.shown |= {p for p in range(start, start + count) if p in self.came and p <= upto}

    @invariant()
    def it_counts_as_the_sets_do(self) -> None:
        assert self.tally.received == len(self.came)
        assert self.tally.waiting == len(self.came - self.passed)
        assert self.tally.shown == len(self.shown)
        assert self.tally.skipped == len(self.passed - self.shown)


TestTally = TallyMachine.TestCase
TestTally.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_tally_starts_anew_with_another_log_and_still_adds_up() -> None:
    tally = Tally()
    tally.receive(100, 10)
    tally.let_pass()
    tally.show(range(95, 101))
    tally.receive(103, 3)  # wait
    tally.receive(4, 4)  # another log
    assert (tally.received, tally.shown, tally.skipped, tally.waiting) == (17, 6, 7, 4)
    tally.let_pass()
    tally.show(range(1, 5))
    assert (tally.received, tally.shown, tally.skipped, tally.waiting) == (17, 10, 7, 0)


def test_what_was_shown_is_remembered_within_bounds_and_counted_at_most_once() -> None:
    tally = Tally()
    for n in range(0, 5 * MOST_STRETCHES, 2):
        tally.receive(n + 2, 2)
        tally.let_pass()
        tally.show([n + 2])
    tally.show(range(1, 5 * MOST_STRETCHES))
    assert 5 * MOST_STRETCHES // 2 <= tally.shown <= tally.received
    seen = Stretches(3)
    for n in (10, 20, 30, 40):
        seen.add(n, n)
    assert [seen.holds(n) for n in (5, 10, 15, 20, 30, 40)] == [True, True, False, True, True, True]
