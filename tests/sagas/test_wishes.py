"""What an operator may do to a saga: every wish in every state has a stated outcome."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from msgspec.structs import replace

from core.domain.saga import SagaEvent
from core.errors import InvalidInput, NotAllowed
from core.sagas.holdings import open_items
from core.sagas.progress import Progress, SagaStatus, evolve
from core.sagas.saga import Instance, Move, Saga, next_move, unknown_table
from core.sagas.wishes import PATIENCE, Wish, checked_reason, decide
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
    progress_at,
    types,
)
from tests.support.sample_saga import BUYS, RETURNS, RETURNS_FOR_EVER, SENDS
from tests.support.samples import NOW, ORDER_ID

RETRY, SKIP, COMPENSATE, RESOLVE = Wish
NONE: tuple[Any, ...] = ()
FORWARD, BACK, BROKEN = SagaStatus.RUNNING, SagaStatus.COMPENSATING, SagaStatus.FAILED

# A saga and where it stands, as (saga, status, its steps, what it was doing when it failed).
RUNS = (BUYS, FORWARD, (COMPLETED, COMPLETED, RUNNING), FORWARD)
UNDOES = (BUYS, BACK, (COMPLETED, COMPLETED, RUNNING), FORWARD)
DIED = (BUYS, BROKEN, (COMPLETED, COMPLETED, RUNNING), FORWARD)
STUCK = (BUYS, BROKEN, (COMPLETED, COMPLETED, COMPENSATION_FAILED), BACK)
DONE = (BUYS, SagaStatus.COMPLETED, (COMPLETED,) * 4, FORWARD)
UNDONE = (BUYS, SagaStatus.COMPENSATED, (COMPENSATED,) * 3, FORWARD)
VOUCHED = (BUYS, SagaStatus.RESOLVED, (COMPLETED,) * 3, BACK)
CAPTURES = (SENDS, FORWARD, (RUNNING,), FORWARD)
SHIPS = (SENDS, FORWARD, (COMPLETED,), FORWARD)
SHIP_DIED = (SENDS, BROKEN, (COMPLETED,), FORWARD)
UNPAID = (SENDS, BROKEN, (FAILED, COMPLETED), FORWARD)
CAPTURE_DIED = (SENDS, BROKEN, (RUNNING,), FORWARD)
WRITTEN_OFF = (SENDS, SagaStatus.COMPLETED, (SKIPPED, COMPLETED), FORWARD)
SETTLED = (SENDS, SagaStatus.COMPLETED, (COMPLETED, COMPLETED), FORWARD)
UNWINDS = (RETURNS, FORWARD, (RUNNING,), FORWARD)
UNWIND_STUCK = (RETURNS, BROKEN, (FAILED,), FORWARD)
UNWIND_DIED = (RETURNS, BROKEN, (COMPLETED,), FORWARD)
OLD_DIED = (RETURNS_FOR_EVER, BROKEN, (RUNNING,), FORWARD)
UNKNOWN = (unknown_table("lost", 7), BROKEN, NONE, FORWARD)
UNKNOWN_RUNS = (unknown_table("lost", 7), FORWARD, NONE, FORWARD)
ALL: dict[str, tuple[Saga, SagaStatus, tuple[Any, ...], SagaStatus]] = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, tuple) and len(value) == 4 and isinstance(value[0], Saga)
}

ALLOWED: dict[tuple[str, Wish], list[str]] = {
    ("RUNS", RETRY): ["Retried charge", "StepStarted charge"],
    ("RUNS", RESOLVE): ["Resolved charge"],
    ("UNDOES", RETRY): ["Retried charge", "StepStarted charge"],
    ("UNDOES", RESOLVE): ["Resolved charge"],
    ("RUNS", COMPENSATE): ["CompensationRequested charge", "StepStarted charge"],
    ("DIED", RETRY): ["Retried charge", "StepStarted charge"],
    ("DIED", COMPENSATE): ["CompensationRequested charge", "StepStarted charge"],
    ("DIED", RESOLVE): ["Resolved charge"],
    ("STUCK", RETRY): ["Retried charge", "StepStarted charge"],
    ("STUCK", SKIP): ["StepSkipped charge"],
    ("STUCK", RESOLVE): ["Resolved charge"],
    ("CAPTURES", RETRY): ["Retried capture", "StepStarted capture"],
    ("CAPTURES", RESOLVE): ["Resolved capture"],
    ("CAPTURE_DIED", RETRY): ["Retried capture", "StepStarted capture"],
    ("CAPTURE_DIED", SKIP): ["StepSkipped capture"],
    ("CAPTURE_DIED", RESOLVE): ["Resolved capture"],
    ("UNPAID", RETRY): ["Retried capture", "StepStarted capture"],
    ("UNPAID", SKIP): ["StepSkipped capture", "Completed"],
    ("UNPAID", RESOLVE): ["Resolved capture"],
    ("SHIPS", RETRY): ["Retried ship"],
    ("SHIPS", RESOLVE): ["Resolved ship"],
    ("SHIPS", COMPENSATE): [
        "StepCompleted ship",
        "CompensationRequested ship",
        "StepCompensated ship",
        "StepStarted capture",
    ],
    ("SHIP_DIED", RETRY): ["Retried ship"],
    ("SHIP_DIED", SKIP): ["StepSkipped ship", "Completed"],
    ("SHIP_DIED", RESOLVE): ["Resolved ship"],
    ("SETTLED", COMPENSATE): [
        "CompensationRequested",
        "StepCompensated ship",
        "StepStarted capture",
    ],
    ("UNWINDS", RETRY): ["Retried void", "StepStarted void"],
    ("UNWINDS", RESOLVE): ["Resolved void"],
    ("UNWIND_STUCK", RETRY): ["Retried void", "StepStarted void"],
    ("UNWIND_STUCK", SKIP): ["StepSkipped void"],
    ("UNWIND_STUCK", RESOLVE): ["Resolved void"],
    ("UNWIND_DIED", RETRY): ["Retried release"],
    ("UNWIND_DIED", SKIP): ["StepSkipped release", "Completed"],
    ("UNWIND_DIED", RESOLVE): ["Resolved release"],
    ("OLD_DIED", RETRY): ["Retried void", "StepStarted void"],
    ("OLD_DIED", SKIP): ["StepSkipped void"],
    ("OLD_DIED", RESOLVE): ["Resolved void"],
    ("UNKNOWN", RESOLVE): ["Resolved"],
    ("UNKNOWN_RUNS", RESOLVE): ["Resolved"],
}
ALLOWED[("SHIP_DIED", COMPENSATE)] = ALLOWED[("SHIPS", COMPENSATE)]


def instance_of(name: str) -> tuple[Saga, Progress]:
    saga, status, steps, failed_as = ALL[name]
    return saga, progress_at(saga, status, *steps, failed_as=failed_as, attempts=9, announced=9, last_error="away")


def decide_on(wish: Wish, name: str) -> tuple[list[SagaEvent], Progress, Any]:
    saga, progress = instance_of(name)
    made, effect = decide(wish, Instance(saga, SAGA_ID, ORDER_ID, progress), facts(stock=HELD), "because", "ada")
    after = reduce(lambda p, event: evolve(p, event, NOW), made.events, progress)
    assert made.progress == after
    return list(made.events), after, effect


@pytest.mark.parametrize("wish", Wish)
@pytest.mark.parametrize("name", ALL)
def test_every_wish_of_an_operator_in_every_state_is_granted_or_refused_with_a_sentence(name: str, wish: Wish) -> None:
    expected = ALLOWED.get((name, wish))
    if expected is None:
        with pytest.raises(NotAllowed, match=r"\w+ \w+"):
            decide_on(wish, name)
        return
    made, after, _ = decide_on(wish, name)
    assert types(made) == expected
    assert any(getattr(event, "by", None) == "ada" and getattr(event, "reason", None) == "because" for event in made)
    assert after.attempts == 0 or wish is RESOLVE, "it begins again with all its tries"
    assert (next_move(ALL[name][0], after) is None) == (after.status in {SagaStatus.RESOLVED, SagaStatus.COMPLETED})


@pytest.mark.parametrize("wish", [RETRY, SKIP, RESOLVE])
@pytest.mark.parametrize("name", ["RUNS", "UNDOES", "CAPTURES", "UNWINDS", "UNKNOWN_RUNS"])
def test_a_saga_that_gets_on_is_left_alone_until_a_try_fails_or_half_a_minute_has_passed(name: str, wish: Wish) -> None:
    saga, progress = instance_of(name)
    gets_on = replace(progress, attempts=0, last_error=None)
    case = Instance(saga, SAGA_ID, ORDER_ID, gets_on)
    sentence = "no try has failed" if saga.steps or wish is RESOLVE else "this release has no saga"
    with pytest.raises(NotAllowed, match=sentence):
        decide(wish, case, facts(), "because", "ada")
    waited = Instance(saga, SAGA_ID, ORDER_ID, replace(gets_on, since=NOW - PATIENCE))
    if (name, wish) in ALLOWED:
        assert decide(wish, waited, facts(), "because", "ada")[0].events


@pytest.mark.parametrize(
    ("name", "wish", "sentence"),
    [
        ("UNPAID", COMPENSATE, "nothing to undo, since capture was refused: retry, skip the step, or resolve"),
        ("WRITTEN_OFF", COMPENSATE, "nothing to undo, since capture was skipped$"),
        ("CAPTURES", SKIP, "whether capture happened is not known yet: retry"),
        ("CAPTURE_DIED", COMPENSATE, "whether capture happened is not known yet: retry"),
        ("SETTLED", RESOLVE, "cannot resolve sends: it is completed"),
        ("UNKNOWN", RETRY, "this release has no saga lost in definition 7: resolve it"),
        ("UNKNOWN", COMPENSATE, "this release has no saga lost in definition 7: resolve it"),
    ],
)
def test_a_wish_is_refused_with_what_an_operator_can_do_instead(name: str, wish: Wish, sentence: str) -> None:
    with pytest.raises(NotAllowed, match=sentence):
        decide_on(wish, name)


def test_a_retry_goes_on_with_the_undo_at_which_the_saga_gave_up() -> None:
    _, after, _ = decide_on(RETRY, "STUCK")
    assert after.status is BACK
    move = next_move(BUYS, after)
    assert isinstance(move, Move)
    assert (move.step.name, move.forward) == ("charge", False)


def test_after_a_skipped_undo_the_saga_undoes_the_steps_before_it() -> None:
    _, after, _ = decide_on(SKIP, "STUCK")
    assert after.of("charge") is SKIPPED
    move = next_move(BUYS, after)
    assert isinstance(move, Move)
    assert (move.step.name, move.forward) == ("reserve", False)


def test_a_settlement_that_an_operator_compensates_still_ships_the_stock() -> None:
    _, after, effect = decide_on(COMPENSATE, "SHIPS")
    assert [type(event).__name__ for events in effect.stock.values() for event in events] == ["InventoryShipped"] * 2
    assert after.status is BACK


def test_a_capture_of_unknown_outcome_is_not_refunded() -> None:
    with pytest.raises(NotAllowed, match="not known yet"):
        decide_on(COMPENSATE, "CAPTURES")


def test_the_open_items_of_a_failed_saga_name_its_money_and_its_stock() -> None:
    saga, progress = instance_of("UNWIND_STUCK")
    assert open_items(saga, progress, order()) == (
        "2001.48 USD may be authorised",
        "2 x LAPTOP-001, 3 x SKU-007 may be held",
    )


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
def test_a_wish_of_an_operator_without_a_reason_is_refused(reason: str) -> None:
    with pytest.raises(InvalidInput):
        checked_reason(reason)
