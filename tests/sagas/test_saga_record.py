"""What a saga writes about itself: after each kind of end of a move, and after each try that may succeed later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from core.domain import saga as e
from core.domain.message import payment_of
from core.domain.order import OrderCancelled, OrderCreated
from core.domain.payment import Payment
from core.domain.saga import SagaEvent, finished
from core.sagas import record
from core.sagas.actions import authorize, confirm, nothing, void
from core.sagas.holdings import open_items
from core.sagas.progress import Progress, SagaStatus, fold
from core.sagas.record import announced, concluded, failed, gave_up, provider_key, started
from core.sagas.refund_actions import refund_part
from core.sagas.saga import Effect, Instance, Move, Saga, Step, next_move
from tests.support.saga_facts import (
    COMPENSATED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    FAILED,
    RUNNING,
    SAGA_ID,
    order,
    payment,
    progress_at,
    types,
)
from tests.support.sample_saga import BUYS, RETURNS, RETURNS_FOR_EVER, SENDS
from tests.support.samples import NOW, ORDER_ID, authorized

PAUSE = timedelta(seconds=3)
IDLE = Step("s", nothing, nothing, None)
FORWARD, BACK = SagaStatus.RUNNING, SagaStatus.COMPENSATING


def the_move(saga: Saga, progress: Progress) -> Move:
    move = next_move(saga, progress)
    assert isinstance(move, Move)
    return move


def instance(saga: Saga, progress: Progress) -> Instance:
    return Instance(saga, SAGA_ID, ORDER_ID, progress)


def conclude(saga: Saga, progress: Progress, effect: Effect) -> Sequence[SagaEvent]:
    return concluded(instance(saga, progress), the_move(saga, progress), effect, NOW).events


def fail(saga: Saga, progress: Progress, *, after: timedelta = timedelta(), scale: float = 1.0) -> Sequence[SagaEvent]:
    move = the_move(saga, progress)
    return failed(instance(saga, progress), move, "away\x00", progress.since + after, PAUSE, scale).events


# --- the start ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("saga", "expected"),
    [
        (BUYS, ["Started", "StepCompleted open"]),
        (SENDS, ["Started", "StepStarted capture"]),
        (RETURNS, ["Started", "StepStarted void"]),
        (
            Saga("empty", 1, OrderCreated, (Step("s", nothing, nothing, None),)),
            ["Started", "StepCompleted s", "Completed"],
        ),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_a_new_saga_records_steps_that_have_nothing_to_do_as_completed(saga: Saga, expected: list[str]) -> None:
    assert types(started(instance(saga, progress_at(saga, FORWARD)), NOW, 1.0).events) == expected


def test_the_deadline_of_a_saga_is_scaled_and_a_saga_without_time_limit_has_none() -> None:
    first = started(instance(BUYS, progress_at(BUYS, FORWARD)), NOW, 0.5).events[0]
    assert first == e.SagaStarted(
        saga_id=SAGA_ID, name="buys", definition=1, order_id=ORDER_ID, deadline=NOW + timedelta(minutes=3)
    )
    without_end = started(instance(SENDS, progress_at(SENDS, FORWARD)), NOW, 0.5).events[0]
    assert isinstance(without_end, e.SagaStarted)
    assert without_end.deadline is None


# --- the end of a move --------------------------------------------------------------------------------------
DONE, NO, STOP = Effect(), Effect(refusal="no\x00 money "), Effect(abandon="cancelled\tby hand")
ENDS: list[tuple[Saga, SagaStatus, tuple[Any, ...], Effect, list[str]]] = [
    (BUYS, FORWARD, (COMPLETED,), DONE, ["StepCompleted reserve", "StepStarted charge"]),
    (BUYS, FORWARD, (COMPLETED,), NO, ["StepFailed reserve", "CompensationStarted"]),
    (BUYS, FORWARD, (COMPLETED,), STOP, ["CompensationStarted"]),
    (BUYS, FORWARD, (COMPLETED, COMPLETED, RUNNING), DONE, ["StepCompleted charge"]),
    (
        BUYS, FORWARD, (COMPLETED, COMPLETED, RUNNING), NO,
        ["StepFailed charge", "CompensationStarted"],
    ),
    (  # it may have been authorised: the void is announced
        BUYS, FORWARD, (COMPLETED, COMPLETED, RUNNING), STOP,
        ["CompensationStarted", "StepStarted charge"],
    ),
    (BUYS, FORWARD, (COMPLETED, COMPLETED), STOP, ["CompensationStarted"]),
    (BUYS, FORWARD, (COMPLETED,) * 3, DONE, ["StepCompleted confirm", "Completed"]),
    (BUYS, FORWARD, (COMPLETED,) * 3, STOP, ["CompensationStarted", "StepStarted charge"]),
    (BUYS, BACK, (COMPLETED, COMPLETED, COMPENSATING), DONE, ["StepCompensated charge"]),
    (BUYS, BACK, (COMPLETED, COMPLETED, COMPENSATING), NO, ["CompensationFailed charge"]),
    (BUYS, BACK, (COMPLETED, COMPLETED), DONE, ["StepCompensated reserve"]),
    (BUYS, BACK, (COMPLETED, FAILED), DONE, ["StepCompensated open", "Compensated"]),
    (BUYS, BACK, (COMPLETED, FAILED), NO, ["CompensationFailed open"]),
    (SENDS, FORWARD, (RUNNING,), DONE, ["StepCompleted capture"]),
    (SENDS, FORWARD, (COMPLETED,), DONE, ["StepCompleted ship", "Completed"]),
    (RETURNS, FORWARD, (COMPLETED,), DONE, ["StepCompleted release", "Completed"]),
]  # fmt: skip


@pytest.mark.parametrize(("saga", "status", "steps", "effect", "expected"), ENDS)
def test_each_result_of_a_move_records_the_events_that_the_table_states(
    saga: Saga, status: SagaStatus, steps: tuple[Any, ...], effect: Effect, expected: list[str]
) -> None:
    events = conclude(saga, progress_at(saga, status, *steps, announced=1), effect)
    assert types(events) == expected
    for event in events:
        match event:
            case e.SagaStepFailed() | e.SagaCompensationFailed():
                assert (event.error, event.final, event.retry_at, event.attempt) == ("no money", True, None, 1)
            case e.SagaCompensationStarted():
                assert event.reason == ("no money" if effect.refusal else "cancelled by hand")
            case e.SagaStepStarted():
                forward = event.step == "charge" and effect is DONE
                assert event.direction == ("forward" if forward else "backward")
                assert event.key == f"{payment_of(ORDER_ID)}:{'authorise' if forward else 'void'}"
            case _:
                pass


def test_a_saga_that_compensates_records_a_late_answer_and_undoes_it() -> None:
    progress = progress_at(BUYS, BACK, COMPLETED, COMPLETED, RUNNING)
    forward = Move(BUYS.step("charge"), forward=True)
    events = concluded(instance(BUYS, progress), forward, DONE, NOW).events
    assert types(events) == ["StepCompleted charge", "StepStarted charge"]
    undoing = events[-1]
    assert isinstance(undoing, e.SagaStepStarted)
    assert undoing.direction == "backward"


def test_a_saga_that_compensates_records_a_late_refusal_and_starts_no_second_compensation() -> None:
    progress = progress_at(BUYS, BACK, COMPLETED, COMPLETED, COMPENSATING, reason="cancelled by hand")
    forward = Move(BUYS.step("charge"), forward=True)
    assert types(concluded(instance(BUYS, progress), forward, NO, NOW).events) == ["StepFailed charge"]


def test_steps_without_an_undo_are_recorded_as_compensated_in_the_same_append() -> None:
    steps = tuple(Step(name, confirm, undo, None) for name, undo in (("a", nothing), ("b", nothing), ("c", confirm)))
    saga = Saga("mixed", 1, OrderCreated, steps)
    events = conclude(saga, progress_at(saga, BACK, COMPLETED, COMPLETED, COMPLETED), DONE)
    assert types(events) == ["StepCompensated c", "StepCompensated b", "StepCompensated a", "Compensated"]


# --- tries --------------------------------------------------------------------------------------------------
MINUTES, MOMENT = timedelta(minutes=1), timedelta(microseconds=1)
AUTHORISING = (COMPLETED, COMPLETED, RUNNING)
VOIDING = (COMPLETED, COMPLETED, COMPENSATING)
TRIES: list[tuple[Saga, SagaStatus, tuple[Any, ...], int, timedelta, float, bool]] = [
    # the attempts before this one, how long it has been tried, the scale of deadlines: is it over?
    (BUYS, FORWARD, AUTHORISING, 0, timedelta(), 1, False),
    (BUYS, FORWARD, AUTHORISING, 0, timedelta(days=1), 1, False),
    (BUYS, FORWARD, AUTHORISING, 1, timedelta(days=1), 1, False),
    (BUYS, FORWARD, AUTHORISING, 2, timedelta(days=1), 1, True),
    (BUYS, FORWARD, AUTHORISING, 2, 5 * MINUTES, 1, True),
    (BUYS, FORWARD, AUTHORISING, 2, 5 * MINUTES - MOMENT, 1, False),
    (BUYS, FORWARD, AUTHORISING, 99, 5 * MINUTES - MOMENT, 1, False),
    (BUYS, FORWARD, AUTHORISING, 2, 5 * MINUTES - MOMENT, 0.1, True),
    (BUYS, FORWARD, AUTHORISING, 2, 5 * MINUTES, 2, False),
    (BUYS, BACK, VOIDING, 8, timedelta(days=1), 1, False),
    (BUYS, BACK, VOIDING, 9, 15 * MINUTES, 1, True),
    (BUYS, BACK, VOIDING, 9, 15 * MINUTES - MOMENT, 1, False),
    (BUYS, BACK, VOIDING, 99, 15 * MINUTES - MOMENT, 1, False),
    (BUYS, BACK, VOIDING, 9, 2 * MINUTES, 0.1, True),
    (SENDS, FORWARD, (RUNNING,), 999, timedelta(days=999), 1, False),
    (RETURNS_FOR_EVER, FORWARD, (RUNNING,), 999, timedelta(days=999), 0.001, False),
    (RETURNS, FORWARD, (RUNNING,), 8, timedelta(days=1), 1, False),
    (RETURNS, FORWARD, (RUNNING,), 99, 15 * MINUTES - MOMENT, 1, False),
    (RETURNS, FORWARD, (RUNNING,), 9, 15 * MINUTES, 1, True),
]


@pytest.mark.parametrize(("saga", "status", "steps", "before", "after", "scale", "over"), TRIES)
def test_a_saga_tries_a_step_again_until_both_its_time_and_its_tries_are_used_up(
    saga: Saga, status: SagaStatus, steps: tuple[Any, ...], before: int, after: timedelta, scale: float, *, over: bool
) -> None:
    progress = progress_at(saga, status, *steps, attempts=before, announced=before + 1)
    first, *rest = fail(saga, progress, after=after, scale=scale)
    assert isinstance(first, e.SagaStepFailed if status is FORWARD else e.SagaCompensationFailed)
    assert (first.attempt, first.error) == (before + 1, "away")
    assert first.retry_at == (None if over else progress.since + after + PAUSE)
    assert first.final == (over and (saga.undoes or status is BACK)), (
        "a forward try may have happened: it is undone, not final"
    )
    undone = ["CompensationStarted", f"StepStarted {first.step}"]
    assert types(rest) == (undone if over and status is FORWARD and not saga.undoes else [])
    if rest:
        turned, undoing = rest
        assert isinstance(turned, e.SagaCompensationStarted)
        assert turned.reason == f"{first.step}: away"
        assert isinstance(undoing, e.SagaStepStarted)
        assert undoing.direction == "backward"


def test_a_saga_compensates_when_the_time_of_a_step_is_over_even_if_the_step_has_no_undo() -> None:
    saga = Saga(
        "called", 1, OrderCreated, (Step("a", confirm, nothing, None), Step("b", authorize, nothing, None, MINUTES))
    )
    progress = progress_at(saga, FORWARD, COMPLETED, RUNNING, attempts=5, announced=6)
    assert types(fail(saga, progress, after=MINUTES)) == [
        "StepFailed b", "CompensationStarted", "StepCompensated b", "StepCompensated a", "Compensated",
    ]  # fmt: skip


def test_a_saga_records_the_number_and_the_derived_key_of_each_try_before_the_call() -> None:
    progress = progress_at(BUYS, FORWARD, *AUTHORISING, attempts=2, announced=2)
    key = provider_key(instance(BUYS, progress), authorize, Payment())
    event = announced(instance(BUYS, progress), the_move(BUYS, progress), key)
    assert event == e.SagaStepStarted(
        saga_id=SAGA_ID, step="charge", direction="forward", attempt=3,
        key=f"{payment_of(ORDER_ID)}:authorise",
    )  # fmt: skip
    paid = payment(authorized)
    assert provider_key(instance(BUYS, progress), void, paid) == f"{payment_of(ORDER_ID)}:void"
    about = instance(BUYS, replace(progress, about="re-9"))
    assert provider_key(about, refund_part, paid) == f"{payment_of(ORDER_ID)}:refund:re-9"
    refused = replace(paid, refused_refunds=("re-9",))
    assert provider_key(about, refund_part, refused) == f"{payment_of(ORDER_ID)}:refund:re-9:2"


# --- when a person is needed --------------------------------------------------------------------------------
def test_a_failed_saga_records_its_reason_and_its_open_items() -> None:
    progress = progress_at(BUYS, BACK, COMPLETED, COMPLETED, COMPENSATION_FAILED, last_error="never")
    assert gave_up(instance(BUYS, progress), order()) == e.SagaFailed(
        saga_id=SAGA_ID,
        reason="never",
        open_items=(
            "order ORD-0123456789 is not cancelled",
            "2 x LAPTOP-001, 3 x SKU-007 may be held",
            "2001.48 USD may be authorised",
        ),
    )
    silent = progress_at(BUYS, BACK, COMPLETED)
    without_error = gave_up(instance(BUYS, silent), order())
    assert isinstance(without_error, e.SagaFailed)
    assert without_error.reason == "it could not be compensated"


@pytest.mark.parametrize(
    ("saga", "steps", "open_"),
    [
        (BUYS, (COMPENSATED, FAILED), ()),
        (BUYS, (COMPENSATED, COMPENSATED, RUNNING), ("2001.48 USD may be authorised",)),
        (BUYS, (COMPENSATED, COMPENSATED, COMPENSATED, COMPLETED), ("order ORD-0123456789 is confirmed",)),
        (SENDS, (RUNNING,), ("2001.48 USD may be captured",)),
        (SENDS, (COMPENSATED, COMPLETED), ()),
    ],
)
def test_the_open_items_of_a_saga_are_those_of_steps_that_may_have_happened(
    saga: Saga, steps: tuple[Any, ...], open_: tuple[str, ...]
) -> None:
    assert open_items(saga, progress_at(saga, BACK, *steps), order()) == open_


def test_an_order_that_was_cancelled_by_hand_is_no_open_item() -> None:
    progress = progress_at(BUYS, BACK, COMPLETED, COMPENSATED, COMPENSATION_FAILED)
    by_hand = order(OrderCancelled(order_id=ORDER_ID, reason="changed my mind", cancelled_at=NOW))
    assert open_items(BUYS, progress, by_hand) == ("2001.48 USD may be authorised",)


def test_a_fold_of_no_events_changes_nothing_and_a_failed_saga_is_not_finished() -> None:
    progress = progress_at(BUYS, FORWARD)
    assert fold(progress, [], NOW) is progress
    assert finished(e.SagaCompleted(saga_id=SAGA_ID))
    assert not finished(e.SagaFailed(saga_id=SAGA_ID, reason="r"))
    assert (record.LEAST_TRIES, record.LEAST_UNDO_TRIES) == (3, 10)
