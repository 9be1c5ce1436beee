"""Sagas driven through random outcomes, the real tables and made-up ones: whatever happens, it ends in one way only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec
from core.domain import saga as e
from core.domain.message import saga_of
from core.domain.order import OrderCreated
from core.domain.payment import Payment
from core.domain.saga import SagaEvent, finished
from core.sagas import SAGAS
from core.sagas.actions import authorize, confirm, nothing, refund, void
from core.sagas.holdings import ANYTHING, RESERVED, UNPAID, open_holdings
from core.sagas.progress import Progress, SagaStatus, StepStatus, evolve
from core.sagas.record import Record, announced, call_due, concluded, failed, gave_up, started
from core.sagas.saga import (
    Call,
    Effect,
    Instance,
    Local,
    Move,
    Nothing,
    Saga,
    Step,
    next_move,
)
from tests.support.saga_facts import SAGA_ID, order, progress_at
from tests.support.samples import NOW, ORDER_ID

Outcome = Literal["done", "refused", "abandoned", "later"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
RNG = st.randoms(use_true_random=True)  # of a seed that is printed: wide and fast, where shrinking would help little


def a_saga(rng: Random) -> Saga:
    """A shipped saga, or a generated one."""
    if rng.random() < 0.3:
        return rng.choice(list(SAGAS.values()))
    steps = tuple(
        Step(
            f"s{n}",
            rng.choice([nothing, confirm, authorize]),
            rng.choice([nothing, confirm, void, refund]),
            rng.choice(ANYTHING),
            rng.choice([None, timedelta(), timedelta(minutes=5)]),
            rng.choice([RESERVED, UNPAID]),
        )
        for n in range(rng.randint(1, 5))
    )
    return Saga("made_up", 1, OrderCreated, steps, forward_only=rng.random() < 0.3)


@dataclass
class SimulatedSaga:
    """One instance, advanced as a runner does, but with outcomes that the test chooses."""

    instance: Instance
    scale: float = 1.0
    now: datetime = NOW
    log: list[SagaEvent] = field(default_factory=list)
    moves: list[tuple[str, bool]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def record(self, record: Record) -> None:
        events, after = record.events, self.instance.fold(record.events, self.now)
        assert record.progress == after.progress, "the events were folded once before"
        if next_move(after.saga, after.progress) is SagaStatus.FAILED:
            end = gave_up(after, order())
            events, after = [*events, end], after.fold([end], self.now)
        self.log += events
        self.instance = after

    def step(self, outcome: Outcome, passes: timedelta) -> bool:
        """One move with this outcome; False when there is none left."""
        saga, progress = self.instance.saga, self.instance.progress
        move = next_move(saga, progress)
        if not isinstance(move, Move):
            assert move is None, "an end is recorded with what led to it"
            return False
        assert not isinstance(move.action, Nothing), "what needs no doing is recorded with what led to it"
        self.now += passes
        if isinstance(move.action, Call):
            if progress.announced <= progress.attempts:
                _, key = call_due(self.instance, move.action, Payment(), self.now)
                self.record(Record.of(self.instance, [announced(self.instance, move, key)], self.now))
                return True
            if outcome == "later":
                self.record(failed(self.instance, move, "away", self.now, timedelta(seconds=1), self.scale))
                return True
        elif outcome == "later" or not move.forward:
            outcome = "done"  # what is ours to decide is decided; an undo of our own is not refused
        if outcome == "abandoned" and (not move.forward or saga.forward_only):
            outcome = "done"
        effect = {"refused": Effect(refusal="no"), "abandoned": Effect(abandon="stop")}.get(outcome, Effect())
        if outcome == "refused" and move.forward:
            self.refused.add(move.step.name)
        if outcome == "done":
            self.moves.append((move.step.name, move.forward))
        self.record(concluded(self.instance, move, effect, self.now))
        return True


def begun(saga: Saga, scale: float = 1.0) -> SimulatedSaga:
    instance = Instance(saga, saga_of(ORDER_ID, saga.name), ORDER_ID, progress_at(saga, SagaStatus.RUNNING))
    begins = started(instance, NOW, scale)
    played = SimulatedSaga(instance, scale, log=[begins.events[0]])
    played.record(Record(begins.events[1:], begins.progress))
    return played


@settings(max_examples=10 * settings().max_examples)
@given(rng=RNG)
def test_every_saga_of_every_table_reaches_one_of_its_ends(rng: Random) -> None:
    played = begun(a_saga(rng))
    for _ in range(rng.randint(0, 10)):
        outcome = rng.choices(OUTCOMES, [8, 1, 1, 6])[0]
        passes = timedelta(seconds=rng.choice([0, 60, 600]))
        for _ in range(rng.choice([1, 1, 3, 24])):
            if not played.step(outcome, passes):
                break
            check(played)
    for _ in range(100):  # and when nothing goes wrong any more, it ends
        if not played.step("done", timedelta(seconds=1)):
            break
    check(played)
    ends(played)


def check(played: SimulatedSaga) -> None:
    """Check what must hold after every event."""
    saga, progress = played.instance.saga, played.instance.progress
    assert progress == _again(played), "the log alone says where it stands"
    for event in played.log:
        kind = codec.event_type(type(event))
        assert codec.decode(kind, type(event).schema_version, codec.encode(event)) == (event,)
    did = [(event.step, type(event)) for event in played.log if isinstance(event, e.StepEvent)]
    for step in saga.steps:
        mine = [kind for name, kind in did if name == step.name]
        assert mine.count(e.SagaStepCompleted) <= 1
        assert mine.count(e.SagaStepCompensated) <= 1
        if e.SagaStepCompensated in mine:
            assert step.name not in played.refused, "what was refused is never undone"
            assert e.SagaStepCompleted not in mine[mine.index(e.SagaStepCompensated) :], "or it would run again"
    assert sum(isinstance(event, e.SagaCompensationStarted) for event in played.log) <= 1
    if saga.forward_only:
        assert progress.status in {SagaStatus.RUNNING, SagaStatus.COMPLETED, SagaStatus.FAILED}
        assert (progress.status is SagaStatus.FAILED) <= bool(played.refused), "it gives up on what was refused only"


def _again(played: SimulatedSaga) -> Progress:
    """The same log folded anew; only the time of the last move comes from the instance."""
    progress: Progress | None = None
    for event in played.log:
        progress = evolve(progress, event, NOW)
    assert progress is not None
    return msgspec.structs.replace(progress, since=played.instance.progress.since)


def ends(played: SimulatedSaga) -> None:
    saga, progress = played.instance.saga, played.instance.progress
    stands = [progress.of(step.name) for step in saga.steps]
    last = played.log[-1]
    if progress.status is SagaStatus.COMPLETED:
        assert isinstance(last, e.SagaCompleted)
        assert set(stands) <= {StepStatus.COMPLETED}
        order_ = [step.name for step in saga.steps if not isinstance(step.do, Nothing)]
        assert [name for name, _ in played.moves] == order_
    elif progress.status is SagaStatus.COMPENSATED:
        assert isinstance(last, e.SagaCompensated)
        assert set(stands) <= {StepStatus.COMPENSATED, StepStatus.FAILED, StepStatus.PENDING}
    else:
        assert progress.status is SagaStatus.FAILED, "nothing is left hanging"
        assert isinstance(last, e.SagaFailed)
        assert last.reason != "it could not be compensated", "it says why"
        assert len(last.open_items) == len(open_holdings(saga, progress)) > 0
    assert finished(last) != (progress.status is SagaStatus.FAILED)
    undone = [event.step for event in played.log if isinstance(event, e.SagaStepCompensated)]
    names = [step.name for step in saga.steps]
    assert undone == sorted(undone, key=names.index, reverse=True), "up as it came down"


def an_event(rng: Random) -> SagaEvent:
    about: dict[str, Any] = {
        "saga_id": SAGA_ID, "step": rng.choice(["open_order", "reserve_inventory", "s0", "s1"]), "name": "n",
        "definition": 1, "order_id": ORDER_ID, "direction": rng.choice(["forward", "backward"]), "key": "k",
        "attempt": rng.randint(0, 5), "error": "x", "final": rng.random() < 0.5, "reason": "r", "by": "ann",
    }  # fmt: skip
    kind = rng.choice(e.EVENTS)
    return kind(**{name: value for name, value in about.items() if name in kind.__struct_fields__})


@given(rng=RNG)
def test_a_saga_with_any_events_in_any_order_has_a_next_move_or_has_ended(rng: Random) -> None:
    saga, progress = a_saga(rng), None
    for _ in range(30):
        progress = evolve(progress, an_event(rng), NOW)
        move = next_move(saga, progress)
        assert move is None or isinstance(move, Move | SagaStatus)
        assert (move is None) == (progress.status not in {SagaStatus.RUNNING, SagaStatus.COMPENSATING})


def test_the_generated_tables_have_every_kind_of_action() -> None:
    kinds = {type(action) for saga in SAGAS.values() for step in saga.steps for action in (step.do, step.undo)}
    assert kinds == {Local, Call, Nothing}
