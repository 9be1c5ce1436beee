"""The breaker opens for an outage, not for one charge, and closes by one probe."""

from __future__ import annotations

import pytest

from core.adapters.payments.breaker import FIRST_OPEN, IN_A_ROW, LONGEST_OPEN, WINDOW, Breaker
from core.errors import GatewayNotTried


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(time: Time) -> Breaker:
    breaker = Breaker(time)
    for n in range(IN_A_ROW):
        breaker.admit()
        breaker.failed(f"charge {n}")
    return breaker


def test_five_charges_that_fail_in_a_row_open_it() -> None:
    breaker = opened(Time())
    assert not breaker.closed
    with pytest.raises(GatewayNotTried) as refused:
        breaker.admit()
    assert FIRST_OPEN * 0.8 <= (refused.value.retry_after or 0) <= FIRST_OPEN * 1.2


def test_one_charge_that_fails_again_and_again_does_not() -> None:
    breaker = Breaker(Time())
    for _ in range(100):
        breaker.admit()
        breaker.failed("the same")
    assert breaker.closed


def test_half_of_the_last_twenty_open_it() -> None:
    breaker = Breaker(Time())
    for n in range(WINDOW // 2):
        assert breaker.closed
        breaker.succeeded(f"good {n}")
        breaker.failed(f"bad {n}")
    assert not breaker.closed


def test_one_call_probes_while_the_others_wait_and_its_success_closes_it() -> None:
    time = Time()
    breaker = opened(time)
    time.now += FIRST_OPEN * 1.2
    breaker.admit()
    with pytest.raises(GatewayNotTried):
        breaker.admit()
    breaker.succeeded("probe")
    assert breaker.closed
    breaker.admit()


def test_a_failed_probe_doubles_the_wait_up_to_a_minute() -> None:
    time = Time()
    breaker = opened(time)
    wait = FIRST_OPEN
    for _ in range(8):
        time.now += wait * 1.2
        breaker.admit()
        breaker.failed("probe")
        wait = min(2 * wait, LONGEST_OPEN)
        with pytest.raises(GatewayNotTried) as refused:
            breaker.admit()
        assert wait * 0.8 <= (refused.value.retry_after or 0) <= wait * 1.2
    assert wait == LONGEST_OPEN


def test_a_probe_that_was_given_up_lets_the_next_one_through() -> None:
    time = Time()
    breaker = opened(time)
    time.now += FIRST_OPEN * 1.2
    breaker.admit()
    breaker.not_made()
    breaker.admit()


def test_a_failure_that_was_on_its_way_when_it_opened_changes_nothing() -> None:
    time = Time()
    breaker = opened(time)
    breaker.failed("late")
    time.now += FIRST_OPEN * 1.2
    breaker.admit()
