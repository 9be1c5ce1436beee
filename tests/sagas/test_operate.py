"""What an operator may do to a saga: every wish in every state has a stated outcome."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from core.domain import saga as e
from core.domain.saga import SagaEvent
from core.errors import InvalidInput, NotAllowed
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.record import open_items
from core.sagas.saga import Move, Progress, Saga, SagaStatus, evolve, next_move
from core.sagas.settle_order import SETTLE_ORDER
from core.sagas.unwind_order import UNWIND_ORDER, UNWIND_ORDER_1
from core.sagas.wishes import Wish, checked_reason, decide
from tests.support.saga_facts import (
    COMPENSATED,
    COMPENSATION_FAILED,
    COMPLETED,
    FAILED,
    HELD,
    RUNNING,
    SAGA_ID,
    SKIPPED,
    facts,
    order,
    stands,
    types,
)
from tests.support.samples import NOW

RETRY, SKIP, COMPENSATE, RESOLVE = Wish
NONE: tuple[Any, ...] = ()
FORWARD, BACK, BROKEN = SagaStatus.RUNNING, SagaStatus.COMPENSATING, SagaStatus.FAILED

# A saga and where it stands, as (saga, status, its steps, what it was doing when it failed).
RUNS = (FULFIL_ORDER, FORWARD, (COMPLETED, COMPLETED, RUNNING), FORWARD)
UNDOES = (FULFIL_ORDER, BACK, (COMPLETED, COMPLETED, RUNNING), FORWARD)
DIED = (FULFIL_ORDER, BROKEN, (COMPLETED, COMPLETED, RUNNING), FORWARD)
STUCK = (FULFIL_ORDER, BROKEN, (COMPLETED, COMPLETED, COMPENSATION_FAILED), BACK)
DONE = (FULFIL_ORDER, SagaStatus.COMPLETED, (COMPLETED,) * 4, FORWARD)
UNDONE = (FULFIL_ORDER, SagaStatus.COMPENSATED, (COMPENSATED,) * 3, FORWARD)
VOUCHED = (FULFIL_ORDER, SagaStatus.RESOLVED, (COMPLETED,) * 3, BACK)
CAPTURES = (SETTLE_ORDER, FORWARD, (RUNNING,), FORWARD)
SHIPS = (SETTLE_ORDER, FORWARD, (COMPLETED,), FORWARD)
SHIP_DIED = (SETTLE_ORDER, BROKEN, (COMPLETED,), FORWARD)
SETTLED = (SETTLE_ORDER, SagaStatus.COMPLETED, (COMPLETED, COMPLETED), FORWARD)
UNWINDS = (UNWIND_ORDER, FORWARD, (RUNNING,), FORWARD)
UNWIND_STUCK = (UNWIND_ORDER, BROKEN, (FAILED,), FORWARD)
UNWIND_DIED = (UNWIND_ORDER, BROKEN, (COMPLETED,), FORWARD)
OLD_DIED = (UNWIND_ORDER_1, BROKEN, (RUNNING,), FORWARD)
UNKNOWN = (Saga("lost", 7, e.SagaStarted, ()), BROKEN, NONE, FORWARD)
ALL: dict[str, tuple[Saga, SagaStatus, tuple[Any, ...], SagaStatus]] = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, tuple) and len(value) == 4 and isinstance(value[0], Saga)
}

ALLOWED: dict[tuple[str, Wish], list[str]] = {
    ("RUNS", COMPENSATE): ["CompensationRequested authorize_payment", "StepStarted authorize_payment"],
    ("DIED", RETRY): ["Retried authorize_payment", "StepStarted authorize_payment"],
    ("DIED", COMPENSATE): ["CompensationRequested authorize_payment", "StepStarted authorize_payment"],
    ("DIED", RESOLVE): ["Resolved authorize_payment"],
    ("STUCK", RETRY): ["Retried authorize_payment", "StepStarted authorize_payment"],
    ("STUCK", SKIP): ["StepSkipped authorize_payment"],
    ("STUCK", RESOLVE): ["Resolved authorize_payment"],
    ("SHIPS", COMPENSATE): [
        "StepCompleted ship_inventory",
        "CompensationRequested ship_inventory",
        "StepCompensated ship_inventory",
        "StepStarted capture_payment",
    ],
    ("SHIP_DIED", RETRY): ["Retried ship_inventory"],
    ("SHIP_DIED", RESOLVE): ["Resolved ship_inventory"],
    ("SETTLED", COMPENSATE): [
        "CompensationRequested",
        "StepCompensated ship_inventory",
        "StepStarted capture_payment",
    ],
    ("UNWIND_STUCK", RETRY): ["Retried void_payment", "StepStarted void_payment"],
    ("UNWIND_STUCK", SKIP): ["StepSkipped void_payment"],
    ("UNWIND_STUCK", RESOLVE): ["Resolved void_payment"],
    ("UNWIND_DIED", RETRY): ["Retried release_inventory"],
    ("UNWIND_DIED", SKIP): ["StepSkipped release_inventory", "Completed"],
    ("UNWIND_DIED", RESOLVE): ["Resolved release_inventory"],
    ("OLD_DIED", RETRY): ["Retried void_payment", "StepStarted void_payment"],
    ("OLD_DIED", RESOLVE): ["Resolved void_payment"],
    ("UNKNOWN", RESOLVE): ["Resolved"],
}
ALLOWED[("SHIP_DIED", COMPENSATE)] = ALLOWED[("SHIPS", COMPENSATE)]


def given(name: str) -> tuple[Saga, Progress]:
    saga, status, steps, failed_as = ALL[name]
    return saga, stands(saga, status, *steps, failed_as=failed_as, attempts=9, announced=9, last_error="away")


def wished(wish: Wish, name: str) -> tuple[list[SagaEvent], Progress, Any]:
    saga, progress = given(name)
    made, effect = decide(wish, saga, SAGA_ID, progress, facts(stock=HELD), "because", "ada")
    return list(made), reduce(lambda p, event: evolve(p, event, NOW), made, progress), effect


@pytest.mark.parametrize("wish", Wish)
@pytest.mark.parametrize("name", ALL)
def test_every_wish_in_every_state_is_granted_or_refused_with_a_sentence(name: str, wish: Wish) -> None:
    expected = ALLOWED.get((name, wish))
    if expected is None:
        with pytest.raises(NotAllowed, match=r"\w+ \w+"):
            wished(wish, name)
        return
    made, after, _ = wished(wish, name)
    assert types(made) == expected
    assert any(getattr(event, "by", None) == "ada" and getattr(event, "reason", None) == "because" for event in made)
    assert after.attempts == 0 or wish is RESOLVE, "it begins again with all its tries"
    assert (next_move(ALL[name][0], after) is None) == (after.status in {SagaStatus.RESOLVED, SagaStatus.COMPLETED})


def test_a_retried_undo_goes_on_undoing_where_it_was_given_up() -> None:
    _, after, _ = wished(RETRY, "STUCK")
    assert after.status is BACK
    move = next_move(FULFIL_ORDER, after)
    assert isinstance(move, Move)
    assert (move.step.name, move.forward) == ("authorize_payment", False)


def test_a_skipped_undo_is_followed_by_the_undos_below_it() -> None:
    _, after, _ = wished(SKIP, "STUCK")
    assert after.of("authorize_payment") is SKIPPED
    move = next_move(FULFIL_ORDER, after)
    assert isinstance(move, Move)
    assert (move.step.name, move.forward) == ("reserve_inventory", False)


def test_a_compensated_settlement_takes_the_goods_off_the_books_all_the_same() -> None:
    _, after, effect = wished(COMPENSATE, "SHIPS")
    assert [type(event).__name__ for events in effect.stock.values() for event in events] == ["InventoryShipped"] * 2
    assert after.status is BACK


def test_a_capture_of_unknown_outcome_is_not_refunded() -> None:
    with pytest.raises(NotAllowed, match="not known yet"):
        wished(COMPENSATE, "CAPTURES")


def test_what_is_open_names_money_and_stock() -> None:
    saga, progress = given("UNWIND_STUCK")
    assert open_items(saga, progress, order()) == (
        "2001.48 USD may be authorised",
        "2 x LAPTOP-001, 3 x SKU-007 may be held",
    )


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
def test_a_reason_must_say_something(reason: str) -> None:
    with pytest.raises(InvalidInput):
        checked_reason(reason)
