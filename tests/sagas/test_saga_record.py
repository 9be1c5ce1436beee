"""What a saga writes about itself: after each kind of end of a move, and after each try that may succeed later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from core.domain import saga as e
from core.domain.message import payment_of
from core.domain.order import OrderCancelled, OrderCreated
from core.domain.saga import SagaEvent, finished
from core.sagas import record
from core.sagas.actions import authorize, confirm, nothing, void
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.record import announced, concluded, failed, fold, gave_up, open_items, provider_key, started
from core.sagas.saga import Effect, Move, Progress, Saga, SagaStatus, Step, next_move
from core.sagas.settle_order import SETTLE_ORDER
from core.sagas.unwind_order import UNWIND_ORDER, UNWIND_ORDER_1
from tests.support.saga_facts import (
    COMPENSATED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    FAILED,
    RUNNING,
    SAGA_ID,
    order,
    stands,
    types,
)
from tests.support.samples import NOW, ORDER_ID

PAUSE = timedelta(seconds=3)
FORWARD, BACK = SagaStatus.RUNNING, SagaStatus.COMPENSATING


def the_move(saga: Saga, progress: Progress) -> Move:
    move = next_move(saga, progress)
    assert isinstance(move, Move)
    return move


def conclude(saga: Saga, progress: Progress, effect: Effect) -> Sequence[SagaEvent]:
    return concluded(saga, SAGA_ID, ORDER_ID, progress, the_move(saga, progress), effect, NOW)


def fail(saga: Saga, progress: Progress, *, after: timedelta = timedelta(), scale: float = 1.0) -> Sequence[SagaEvent]:
    move = the_move(saga, progress)
    return failed(saga, SAGA_ID, ORDER_ID, progress, move, "away\x00", progress.since + after, PAUSE, scale)


# --- the start ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("saga", "expected"),
    [
        (FULFIL_ORDER, ["Started", "StepCompleted open_order"]),
        (SETTLE_ORDER, ["Started", "StepStarted capture_payment"]),
        (UNWIND_ORDER, ["Started", "StepStarted void_payment"]),
        (Saga("empty", 1, OrderCreated, (Step("s", nothing, nothing),)), ["Started", "StepCompleted s", "Completed"]),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_a_start_takes_with_it_what_needs_no_doing(saga: Saga, expected: list[str]) -> None:
    assert types(started(saga, SAGA_ID, ORDER_ID, NOW, 1.0)) == expected


def test_the_deadline_is_scaled_and_only_of_what_can_end() -> None:
    first = started(FULFIL_ORDER, SAGA_ID, ORDER_ID, NOW, 0.5)[0]
    assert first == e.SagaStarted(
        saga_id=SAGA_ID, name="fulfil_order", definition=1, order_id=ORDER_ID, deadline=NOW + timedelta(minutes=3)
    )
    without_end = started(SETTLE_ORDER, SAGA_ID, ORDER_ID, NOW, 0.5)[0]
    assert isinstance(without_end, e.SagaStarted)
    assert without_end.deadline is None


# --- the end of a move --------------------------------------------------------------------------------------
DONE, NO, STOP = Effect(), Effect(refusal="no\x00 money "), Effect(abandon="cancelled\tby hand")
ENDS: list[tuple[Saga, SagaStatus, tuple[Any, ...], Effect, list[str]]] = [
    (FULFIL_ORDER, FORWARD, (COMPLETED,), DONE, ["StepCompleted reserve_inventory", "StepStarted authorize_payment"]),
    (FULFIL_ORDER, FORWARD, (COMPLETED,), NO, ["StepFailed reserve_inventory", "CompensationStarted"]),
    (FULFIL_ORDER, FORWARD, (COMPLETED,), STOP, ["CompensationStarted"]),
    (FULFIL_ORDER, FORWARD, (COMPLETED, COMPLETED, RUNNING), DONE, ["StepCompleted authorize_payment"]),
    (
        FULFIL_ORDER, FORWARD, (COMPLETED, COMPLETED, RUNNING), NO,
        ["StepFailed authorize_payment", "CompensationStarted"],
    ),
    (  # it may have been authorised: the void is announced
        FULFIL_ORDER, FORWARD, (COMPLETED, COMPLETED, RUNNING), STOP,
        ["CompensationStarted", "StepStarted authorize_payment"],
    ),
    (FULFIL_ORDER, FORWARD, (COMPLETED, COMPLETED), STOP, ["CompensationStarted"]),
    (FULFIL_ORDER, FORWARD, (COMPLETED,) * 3, DONE, ["StepCompleted confirm_order", "Completed"]),
    (FULFIL_ORDER, FORWARD, (COMPLETED,) * 3, STOP, ["CompensationStarted", "StepStarted authorize_payment"]),
    (FULFIL_ORDER, BACK, (COMPLETED, COMPLETED, COMPENSATING), DONE, ["StepCompensated authorize_payment"]),
    (FULFIL_ORDER, BACK, (COMPLETED, COMPLETED, COMPENSATING), NO, ["CompensationFailed authorize_payment"]),
    (FULFIL_ORDER, BACK, (COMPLETED, COMPLETED), DONE, ["StepCompensated reserve_inventory"]),
    (FULFIL_ORDER, BACK, (COMPLETED, FAILED), DONE, ["StepCompensated open_order", "Compensated"]),
    (FULFIL_ORDER, BACK, (COMPLETED, FAILED), NO, ["CompensationFailed open_order"]),
    (SETTLE_ORDER, FORWARD, (RUNNING,), DONE, ["StepCompleted capture_payment"]),
    (SETTLE_ORDER, FORWARD, (COMPLETED,), DONE, ["StepCompleted ship_inventory", "Completed"]),
    (UNWIND_ORDER, FORWARD, (COMPLETED,), DONE, ["StepCompleted release_inventory", "Completed"]),
]  # fmt: skip


@pytest.mark.parametrize(("saga", "status", "steps", "effect", "expected"), ENDS)
def test_the_events_of_the_end_of_a_move(
    saga: Saga, status: SagaStatus, steps: tuple[Any, ...], effect: Effect, expected: list[str]
) -> None:
    events = conclude(saga, stands(saga, status, *steps, announced=1), effect)
    assert types(events) == expected
    for event in events:
        match event:
            case e.SagaStepFailed() | e.SagaCompensationFailed():
                assert (event.error, event.final, event.retry_at, event.attempt) == ("no money", True, None, 1)
            case e.SagaCompensationStarted():
                assert event.reason == ("no money" if effect.refusal else "cancelled by hand")
            case e.SagaStepStarted():
                forward = event.step == "authorize_payment" and effect is DONE
                assert event.direction == ("forward" if forward else "backward")
                assert event.key == f"{payment_of(ORDER_ID)}:{'authorise' if forward else 'void'}"
            case _:
                pass


def test_a_late_answer_while_it_compensates_is_recorded_and_undone() -> None:
    progress = stands(FULFIL_ORDER, BACK, COMPLETED, COMPLETED, RUNNING)
    forward = Move(FULFIL_ORDER.step("authorize_payment"), forward=True)
    events = concluded(FULFIL_ORDER, SAGA_ID, ORDER_ID, progress, forward, DONE, NOW)
    assert types(events) == ["StepCompleted authorize_payment", "StepStarted authorize_payment"]
    undoing = events[-1]
    assert isinstance(undoing, e.SagaStepStarted)
    assert undoing.direction == "backward"


def test_a_late_no_while_it_compensates_is_recorded_and_does_not_begin_the_compensation_again() -> None:
    progress = stands(FULFIL_ORDER, BACK, COMPLETED, COMPLETED, COMPENSATING, reason="cancelled by hand")
    forward = Move(FULFIL_ORDER.step("authorize_payment"), forward=True)
    assert types(concluded(FULFIL_ORDER, SAGA_ID, ORDER_ID, progress, forward, NO, NOW)) == [
        "StepFailed authorize_payment"
    ]


def test_the_undo_of_what_needs_none_is_recorded_with_what_came_before() -> None:
    steps = (Step("a", confirm, nothing), Step("b", confirm, nothing), Step("c", confirm, confirm))
    saga = Saga("mixed", 1, OrderCreated, steps)
    events = conclude(saga, stands(saga, BACK, COMPLETED, COMPLETED, COMPLETED), DONE)
    assert types(events) == ["StepCompensated c", "StepCompensated b", "StepCompensated a", "Compensated"]


# --- tries --------------------------------------------------------------------------------------------------
MINUTES, MOMENT = timedelta(minutes=1), timedelta(microseconds=1)
AUTHORISING = (COMPLETED, COMPLETED, RUNNING)
VOIDING = (COMPLETED, COMPLETED, COMPENSATING)
TRIES: list[tuple[Saga, SagaStatus, tuple[Any, ...], int, timedelta, float, bool]] = [
    # the attempts before this one, how long it has been tried, the scale of deadlines: is it over?
    (FULFIL_ORDER, FORWARD, AUTHORISING, 0, timedelta(), 1, False),
    (FULFIL_ORDER, FORWARD, AUTHORISING, 0, timedelta(days=1), 1, False),
    (FULFIL_ORDER, FORWARD, AUTHORISING, 1, timedelta(days=1), 1, False),
    (FULFIL_ORDER, FORWARD, AUTHORISING, 2, timedelta(days=1), 1, True),
    (FULFIL_ORDER, FORWARD, AUTHORISING, 2, 5 * MINUTES, 1, True),
    (FULFIL_ORDER, FORWARD, AUTHORISING, 2, 5 * MINUTES - MOMENT, 1, False),
    (FULFIL_ORDER, FORWARD, AUTHORISING, 99, 5 * MINUTES - MOMENT, 1, False),
    (FULFIL_ORDER, FORWARD, AUTHORISING, 2, 5 * MINUTES - MOMENT, 0.1, True),
    (FULFIL_ORDER, FORWARD, AUTHORISING, 2, 5 * MINUTES, 2, False),
    (FULFIL_ORDER, BACK, VOIDING, 8, timedelta(days=1), 1, False),
    (FULFIL_ORDER, BACK, VOIDING, 9, 15 * MINUTES, 1, True),
    (FULFIL_ORDER, BACK, VOIDING, 9, 15 * MINUTES - MOMENT, 1, False),
    (FULFIL_ORDER, BACK, VOIDING, 99, 15 * MINUTES - MOMENT, 1, False),
    (FULFIL_ORDER, BACK, VOIDING, 9, 2 * MINUTES, 0.1, True),
    (SETTLE_ORDER, FORWARD, (RUNNING,), 999, timedelta(days=999), 1, False),
    (UNWIND_ORDER_1, FORWARD, (RUNNING,), 999, timedelta(days=999), 0.001, False),
    (UNWIND_ORDER, FORWARD, (RUNNING,), 8, timedelta(days=1), 1, False),
    (UNWIND_ORDER, FORWARD, (RUNNING,), 99, 15 * MINUTES - MOMENT, 1, False),
    (UNWIND_ORDER, FORWARD, (RUNNING,), 9, 15 * MINUTES, 1, True),
]


@pytest.mark.parametrize(("saga", "status", "steps", "before", "after", "scale", "over"), TRIES)
def test_a_try_is_followed_by_another_until_its_time_and_its_tries_are_over(
    saga: Saga, status: SagaStatus, steps: tuple[Any, ...], before: int, after: timedelta, scale: float, *, over: bool
) -> None:
    progress = stands(saga, status, *steps, attempts=before, announced=before + 1)
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


def test_a_time_that_is_over_is_followed_by_the_undo_also_when_that_is_nothing() -> None:
    saga = Saga("called", 1, OrderCreated, (Step("a", confirm, nothing), Step("b", authorize, nothing, MINUTES)))
    progress = stands(saga, FORWARD, COMPLETED, RUNNING, attempts=5, announced=6)
    assert types(fail(saga, progress, after=MINUTES)) == [
        "StepFailed b", "CompensationStarted", "StepCompensated b", "StepCompensated a", "Compensated",
    ]  # fmt: skip


def test_each_try_is_announced_with_its_number_and_the_derived_key() -> None:
    progress = stands(FULFIL_ORDER, FORWARD, *AUTHORISING, attempts=2, announced=2)
    event = announced(SAGA_ID, ORDER_ID, progress, the_move(FULFIL_ORDER, progress))
    assert event == e.SagaStepStarted(
        saga_id=SAGA_ID, step="authorize_payment", direction="forward", attempt=3,
        key=f"{payment_of(ORDER_ID)}:authorise",
    )  # fmt: skip
    assert provider_key(ORDER_ID, void) == f"{payment_of(ORDER_ID)}:void"


# --- when a person is needed --------------------------------------------------------------------------------
def test_a_saga_that_gave_up_says_why_and_what_is_open() -> None:
    progress = stands(FULFIL_ORDER, BACK, COMPLETED, COMPLETED, COMPENSATION_FAILED, last_error="never")
    assert gave_up(FULFIL_ORDER, SAGA_ID, progress, order()) == e.SagaFailed(
        saga_id=SAGA_ID,
        reason="never",
        open_items=(
            "order ORD-0123456789 is not cancelled",
            "2 x LAPTOP-001, 3 x SKU-007 may be held",
            "2001.48 USD may be authorised",
        ),
    )
    silent = stands(FULFIL_ORDER, BACK, COMPLETED)
    without_error = gave_up(FULFIL_ORDER, SAGA_ID, silent, order())
    assert isinstance(without_error, e.SagaFailed)
    assert without_error.reason == "it could not be compensated"


@pytest.mark.parametrize(
    ("saga", "steps", "open_"),
    [
        (FULFIL_ORDER, (COMPENSATED, FAILED), ()),
        (FULFIL_ORDER, (COMPENSATED, COMPENSATED, RUNNING), ("2001.48 USD may be authorised",)),
        (FULFIL_ORDER, (COMPENSATED, COMPENSATED, COMPENSATED, COMPLETED), ("order ORD-0123456789 is confirmed",)),
        (SETTLE_ORDER, (RUNNING,), ("2001.48 USD may be captured",)),
        (SETTLE_ORDER, (COMPENSATED, COMPLETED), ()),
    ],
)
def test_only_what_may_have_happened_is_open(saga: Saga, steps: tuple[Any, ...], open_: tuple[str, ...]) -> None:
    assert open_items(saga, stands(saga, BACK, *steps), order()) == open_


def test_an_order_that_was_cancelled_by_hand_is_not_among_what_is_open() -> None:
    progress = stands(FULFIL_ORDER, BACK, COMPLETED, COMPENSATED, COMPENSATION_FAILED)
    by_hand = order(OrderCancelled(order_id=ORDER_ID, reason="changed my mind", cancelled_at=NOW))
    assert open_items(FULFIL_ORDER, progress, by_hand) == ("2001.48 USD may be authorised",)


def test_folding_nothing_is_nothing_and_ends_are_known() -> None:
    progress = stands(FULFIL_ORDER, FORWARD)
    assert fold(progress, [], NOW) is progress
    assert finished(e.SagaCompleted(saga_id=SAGA_ID))
    assert not finished(e.SagaFailed(saga_id=SAGA_ID, reason="r"))
    assert (record.LEAST_TRIES, record.LEAST_UNDO_TRIES) == (3, 10)
