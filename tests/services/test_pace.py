"""Pauses: longer while nothing comes, and ending at the same moments in all processes."""

from __future__ import annotations

import time

import pytest

from core.pace import AFTER, Pace, together


@pytest.mark.parametrize("seconds", [0.25, 0.5, 1.0, 2.0, 3.0, 10.0])
@pytest.mark.parametrize("early", [-0.001, 0.0, 0.004])
def test_a_pause_ends_with_those_of_others_and_then_is_as_long_as_it_was_asked_to_be(
    monkeypatch: pytest.MonkeyPatch, seconds: float, early: float
) -> None:
    now = 1_700_000_000.9
    monkeypatch.setattr(time, "time", lambda: now)
    first = together(seconds)
    assert 0 < first <= seconds + AFTER
    for _ in range(3):
        before = now
        now += together(seconds) + early  # a loop that wakes a little early or late
        assert now % (0.25 if seconds < 1 else 2 if seconds in (2, 10) else 1) == pytest.approx(AFTER + early, abs=1e-6)
    assert now - before == pytest.approx(seconds, abs=0.01)


def test_a_short_pause_is_as_long_as_it_was_asked_to_be() -> None:
    assert together(0.1) == 0.1


def test_pauses_grow_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: AFTER + 5.0)
    pace = Pace(0.25, 1.0)
    assert [pace.pause() for _ in range(4)] == pytest.approx([0.25, 0.5, 1.0, 1.0])
    pace.came()
    assert pace.pause() == pytest.approx(0.25)
