"""How far a saga has come: the fold of its own events, and what is next at every place of every table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.domain import saga as e
from core.domain.order import OrderCancelled, OrderCreated, OrderShipped
from core.sagas import SAGAS
from core.sagas.actions import nothing
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.saga import Move, Nothing, Progress, Saga, SagaStatus, Step, evolve, next_move
from core.sagas.settle_order import SETTLE_ORDER
from core.sagas.unwind_order import UNWIND_ORDER
from tests.support.saga_facts import (
    COMPENSATED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    SAGA_ID,
    SECOND,
    SKIPPED,
    stands,
    told,
)
from tests.support.samples import NOW, ORDER_ID, created

LATER = NOW + 90 * SECOND
BEFORE = told(
    e.SagaStepStarted(saga_id=SAGA_ID, step="s", direction="forward", attempt=1, key="k"),
    e.SagaStepFailed(saga_id=SAGA_ID, step="s", attempt=1, error="away", final=False),
)
FRESH: dict[str, Any] = {"since": LATER, "attempts": 0, "announced": 0, "last_error": None}
BY: dict[str, Any] = {"reason": "r", "by": "ann"}

EVOLVED: list[tuple[e.SagaEvent, dict[str, Any]]] = [
    (
        e.SagaStepStarted(saga_id=SAGA_ID, step="s", direction="forward", attempt=2, key="k"),
        {"s": RUNNING, "announced": 2},
    ),
    (
        e.SagaStepStarted(saga_id=SAGA_ID, step="s", direction="backward", attempt=1, key="k"),
        {"s": COMPENSATING, "announced": 1},
    ),
    (e.SagaStepCompleted(saga_id=SAGA_ID, step="s"), {"s": COMPLETED, **FRESH}),
    (
        e.SagaStepFailed(saga_id=SAGA_ID, step="s", attempt=2, error="declined", final=True),
        {"s": FAILED, "attempts": 2, "last_error": "declined"},
    ),
    (
        e.SagaStepFailed(saga_id=SAGA_ID, step="s", attempt=2, error="busy", final=False),
        {"attempts": 2, "last_error": "busy"},
    ),
    (
        e.SagaCompensationStarted(saga_id=SAGA_ID, reason="why"),
        {"status": SagaStatus.COMPENSATING, "reason": "why", **FRESH},
    ),
    (e.SagaStepCompensated(saga_id=SAGA_ID, step="s"), {"s": COMPENSATED, **FRESH}),
    (
        e.SagaCompensationFailed(saga_id=SAGA_ID, step="s", attempt=2, error="never", final=True),
        {"s": COMPENSATION_FAILED, "attempts": 2, "last_error": "never"},
    ),
    (
        e.SagaCompensationFailed(saga_id=SAGA_ID, step="s", attempt=2, error="busy", final=False),
        {"attempts": 2, "last_error": "busy"},
    ),
    (e.SagaCompleted(saga_id=SAGA_ID), {"status": SagaStatus.COMPLETED}),
    (e.SagaCompensated(saga_id=SAGA_ID), {"status": SagaStatus.COMPENSATED}),
    (e.SagaFailed(saga_id=SAGA_ID, reason="r"), {"status": SagaStatus.FAILED}),
    (e.SagaStarted(saga_id=SAGA_ID, name="n", definition=1, order_id=ORDER_ID), {}),
    (e.SagaRetried(saga_id=SAGA_ID, **BY), FRESH),
    (e.SagaStepSkipped(saga_id=SAGA_ID, step="s", **BY), {"s": SKIPPED, **FRESH}),
    (
        e.SagaCompensationRequested(saga_id=SAGA_ID, **BY),
        {"status": SagaStatus.COMPENSATING, "reason": BY["reason"], **FRESH},
    ),
    (e.SagaResolved(saga_id=SAGA_ID, **BY), {"status": SagaStatus.RESOLVED}),
]


def test_a_saga_starts_running_with_everything_before_it() -> None:
    first = e.SagaStarted(saga_id=SAGA_ID, name="n", definition=1, order_id=ORDER_ID)
    assert evolve(None, first, LATER) == Progress(status=SagaStatus.RUNNING, since=LATER)
    assert evolve(None, first, LATER).of("any") is PENDING


@pytest.mark.parametrize(("event", "changes"), EVOLVED, ids=lambda x: type(x).__name__)
def test_each_event_changes_this_and_nothing_else(event: e.SagaEvent, changes: dict[str, Any]) -> None:
    found = evolve(BEFORE, event, LATER)
    for name in set(Progress.__struct_fields__) - {"steps"}:
        assert getattr(found, name) == changes.get(name, getattr(BEFORE, name)), name
    assert found.of("s") is changes.get("s", RUNNING)
    assert BEFORE.of("s") is RUNNING, "the progress before is as it was"


def test_every_event_of_a_saga_is_in_that_table() -> None:
    assert {type(event) for event, _ in EVOLVED} == set(e.EVENTS)


def test_a_word_from_another_stream_changes_nothing() -> None:
    assert evolve(BEFORE, created, LATER) is BEFORE


# --- what is next -------------------------------------------------------------------------------------------
DONE = COMPLETED
FORWARD, BACK = SagaStatus.RUNNING, SagaStatus.COMPENSATING
NEXT: list[tuple[Saga, SagaStatus, tuple[Any, ...], str | SagaStatus | None]] = [
    (FULFIL_ORDER, FORWARD, (), "do open_order"),
    (FULFIL_ORDER, FORWARD, (DONE,), "do reserve_inventory"),
    (FULFIL_ORDER, FORWARD, (DONE, DONE), "do authorize_payment"),
    (FULFIL_ORDER, FORWARD, (DONE, DONE, RUNNING), "do authorize_payment"),
    (FULFIL_ORDER, FORWARD, (DONE, DONE, DONE), "do confirm_order"),
    (FULFIL_ORDER, FORWARD, (DONE, DONE, SKIPPED), "do confirm_order"),
    (FULFIL_ORDER, FORWARD, (DONE, DONE, DONE, DONE), SagaStatus.COMPLETED),
    (FULFIL_ORDER, FORWARD, (DONE, SKIPPED, SKIPPED, DONE), SagaStatus.COMPLETED),
    (FULFIL_ORDER, BACK, (DONE, DONE, DONE, DONE), "undo confirm_order"),
    (FULFIL_ORDER, BACK, (DONE, DONE, DONE), "undo authorize_payment"),
    (FULFIL_ORDER, BACK, (DONE, DONE, RUNNING), "undo authorize_payment"),  # nobody knows whether it happened
    (FULFIL_ORDER, BACK, (DONE, DONE, COMPENSATING), "undo authorize_payment"),
    (FULFIL_ORDER, BACK, (DONE, DONE, FAILED), "undo reserve_inventory"),  # refused: there is nothing to undo
    (FULFIL_ORDER, BACK, (DONE, DONE, COMPENSATED), "undo reserve_inventory"),
    (FULFIL_ORDER, BACK, (DONE, DONE, SKIPPED), "undo reserve_inventory"),
    (FULFIL_ORDER, BACK, (DONE, FAILED), "undo open_order"),
    (FULFIL_ORDER, BACK, (DONE,), "undo open_order"),
    (FULFIL_ORDER, BACK, (COMPENSATED, COMPENSATED, DONE), "undo authorize_payment"),  # a late answer joins the list
    (FULFIL_ORDER, BACK, (), SagaStatus.COMPENSATED),
    (FULFIL_ORDER, BACK, (COMPENSATED, COMPENSATED, FAILED), SagaStatus.COMPENSATED),
    (FULFIL_ORDER, BACK, (DONE, DONE, COMPENSATION_FAILED), SagaStatus.FAILED),
    (FULFIL_ORDER, BACK, (COMPENSATION_FAILED, COMPENSATED, COMPENSATED), SagaStatus.FAILED),
    (SETTLE_ORDER, FORWARD, (), "do capture_payment"),
    (SETTLE_ORDER, FORWARD, (DONE,), "do ship_inventory"),
    (SETTLE_ORDER, FORWARD, (DONE, DONE), SagaStatus.COMPLETED),
    (SETTLE_ORDER, BACK, (DONE,), "undo capture_payment"),
    (UNWIND_ORDER, FORWARD, (), "do void_payment"),
    (UNWIND_ORDER, FORWARD, (RUNNING,), "do void_payment"),
    (UNWIND_ORDER, FORWARD, (DONE,), "do release_inventory"),
    (UNWIND_ORDER, FORWARD, (DONE, DONE), SagaStatus.COMPLETED),
    *((FULFIL_ORDER, end, (DONE, DONE, RUNNING), None) for end in list(SagaStatus)[2:]),
]


@pytest.mark.parametrize(
    ("saga", "status", "steps", "expected"), NEXT, ids=lambda x: getattr(x, "name", None) or str(x)
)
def test_what_is_next(saga: Saga, status: SagaStatus, steps: tuple[Any, ...], expected: Any) -> None:
    move = next_move(saga, stands(saga, status, *steps))
    if isinstance(move, Move):
        assert f"{'do' if move.forward else 'undo'} {move.step.name}" == expected
        assert move.action is (move.step.do if move.forward else move.step.undo)
    else:
        assert move is expected


# --- the tables ---------------------------------------------------------------------------------------------
def test_the_tables_are_these() -> None:
    assert set(SAGAS) == {("fulfil_order", 1), ("settle_order", 1), ("unwind_order", 1), ("unwind_order", 2)}
    starts = {saga.name: saga.starts_on for saga in SAGAS.values()}
    assert starts == {"fulfil_order": OrderCreated, "settle_order": OrderShipped, "unwind_order": OrderCancelled}
    for (name, definition), saga in SAGAS.items():
        assert (saga.name, saga.definition) == (name, definition)
        assert len({step.name for step in saga.steps}) == len(saga.steps)
        assert saga.step(saga.steps[-1].name) is saga.steps[-1]


def test_a_deadline_is_all_its_steps_times_together_and_forward_only_has_none() -> None:
    assert FULFIL_ORDER.deadline == timedelta(minutes=6)
    assert SETTLE_ORDER.deadline is None
    assert UNWIND_ORDER.deadline is None
    assert Saga("empty", 1, OrderCreated, (Step("s", nothing, nothing),)).deadline == timedelta()


def test_what_only_goes_forward_is_tried_for_ever() -> None:
    for saga in SAGAS.values():
        timed = [step for step in saga.steps if not isinstance(step.do, Nothing)]
        assert all((step.within is None) == (saga.forward_only or saga.undoes) for step in timed)
