"""Sagas driven through random outcomes, the real tables and made-up ones: whatever happens, it ends in one way only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Literal, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from core import codec
from core.domain import saga as e
from core.domain.order import OrderCreated
from core.domain.saga import SagaEvent, finished
from core.sagas import SAGAS
from core.sagas.actions import authorize, confirm, nothing, refund, void
from core.sagas.record import announced, concluded, failed, fold, gave_up, open_steps, started
from core.sagas.saga import (
    Call,
    Effect,
    Local,
    Move,
    Nothing,
    Progress,
    Saga,
    SagaStatus,
    Step,
    StepStatus,
    evolve,
    next_move,
)
from tests.support.saga_facts import SAGA_ID, order
from tests.support.samples import NOW, ORDER_ID

Outcome = Literal["done", "refused", "abandoned", "later"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
RNG = st.randoms(use_true_random=True)  # of a seed that is printed: wide and fast, where shrinking would help little


def a_saga(rng: Random) -> Saga:
    """One of ours, or one that somebody may yet write."""
    if rng.random() < 0.3:
        return rng.choice(list(SAGAS.values()))
    steps = tuple(
        Step(
            f"s{n}",
            rng.choice([nothing, confirm, authorize]),
            rng.choice([nothing, confirm, void, refund]),
            rng.choice([None, timedelta(), timedelta(minutes=5)]),
        )
        for n in range(rng.randint(1, 5))
    )
    return Saga("made_up", 1, OrderCreated, steps, forward_only=rng.random() < 0.3)


@dataclass
class Instance:
    """One instance, advanced as a runner does, but that its outcomes are given."""

    saga: Saga
    scale: float = 1.0
    now: Any = NOW
    log: list[SagaEvent] = field(default_factory=list)
    progress: Progress | None = None
    moves: list[tuple[str, bool]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def record(self, events: Any) -> None:
        before = self.progress
        progress = fold(before, events, self.now) if before else self.refold(events)
        if next_move(self.saga, progress) is SagaStatus.FAILED:
            end = gave_up(self.saga, SAGA_ID, progress, order())
            events, progress = [*events, end], evolve(progress, end, self.now)
        self.log += events
        self.progress = progress

    def refold(self, events: Any) -> Progress:
        progress: Progress | None = None
        for event in events:
            progress = evolve(progress, event, self.now)
        assert progress is not None
        return progress

    def step(self, outcome: Outcome, passes: timedelta) -> bool:
        """One move with this outcome; False when there is none left."""
        assert self.progress is not None
        move = next_move(self.saga, self.progress)
        if not isinstance(move, Move):
            assert move is None, "an end is recorded with what led to it"
            return False
        assert not isinstance(move.action, Nothing), "what needs no doing is recorded with what led to it"
        self.now += passes
        common = (self.saga, SAGA_ID, ORDER_ID, self.progress, move)
        if isinstance(move.action, Call):
            if self.progress.announced <= self.progress.attempts:
                self.record([announced(SAGA_ID, ORDER_ID, self.progress, move)])
                return True
            if outcome == "later" or (outcome == "refused" and self.saga.forward_only):
                self.record(failed(*common, "away", self.now, timedelta(seconds=1), self.scale))
                return True
        elif outcome == "later" or not move.forward:
            outcome = "done"  # what is ours to decide is decided; an undo of our own is not refused
        if outcome == "abandoned" and (not move.forward or self.saga.forward_only):
            outcome = "done"
        if outcome == "refused" and self.saga.forward_only:
            outcome = "done"
        effect = {"refused": Effect(refusal="no"), "abandoned": Effect(abandon="stop")}.get(outcome, Effect())
        if outcome == "refused" and move.forward:
            self.refused.add(move.step.name)
        if outcome == "done":
            self.moves.append((move.step.name, move.forward))
        self.record(concluded(*common, effect, self.now))
        return True


def begun(saga: Saga, scale: float = 1.0) -> Instance:
    instance = Instance(saga, scale)
    instance.record(started(saga, SAGA_ID, ORDER_ID, NOW, scale))
    return instance


@settings(max_examples=2_000)
@given(rng=RNG)
def test_every_instance_comes_to_one_of_its_ends(rng: Random) -> None:
    instance = begun(a_saga(rng))
    for _ in range(rng.randint(0, 10)):
        outcome = rng.choices(OUTCOMES, [8, 1, 1, 6])[0]
        passes = timedelta(seconds=rng.choice([0, 60, 600]))
        for _ in range(rng.choice([1, 1, 3, 24])):
            if not instance.step(outcome, passes):
                break
            check(instance)
    for _ in range(100):  # and when nothing goes wrong any more, it ends
        if not instance.step("done", timedelta(seconds=1)):
            break
    check(instance)
    ends(instance)


def check(instance: Instance) -> None:
    """What holds at every moment."""
    saga, progress = instance.saga, instance.progress
    assert progress is not None
    assert progress == _again(instance), "the log alone says where it stands"
    for event in instance.log:
        kind = codec.event_type(type(event))
        assert codec.decode(kind, codec.SCHEMA_VERSION, codec.encode(event)) == event
    did = [(event.step, type(event)) for event in instance.log if isinstance(event, e.StepEvent)]
    for step in saga.steps:
        mine = [kind for name, kind in did if name == step.name]
        assert mine.count(e.SagaStepCompleted) <= 1
        assert mine.count(e.SagaStepCompensated) <= 1
        if e.SagaStepCompensated in mine:
            assert step.name not in instance.refused, "what was refused is never undone"
            assert e.SagaStepCompleted not in mine[mine.index(e.SagaStepCompensated) :], "or it would run again"
    assert sum(isinstance(event, e.SagaCompensationStarted) for event in instance.log) <= 1
    if saga.forward_only:
        assert progress.status in {SagaStatus.RUNNING, SagaStatus.COMPLETED}


def _again(instance: Instance) -> Progress:
    """The fold of the whole log, which has its times from the moments it was told."""
    told: Progress | None = None
    for event in instance.log:
        told = evolve(told, event, NOW)
    assert told is not None
    assert instance.progress is not None
    return Progress(
        status=told.status, since=instance.progress.since, steps=told.steps, attempts=told.attempts,
        announced=told.announced, last_error=told.last_error, reason=told.reason,
        failed_as=told.failed_as,
    )  # fmt: skip


def ends(instance: Instance) -> None:
    saga, progress = instance.saga, instance.progress
    assert progress is not None
    stands = [progress.of(step.name) for step in saga.steps]
    last = instance.log[-1]
    if progress.status is SagaStatus.COMPLETED:
        assert isinstance(last, e.SagaCompleted)
        assert set(stands) <= {StepStatus.COMPLETED}
        order_ = [step.name for step in saga.steps if not isinstance(step.do, Nothing)]
        assert [name for name, _ in instance.moves] == order_
    elif progress.status is SagaStatus.COMPENSATED:
        assert isinstance(last, e.SagaCompensated)
        assert set(stands) <= {StepStatus.COMPENSATED, StepStatus.FAILED, StepStatus.PENDING}
    else:
        assert progress.status is SagaStatus.FAILED, "nothing is left hanging"
        assert isinstance(last, e.SagaFailed)
        assert last.reason != "it could not be compensated", "it says why"
        assert len(last.open_items) == len(open_steps(saga, progress)) > 0
    assert finished(last) != (progress.status is SagaStatus.FAILED)
    undone = [event.step for event in instance.log if isinstance(event, e.SagaStepCompensated)]
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
def test_a_fold_of_any_events_whatsoever_says_what_is_next(rng: Random) -> None:
    saga, progress = a_saga(rng), None
    for _ in range(30):
        progress = evolve(progress, an_event(rng), NOW)
        move = next_move(saga, progress)
        assert move is None or isinstance(move, Move | SagaStatus)
        assert (move is None) == (progress.status not in {SagaStatus.RUNNING, SagaStatus.COMPENSATING})


def test_the_made_up_tables_have_every_kind_of_action() -> None:
    kinds = {type(action) for saga in SAGAS.values() for step in saga.steps for action in (step.do, step.undo)}
    assert kinds == {Local, Call, Nothing}
