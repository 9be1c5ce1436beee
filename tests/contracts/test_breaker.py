"""The breaker opens when the provider answers nobody, not for some charges, and only its probe closes it."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.adapters.payments.breaker import FIRST_OPEN, IN_A_ROW, LATELY, LONGEST_OPEN, TRIES, Admitted, Breaker
from core.errors import GatewayNotTried

_numbers = count()


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def cut_off(breaker: Breaker, charge: str = "any") -> None:
    """A call that does not reach the provider."""
    assert not breaker.failed(breaker.admit(), charge, reached=False)


def open_breaker(time: Time) -> Breaker:
    breaker = Breaker(time)
    for _ in range(IN_A_ROW):
        cut_off(breaker)
    assert not breaker.closed
    return breaker


def fail_until_asked(breaker: Breaker) -> Admitted:
    """Answer 503 to charge after charge, until the breaker wants the provider to be asked something else."""
    for n in range(IN_A_ROW - 1):
        assert not breaker.failed(breaker.admit(), f"charge {next(_numbers)} {n}", reached=True)
    call = breaker.admit()
    assert breaker.failed(call, f"charge {next(_numbers)}", reached=True)
    return call


def wait_until_it_lets_a_probe_through(breaker: Breaker, time: Time) -> None:
    time.now += LONGEST_OPEN * 1.2
    assert breaker.may_probe


# --- opening ------------------------------------------------------------------------------------------------
def test_five_calls_in_a_row_that_do_not_reach_the_provider_open_the_breaker() -> None:
    breaker = open_breaker(Time())
    with pytest.raises(GatewayNotTried) as refused:
        breaker.admit()
    assert FIRST_OPEN * 0.8 - 0.1 <= (refused.value.retry_after or 0) <= FIRST_OPEN * 1.2


def test_five_calls_in_a_row_that_fail_open_the_breaker_if_the_provider_answers_nothing_else_either() -> None:
    breaker = Breaker(Time())
    breaker.asked(fail_until_asked(breaker), answers=False)
    assert not breaker.closed


def test_five_charges_in_a_row_that_fail_do_not_open_the_breaker_if_the_provider_answers_something_else() -> None:
    breaker = Breaker(Time())
    for _ in range(20):
        breaker.asked(fail_until_asked(breaker), answers=True)
        assert breaker.closed


def test_only_one_caller_at_a_time_asks_the_provider_something_else() -> None:
    breaker = Breaker(Time())
    asking = fail_until_asked(breaker)
    assert not breaker.failed(breaker.admit(), "another", reached=True)
    breaker.not_made(breaker.admit())
    assert not breaker.failed(breaker.admit(), "another", reached=True), "a call that was given up is not the question"
    breaker.not_made(asking)
    assert breaker.failed(breaker.admit(), "another", reached=True), "the question was given up, so the next one asks"


def test_charges_that_fail_among_others_that_are_answered_never_open_the_breaker() -> None:
    breaker = Breaker(Time())
    for n in range(300):
        calls = [breaker.admit() for _ in range(64)]
        breaker.answered(calls.pop(), executed=True)
        for call in calls:  # they began before that answer
            assert not breaker.failed(call, f"bad {n}", reached=n % 2 == 0)
    assert breaker.closed


def test_thousands_of_charges_that_fail_twice_each_do_not_open_the_breaker_however_long_it_takes() -> None:
    time = Time()
    breaker = Breaker(time)
    for charge in [str(n) for n in range(3_000)] * 2:
        call = breaker.admit()
        if breaker.failed(call, charge, reached=True):
            breaker.asked(call, answers=True)
        time.now += 1
    assert breaker.closed


def test_a_provider_that_executes_none_of_many_tries_opens_the_breaker_although_it_answers_look_ups() -> None:
    time = Time()
    breaker = Breaker(time)
    for tries in range(TRIES):
        assert breaker.closed, tries
        for n in range(IN_A_ROW):
            call = breaker.admit()
            if breaker.failed(call, str(n), reached=True):
                breaker.asked(call, answers=True)
    assert not breaker.closed
    for _ in range(5):
        time.now += FIRST_OPEN * 1.2
        assert not breaker.failed(breaker.admit(), "the probe", reached=True), "a look-up would say nothing here"
        assert not breaker.closed
    time.now += FIRST_OPEN * 1.2
    breaker.answered(breaker.admit(), executed=True)
    assert breaker.closed


def test_one_charge_that_fails_for_an_hour_does_not_open_the_breaker() -> None:
    time = Time()
    breaker = Breaker(time)
    for _ in range(360):
        call = breaker.admit()
        if breaker.failed(call, "the same", reached=True):
            breaker.asked(call, answers=True)
        time.now += 10
    assert breaker.closed


# --- the probe ----------------------------------------------------------------------------------------------
def test_an_open_breaker_lets_one_call_through_as_a_probe_and_its_answer_closes_the_breaker() -> None:
    time = Time()
    breaker = open_breaker(time)
    wait_until_it_lets_a_probe_through(breaker, time)
    probe = breaker.admit()
    assert not breaker.may_probe
    with pytest.raises(GatewayNotTried):
        breaker.admit()
    breaker.answered(probe, executed=True)
    assert breaker.closed
    breaker.admit()


@pytest.mark.parametrize("answers", [True, False])
def test_a_probe_that_meets_a_bad_card_closes_the_breaker_if_the_provider_answers_something_else(
    *, answers: bool
) -> None:
    time = Time()
    breaker = open_breaker(time)
    wait_until_it_lets_a_probe_through(breaker, time)
    probe = breaker.admit()
    assert breaker.failed(probe, "a bad card", reached=True)
    assert not breaker.closed
    assert not breaker.may_probe
    breaker.asked(probe, answers=answers)
    assert breaker.closed is answers


def test_each_failed_probe_doubles_the_time_the_breaker_stays_open_up_to_a_minute() -> None:
    time = Time()
    breaker = open_breaker(time)
    wait = FIRST_OPEN
    for _ in range(8):
        time.now += wait * 1.2
        cut_off(breaker)
        wait = min(2 * wait, LONGEST_OPEN)
        with pytest.raises(GatewayNotTried) as refused:
            breaker.admit()
        assert wait * 0.8 - 0.1 <= (refused.value.retry_after or 0) <= wait * 1.2
    assert wait == LONGEST_OPEN


def test_after_a_probe_is_given_up_the_breaker_lets_another_probe_through() -> None:
    time = Time()
    breaker = open_breaker(time)
    wait_until_it_lets_a_probe_through(breaker, time)
    breaker.not_made(breaker.admit())
    breaker.admit()


# --- calls that are late ------------------------------------------------------------------------------------
def late_reports(breaker: Breaker, late: Admitted) -> Any:
    return {
        "an answer": lambda: breaker.answered(late, executed=True),
        "a failure": lambda: breaker.failed(late, "late", reached=True),
        "a refused connection": lambda: breaker.failed(late, "late", reached=False),
        "a question that was answered": lambda: breaker.asked(late, answers=True),
        "a question that was not answered": lambda: breaker.asked(late, answers=False),
        "a cancellation": lambda: breaker.not_made(late),
    }


def test_whatever_a_call_of_before_the_breaker_opened_reports_changes_nothing_while_it_is_open_or_half_open() -> None:
    for report in late_reports(Breaker(), Breaker().admit()):
        time = Time()
        breaker = Breaker(time)
        late = breaker.admit()
        for _ in range(IN_A_ROW):
            cut_off(breaker)
        late_reports(breaker, late)[report]()
        assert not breaker.closed, report
        assert not breaker.may_probe, report
        wait_until_it_lets_a_probe_through(breaker, time)
        probe = breaker.admit()
        late_reports(breaker, late)[report]()
        assert not breaker.closed, report
        assert not breaker.may_probe, f"{report} is not taken for the probe's"
        breaker.answered(probe, executed=True)
        assert breaker.closed, report
        for _ in range(2 * IN_A_ROW):
            late_reports(breaker, late)[report]()
        assert breaker.closed, report


def test_four_thousand_late_answers_after_the_breaker_opened_do_not_move_it_once() -> None:
    breaker = Breaker(Time())
    late = [breaker.admit() for _ in range(4_000)]
    with capture_logs() as logs:
        for _ in range(IN_A_ROW):
            cut_off(breaker)
        for n, call in enumerate(late):
            if n % 2:
                breaker.answered(call, executed=True)
            else:
                breaker.failed(call, str(n), reached=True)
    assert not breaker.closed
    assert len(logs) == 1


# --- the log ------------------------------------------------------------------------------------------------
def test_changes_are_logged_at_most_once_a_second_with_their_number_and_the_last_one_is_never_left_out() -> None:
    time = Time()
    with capture_logs() as logs:
        breaker = open_breaker(time)
        breaker._until = time.now
        breaker.answered(breaker.admit(), executed=True)
        for _ in range(IN_A_ROW):
            cut_off(breaker)
        assert [each["changes"] for each in logs] == [1], "the others are less than a second later"
        time.now += 1
        breaker.log_change()
        assert [each["changes"] for each in logs] == [1, 2]
        assert "away" in logs[-1]["event"]
        breaker.log_change()
        assert len(logs) == 2


def test_an_open_breaker_holds_calls_back_only_as_long_as_somebody_wants_to_call() -> None:
    time = Time()
    assert not Breaker(time).holds_back
    breaker = open_breaker(time)
    for _ in range(5):
        time.now += LATELY * 0.9
        assert breaker.holds_back
        cut_off(breaker)  # a probe
    time.now += LATELY * 1.1
    assert not breaker.holds_back
    assert not breaker.closed
