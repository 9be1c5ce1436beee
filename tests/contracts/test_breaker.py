"""The breaker opens for an outage, not for one charge, and closes by one probe."""

from __future__ import annotations

import pytest

from core.adapters.payments.breaker import FIRST_OPEN, IN_A_ROW, LONGEST_OPEN, WINDOW, Admitted, Breaker
from core.errors import GatewayNotTried


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def open_breaker(time: Time) -> Breaker:
    breaker = Breaker(time)
    for n in range(IN_A_ROW):
        breaker.failed(f"charge {n}", breaker.admit())
    return breaker


def test_five_charges_that_fail_in_a_row_open_the_breaker() -> None:
    breaker = open_breaker(Time())
    assert not breaker.closed
    with pytest.raises(GatewayNotTried) as refused:
        breaker.admit()
    assert FIRST_OPEN * 0.8 <= (refused.value.retry_after or 0) <= FIRST_OPEN * 1.2


def test_one_charge_that_fails_a_hundred_times_does_not_open_the_breaker() -> None:
    breaker = Breaker(Time())
    for _ in range(100):
        breaker.failed("the same", breaker.admit())
    assert breaker.closed


def test_failures_of_half_of_the_last_twenty_charges_open_the_breaker() -> None:
    breaker = Breaker(Time())
    for n in range(WINDOW // 2):
        assert breaker.closed
        breaker.succeeded(f"good {n}", breaker.admit())
        breaker.failed(f"bad {n}", breaker.admit())
    assert not breaker.closed


def test_an_open_breaker_lets_one_call_through_as_a_probe_and_its_success_closes_the_breaker() -> None:
    time = Time()
    breaker = open_breaker(time)
    time.now += FIRST_OPEN * 1.2
    probe = breaker.admit()
    with pytest.raises(GatewayNotTried):
        breaker.admit()
    breaker.succeeded("probe", probe)
    assert breaker.closed
    breaker.admit()


def test_each_failed_probe_doubles_the_time_the_breaker_stays_open_up_to_a_minute() -> None:
    time = Time()
    breaker = open_breaker(time)
    wait = FIRST_OPEN
    for _ in range(8):
        time.now += wait * 1.2
        breaker.failed("probe", breaker.admit())
        wait = min(2 * wait, LONGEST_OPEN)
        with pytest.raises(GatewayNotTried) as refused:
            breaker.admit()
        assert wait * 0.8 <= (refused.value.retry_after or 0) <= wait * 1.2
    assert wait == LONGEST_OPEN


def test_after_a_probe_is_cancelled_the_breaker_lets_another_probe_through() -> None:
    time = Time()
    breaker = open_breaker(time)
    time.now += FIRST_OPEN * 1.2
    breaker.not_made(breaker.admit())
    breaker.admit()


def half_open_with_a_late_call(time: Time) -> tuple[Breaker, Admitted, Admitted]:
    """A breaker that waits for the answer of its probe, that probe, and a call that began before the breaker opened."""
    breaker = Breaker(time)
    late = breaker.admit()
    for n in range(IN_A_ROW):
        breaker.failed(f"charge {n}", breaker.admit())
    time.now += FIRST_OPEN * 1.2
    return breaker, breaker.admit(), late


def test_an_older_call_that_fails_during_the_probe_is_not_taken_for_the_probe() -> None:
    breaker, probe, late = half_open_with_a_late_call(Time())
    breaker.failed("late", late)
    with pytest.raises(GatewayNotTried) as refused:
        breaker.admit()  # the probe is still under way
    assert refused.value.retry_after == 1.0, "and it was not opened again for longer"
    breaker.succeeded("probe", probe)
    assert breaker.closed


def test_an_older_call_that_is_cancelled_during_the_probe_lets_no_second_probe_through() -> None:
    breaker, _, late = half_open_with_a_late_call(Time())
    breaker.not_made(late)
    with pytest.raises(GatewayNotTried):
        breaker.admit()


def test_an_older_call_that_succeeds_closes_the_breaker_and_the_probes_failure_then_counts_as_one_call() -> None:
    breaker, probe, late = half_open_with_a_late_call(Time())
    breaker.succeeded("late", late)
    assert breaker.closed
    breaker.failed("probe", probe)
    assert breaker.closed


def test_an_older_call_that_fails_while_the_breaker_is_open_changes_nothing() -> None:
    time = Time()
    breaker = Breaker(time)
    late = breaker.admit()
    for n in range(IN_A_ROW):
        breaker.failed(f"charge {n}", breaker.admit())
    breaker.failed("late", late)
    time.now += FIRST_OPEN * 1.2
    breaker.admit()
