"""The lanes of a saga: each step beside its undo, with its tries, whatever happened to the saga."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from core.domain import saga as e
from core.domain.message import Event
from core.domain.order import ORDER
from core.sagas.saga import Saga, unknown_table
from core.sagas.step_lanes import MOST_TRIES, UNKNOWN_TABLE, Lane, LaneFold
from tests.support.saga_facts import SAGA_ID
from tests.support.sample_saga import BUYS, RETURNS, SENDS
from tests.support.samples import NOW, ORDER_ID, created

ORDER_STATE = ORDER.fold([created])
MONEY = f"{created.total_amount} {created.currency}"
LATER = NOW + timedelta(hours=1)


def started(saga: Saga) -> Event:
    return e.SagaStarted(saga_id=SAGA_ID, name=saga.name, definition=saga.definition, order_id=ORDER_ID)


def called(step: str, attempt: int = 1, *, back: bool = False, key: str = "k") -> Event:
    direction: e.Direction = "backward" if back else "forward"
    return e.SagaStepStarted(saga_id=SAGA_ID, step=step, direction=direction, attempt=attempt, key=key)


def done(step: str) -> Event:
    return e.SagaStepCompleted(saga_id=SAGA_ID, step=step)


def undone(step: str) -> Event:
    return e.SagaStepCompensated(saga_id=SAGA_ID, step=step)


def no(step: str, attempt: int = 1, *, back: bool = False, final: bool = False) -> Event:
    kind = e.SagaCompensationFailed if back else e.SagaStepFailed
    retry_at = None if final else LATER
    return kind(saga_id=SAGA_ID, step=step, attempt=attempt, error="503", final=final, retry_at=retry_at)


def by_hand(kind: type[e.OperatorEvent], step: str | None = None) -> Event:
    return kind(saga_id=SAGA_ID, reason="because", by="ada", step=step)


TURNED = e.SagaCompensationStarted(saga_id=SAGA_ID, reason="declined")
GAVE_UP = e.SagaFailed(saga_id=SAGA_ID, reason="503")
ENDED = e.SagaCompensated(saga_id=SAGA_ID)
RESERVED = [done("open"), done("reserve"), called("charge")]


def fold(saga: Saga, events: Sequence[Event]) -> LaneFold:
    """One event each second."""
    lanes = LaneFold(saga)
    for n, event in enumerate([started(saga), *events]):
        lanes.take(event, NOW + timedelta(seconds=n))
    return lanes


def lanes_of(saga: Saga, events: Sequence[Event]) -> dict[str, Lane]:
    return {lane.step: lane for lane in fold(saga, events).lanes(ORDER_STATE)}


def seconds(lane: Lane) -> list[tuple[Any, ...]]:
    """Each try: its direction, attempt, first and last second, and outcome."""
    return [
        (
            one.direction,
            one.attempt,
            (one.started_at - NOW).seconds,
            one.ended_at and (one.ended_at - NOW).seconds,
            one.outcome,
        )
        for one in lane.tries
    ]


FAILED_UNDO = [*RESERVED, done("charge"), TURNED, called("charge", back=True), no("charge", back=True, final=True)]


@pytest.mark.parametrize(
    ("saga", "events", "expected"),
    [
        (BUYS, [], "PENDING/NOT_NEEDED PENDING/NOT_NEEDED PENDING/NOT_NEEDED PENDING/NOT_NEEDED"),
        (BUYS, RESERVED, "DONE/NOT_NEEDED DONE/NOT_NEEDED RUNNING/NOT_NEEDED PENDING/NOT_NEEDED"),
        (BUYS, [*RESERVED, no("charge")], "DONE/NOT_NEEDED DONE/NOT_NEEDED RUNNING/NOT_NEEDED PENDING/NOT_NEEDED"),
        (
            BUYS,
            [*RESERVED, no("charge", final=True), TURNED],
            "DONE/PENDING DONE/PENDING FAILED/NOT_NEEDED PENDING/NOT_NEEDED",
        ),
        (BUYS, [*RESERVED, TURNED], "DONE/PENDING DONE/PENDING FAILED/PENDING PENDING/NOT_NEEDED"),
        (
            BUYS,
            [*RESERVED, TURNED, called("charge", back=True)],
            "DONE/PENDING DONE/PENDING FAILED/RUNNING PENDING/NOT_NEEDED",
        ),
        (
            BUYS,
            [*RESERVED, TURNED, undone("charge"), undone("reserve"), undone("open"), ENDED],
            "DONE/DONE DONE/DONE FAILED/DONE PENDING/NOT_NEEDED",
        ),
        (BUYS, [*FAILED_UNDO, GAVE_UP], "DONE/PENDING DONE/PENDING DONE/FAILED PENDING/NOT_NEEDED"),
        (
            BUYS,
            [*FAILED_UNDO, GAVE_UP, by_hand(e.SagaRetried), called("charge", back=True)],
            "DONE/PENDING DONE/PENDING DONE/RUNNING PENDING/NOT_NEEDED",
        ),
        (
            BUYS,
            [*FAILED_UNDO, GAVE_UP, by_hand(e.SagaStepSkipped, "charge"), undone("reserve"), undone("open"), ENDED],
            "DONE/DONE DONE/DONE DONE/SKIPPED PENDING/NOT_NEEDED",
        ),
        (
            BUYS,
            [*FAILED_UNDO, GAVE_UP, by_hand(e.SagaResolved)],
            "DONE/NOT_NEEDED DONE/NOT_NEEDED DONE/FAILED PENDING/NOT_NEEDED",
        ),
        (
            BUYS,
            [*RESERVED, done("charge"), done("confirm"), TURNED, undone("confirm")],
            "DONE/PENDING DONE/PENDING DONE/PENDING DONE/NOT_NEEDED",
        ),
        (RETURNS, [called("void"), no("void", final=True), GAVE_UP], "FAILED/NOT_NEEDED PENDING/NOT_NEEDED"),
        (
            RETURNS,
            [called("void"), no("void", final=True), GAVE_UP, by_hand(e.SagaStepSkipped, "void")],
            "SKIPPED/NOT_NEEDED PENDING/NOT_NEEDED",
        ),
        (
            RETURNS,
            [called("void"), no("void", final=True), GAVE_UP, by_hand(e.SagaRetried)],
            "RUNNING/NOT_NEEDED PENDING/NOT_NEEDED",
        ),
        (RETURNS, [called("void"), GAVE_UP], "FAILED/NOT_NEEDED PENDING/NOT_NEEDED"),
        (
            SENDS,
            [called("capture"), done("capture"), done("ship"), by_hand(e.SagaCompensationRequested)],
            "DONE/PENDING DONE/NOT_NEEDED",
        ),
    ],
)
def test_the_lanes_say_how_far_each_step_and_its_undo_are(saga: Saga, events: Sequence[Event], expected: str) -> None:
    lanes = lanes_of(saga, events)
    assert " ".join(f"{lane.status}/{lane.undo_status}" for lane in lanes.values()) == expected
    assert list(lanes) == [step.name for step in saga.steps]


def test_a_lane_tells_in_the_words_of_the_table_what_its_step_does_and_what_undoes_it() -> None:
    told = [(lane.does, lane.undo) for lane in lanes_of(BUYS, []).values()]
    assert told == [
        ("nothing to do", "cancel the order"),
        ("reserve the stock", "release the stock"),
        ("authorise the payment", "void the payment"),
        ("confirm the order", None),
    ]


def test_a_lane_has_every_try_of_its_step_and_of_its_undo() -> None:
    lanes = lanes_of(
        BUYS,
        [
            *RESERVED,  # 1 2 3
            no("charge"),  # 4
            called("charge", 2),
            called("charge", 2, key="another"),  # the same try calls the provider a second time
            done("charge"),  # 7
            TURNED,
            called("charge", back=True),  # 9
            no("charge", back=True),
            called("charge", 2, back=True),  # 11
            undone("charge"),
            undone("reserve"),  # 13
            undone("open"),
            ENDED,
        ],
    )
    assert seconds(lanes["open"]) == [("forward", 1, 0, 1, "ok"), ("backward", 1, 13, 14, "ok")]
    assert seconds(lanes["reserve"]) == [("forward", 1, 1, 2, "ok"), ("backward", 1, 12, 13, "ok")]
    assert seconds(lanes["charge"]) == [
        ("forward", 1, 3, 4, "failed"),
        ("forward", 2, 5, 7, "ok"),
        ("backward", 1, 9, 10, "failed"),
        ("backward", 2, 11, 12, "ok"),
    ]
    failed = lanes["charge"].tries[0]
    assert (failed.error, failed.retry_at, failed.final) == ("503", LATER, False)
    assert seconds(lanes["confirm"]) == []


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (TURNED, "given up: declined"),
        (GAVE_UP, "503"),
        (by_hand(e.SagaResolved), "resolved by hand: because"),
        (by_hand(e.SagaRetried), "begun again: because"),
    ],
)
def test_a_try_nobody_waits_for_any_more_has_failed_and_says_why(event: Event, why: str) -> None:
    [one] = lanes_of(BUYS, [*RESERVED, event])["charge"].tries
    assert (one.outcome, one.error, one.ended_at) == ("failed", why, NOW + timedelta(seconds=4))
    [one] = lanes_of(BUYS, RESERVED)["charge"].tries
    assert (one.outcome, one.ended_at) == ("running", None)


def test_a_skipped_step_shows_who_skipped_it_and_why() -> None:
    skipped = [called("void"), no("void", final=True), GAVE_UP, by_hand(e.SagaStepSkipped, "void")]
    last = lanes_of(RETURNS, skipped)["void"].tries[-1]
    assert (last.direction, last.attempt, last.outcome, last.error) == ("forward", 2, "skipped", "because (ada)")
    last = lanes_of(BUYS, [*FAILED_UNDO, GAVE_UP, by_hand(e.SagaStepSkipped, "charge")])["charge"].tries[-1]
    assert (last.direction, last.outcome) == ("backward", "skipped")
    [only] = lanes_of(RETURNS, [GAVE_UP, by_hand(e.SagaStepSkipped, "release")])["release"].tries
    assert (only.attempt, only.outcome) == (1, "skipped")


def test_each_lane_says_what_its_step_has_left_open_until_the_saga_has_ended() -> None:
    def open_items(saga: Saga, events: Sequence[Event]) -> list[Sequence[str]]:
        return [lane.open for lane in lanes_of(saga, events).values()]

    assert open_items(RETURNS, [called("void")])[0] == (f"{MONEY} may be authorised",)
    assert open_items(BUYS, RESERVED)[2:] == [(f"{MONEY} may be authorised",), ()]
    assert open_items(BUYS, [*RESERVED, TURNED, by_hand(e.SagaResolved)]) == [(), (), (), ()]
    assert [lane.open for lane in fold(BUYS, RESERVED).lanes(None)] == [(), (), (), ()], "the order is not known"


def test_of_a_step_that_is_tried_for_ever_the_last_tries_are_kept() -> None:
    tries = [event for n in range(1, MOST_TRIES + 51) for event in (called("capture", n), no("capture", n))]
    kept = lanes_of(SENDS, tries)["capture"].tries
    assert [one.attempt for one in kept] == list(range(51, MOST_TRIES + 51))


def test_the_lanes_of_a_table_that_this_release_lacks_are_the_steps_that_its_events_name() -> None:
    lanes = fold(unknown_table("buys", 99), [*RESERVED, TURNED, undone("charge")])
    told = [(lane.step, lane.does, lane.undo, lane.status, lane.undo_status) for lane in lanes.lanes(ORDER_STATE)]
    assert told == [
        ("open", UNKNOWN_TABLE, None, "DONE", "PENDING"),
        ("reserve", UNKNOWN_TABLE, None, "DONE", "PENDING"),
        ("charge", UNKNOWN_TABLE, None, "FAILED", "DONE"),
    ]
    assert lanes.steps() == {"open": "COMPLETED", "reserve": "COMPLETED", "charge": "COMPENSATED"}


def test_a_saga_without_a_readable_event_has_no_lanes() -> None:
    assert (LaneFold(BUYS).lanes(ORDER_STATE), LaneFold(BUYS).steps()) == ([], {})
