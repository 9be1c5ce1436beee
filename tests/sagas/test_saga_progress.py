"""How far a saga has come: the fold of its own events, and what is next at every place of a table of each kind."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain import saga as e
from core.sagas.progress import Progress, SagaStatus, evolve
from core.sagas.saga import Move, Saga, next_move
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
    progress_after,
    progress_at,
)
from tests.support.sample_saga import BUYS, RETURNS, SENDS
from tests.support.samples import NOW, ORDER_ID, created

LATER = NOW + 90 * SECOND
BEFORE = progress_after(
    e.SagaStepStarted(saga_id=SAGA_ID, step="s", direction="forward", attempt=1, key="k"),
    e.SagaStepFailed(saga_id=SAGA_ID, step="s", attempt=1, error="away", final=False),
)
FRESH: dict[str, Any] = {"since": LATER, "attempts": 0, "announced": 0, "last_error": None, "keys": ()}
BY: dict[str, Any] = {"reason": "r", "by": "ann"}

EVOLVED: list[tuple[e.SagaEvent, dict[str, Any]]] = [
    (
        e.SagaStepStarted(saga_id=SAGA_ID, step="s", direction="forward", attempt=2, key="k"),
        {"s": RUNNING, "announced": 2},
    ),
    (
        e.SagaStepStarted(saga_id=SAGA_ID, step="s", direction="forward", attempt=2, key="another"),
        {"s": RUNNING, "announced": 2, "keys": ("k", "another")},
    ),
    (
        e.SagaStepStarted(saga_id=SAGA_ID, step="s", direction="backward", attempt=1, key="k"),
        {"s": COMPENSATING, "announced": 1},
    ),
    (e.SagaStepCompleted(saga_id=SAGA_ID, step="s"), {"s": COMPLETED, **FRESH}),
    (
        e.SagaStepFailed(saga_id=SAGA_ID, step="s", attempt=2, error="declined", final=True),
        {"s": FAILED, "attempts": 2, "last_error": "declined", "refusal": "declined"},
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
    (e.SagaFailed(saga_id=SAGA_ID, reason="r"), {"status": SagaStatus.FAILED, "last_error": "r"}),
    (e.SagaStarted(saga_id=SAGA_ID, name="n", definition=1, order_id=ORDER_ID), {}),
    (e.SagaRetried(saga_id=SAGA_ID, **BY), FRESH),
    (e.SagaStepSkipped(saga_id=SAGA_ID, step="s", **BY), {"s": SKIPPED, **FRESH}),
    (
        e.SagaCompensationRequested(saga_id=SAGA_ID, **BY),
        {"status": SagaStatus.COMPENSATING, "reason": BY["reason"], **FRESH},
    ),
    (e.SagaResolved(saga_id=SAGA_ID, **BY), {"status": SagaStatus.RESOLVED}),
]


def test_a_saga_starts_running_with_every_step_pending() -> None:
    first = e.SagaStarted(saga_id=SAGA_ID, name="n", definition=1, order_id=ORDER_ID)
    assert evolve(None, first, LATER) == Progress(status=SagaStatus.RUNNING, since=LATER)
    assert evolve(None, first, LATER).of("any") is PENDING


@pytest.mark.parametrize(("event", "changes"), EVOLVED, ids=lambda x: type(x).__name__)
def test_each_event_of_a_saga_changes_only_the_fields_that_the_table_states(
    event: e.SagaEvent, changes: dict[str, Any]
) -> None:
    found = evolve(BEFORE, event, LATER)
    for name in set(Progress.__struct_fields__) - {"steps"}:
        assert getattr(found, name) == changes.get(name, getattr(BEFORE, name)), name
    assert found.of("s") is changes.get("s", RUNNING)
    assert BEFORE.of("s") is RUNNING, "the progress before is as it was"


def test_the_table_of_changed_fields_has_every_event_of_a_saga() -> None:
    assert {type(event) for event, _ in EVOLVED} == set(e.EVENTS)


def test_an_event_of_another_stream_does_not_change_a_state() -> None:
    assert evolve(BEFORE, created, LATER) is BEFORE


# --- what is next -------------------------------------------------------------------------------------------
DONE = COMPLETED
FORWARD, BACK = SagaStatus.RUNNING, SagaStatus.COMPENSATING
NEXT: list[tuple[Saga, SagaStatus, tuple[Any, ...], str | SagaStatus | None]] = [
    (BUYS, FORWARD, (), "do open"),
    (BUYS, FORWARD, (DONE,), "do reserve"),
    (BUYS, FORWARD, (DONE, DONE), "do charge"),
    (BUYS, FORWARD, (DONE, DONE, RUNNING), "do charge"),
    (BUYS, FORWARD, (DONE, DONE, DONE), "do confirm"),
    (BUYS, FORWARD, (DONE, DONE, SKIPPED), "do confirm"),
    (BUYS, FORWARD, (DONE, DONE, DONE, DONE), SagaStatus.COMPLETED),
    (BUYS, FORWARD, (DONE, SKIPPED, SKIPPED, DONE), SagaStatus.COMPLETED),
    (BUYS, BACK, (DONE, DONE, DONE, DONE), "undo confirm"),
    (BUYS, BACK, (DONE, DONE, DONE), "undo charge"),
    (BUYS, BACK, (DONE, DONE, RUNNING), "undo charge"),  # nobody knows whether it happened
    (BUYS, BACK, (DONE, DONE, COMPENSATING), "undo charge"),
    (BUYS, BACK, (DONE, DONE, FAILED), "undo reserve"),  # refused: there is nothing to undo
    (BUYS, BACK, (DONE, DONE, COMPENSATED), "undo reserve"),
    (BUYS, BACK, (DONE, DONE, SKIPPED), "undo reserve"),
    (BUYS, BACK, (DONE, FAILED), "undo open"),
    (BUYS, BACK, (DONE,), "undo open"),
    (BUYS, BACK, (COMPENSATED, COMPENSATED, DONE), "undo charge"),  # a late answer joins the list
    (BUYS, BACK, (), SagaStatus.COMPENSATED),
    (BUYS, BACK, (COMPENSATED, COMPENSATED, FAILED), SagaStatus.COMPENSATED),
    (BUYS, BACK, (DONE, DONE, COMPENSATION_FAILED), SagaStatus.FAILED),
    (BUYS, BACK, (COMPENSATION_FAILED, COMPENSATED, COMPENSATED), SagaStatus.FAILED),
    (SENDS, FORWARD, (), "do capture"),
    (SENDS, FORWARD, (DONE,), "do ship"),
    (SENDS, FORWARD, (DONE, DONE), SagaStatus.COMPLETED),
    (SENDS, FORWARD, (FAILED,), "do ship"),  # what was refused keeps nothing else waiting
    (SENDS, FORWARD, (FAILED, DONE), SagaStatus.FAILED),
    (SENDS, FORWARD, (SKIPPED, DONE), SagaStatus.COMPLETED),
    (SENDS, BACK, (DONE,), "undo capture"),
    (RETURNS, FORWARD, (), "do void"),
    (RETURNS, FORWARD, (RUNNING,), "do void"),
    (RETURNS, FORWARD, (DONE,), "do release"),
    (RETURNS, FORWARD, (DONE, DONE), SagaStatus.COMPLETED),
    *((BUYS, end, (DONE, DONE, RUNNING), None) for end in list(SagaStatus)[2:]),
]


@pytest.mark.parametrize(
    ("saga", "status", "steps", "expected"), NEXT, ids=lambda x: getattr(x, "name", None) or str(x)
)
def test_the_next_move_of_a_saga_is_the_one_that_the_table_states(
    saga: Saga, status: SagaStatus, steps: tuple[Any, ...], expected: Any
) -> None:
    move = next_move(saga, progress_at(saga, status, *steps))
    if isinstance(move, Move):
        assert f"{'do' if move.forward else 'undo'} {move.step.name}" == expected
        assert move.action is (move.step.do if move.forward else move.step.undo)
    else:
        assert move is expected
