"""Saga: a table that reads down as the happy path and up as the compensation, and how far an instance has come.

Everything here is pure: `evolve` folds the saga's own stream, `next_move` says what is to be done next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from core.domain import saga as events
from core.domain.inventory import InventoryEvent, Stock
from core.domain.message import Event, OrderId, Sku
from core.domain.order import Order, OrderEvent
from core.domain.payment import Payment, PaymentEvent
from core.domain.provider import PaymentAnswer

SECONDS = timedelta(seconds=1)
MINUTES = timedelta(minutes=1)

Stream = Literal["order", "payment", "stock"]
Operation = Literal["authorise", "capture", "void", "refund"]


# --- what a step may do -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Facts:
    """What an action decides on: the streams it reads, folded; `reason` is why the saga compensates."""

    order_id: OrderId
    order: Order
    payment: Payment
    stock: Mapping[Sku, Stock]
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Effect:
    """The events an action wants recorded.

    `refusal`: a final no, so the step has had no effect, and why. `abandon`: why to stop here and compensate,
    whatever the step may have done already.
    """

    order: Sequence[OrderEvent] = ()
    payment: Sequence[PaymentEvent] = ()
    stock: Mapping[Sku, Sequence[InventoryEvent]] = field(default_factory=dict[Sku, Sequence[InventoryEvent]])
    refusal: str | None = None
    abandon: str | None = None


@dataclass(frozen=True, slots=True)
class Local:
    """An action within our own log: one append that guards every stream it reads."""

    reads: frozenset[Stream]
    decide: Callable[[Facts], Effect]


@dataclass(frozen=True, slots=True)
class Call:
    """An action outside: announced in the log, called with a derived key, and its answer recorded.

    `before` returns what to record instead of calling, or None to call.
    """

    operation: Operation
    before: Callable[[Facts], Effect | None]
    record: Callable[[Facts, PaymentAnswer], Effect]
    reads: frozenset[Stream] = frozenset({"payment"})


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do, or to undo."""


Action = Local | Call | Nothing


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a saga's table. `within`: how long it is tried, at least; None: for ever."""

    name: str
    do: Action
    undo: Action
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Saga:
    """`forward_only`: never gives up by itself, its steps are tried until they are done.

    `undoes`: its steps are undos themselves, so they give up as undos do, and there is nothing to turn back to.
    """

    name: str
    definition: int
    starts_on: type[Event]
    steps: Sequence[Step]
    forward_only: bool = False
    undoes: bool = False

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    @property
    def deadline(self) -> timedelta | None:
        """All steps' `within` together; None when one has none."""
        limits = [step.within for step in self.steps if not isinstance(step.do, Nothing)]
        return None if None in limits else sum((limit for limit in limits if limit), timedelta())


# --- how far it has come ------------------------------------------------------------------------------------
class SagaStatus(StrEnum):
    RUNNING = "RUNNING"
    COMPENSATING = "COMPENSATING"
    COMPLETED = "COMPLETED"
    COMPENSATED = "COMPENSATED"
    FAILED = "FAILED"  # a person is needed
    RESOLVED = "RESOLVED"  # a person has vouched for what was open


class StepStatus(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"  # announced, its outcome is not known
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"  # a final no: it had no effect
    COMPENSATING = "COMPENSATING"
    COMPENSATED = "COMPENSATED"
    COMPENSATION_FAILED = "COMPENSATION_FAILED"
    SKIPPED = "SKIPPED"


class Progress(Struct, frozen=True):
    """The fold of a saga's stream.

    Of the step it is at: `since` when, `attempts` how many tries have failed, `announced` the try that the log says
    was begun. `failed_as`: what it was doing when it failed.
    """

    status: SagaStatus
    since: datetime
    steps: Mapping[str, StepStatus] = MappingProxyType({})
    attempts: int = 0
    announced: int = 0
    last_error: str | None = None
    reason: str = ""
    failed_as: SagaStatus = SagaStatus.RUNNING

    def of(self, step: str) -> StepStatus:
        return self.steps.get(step, StepStatus.PENDING)


def evolve(progress: Progress | None, event: Event, at: datetime) -> Progress:
    """Fold one event of the saga's stream, recorded at `at`. Ignores what it does not know."""
    if progress is None:
        return Progress(status=SagaStatus.RUNNING, since=at)
    match event:
        case events.SagaStepStarted(step=step, direction=direction, attempt=attempt):
            status = StepStatus.RUNNING if direction == "forward" else StepStatus.COMPENSATING
            return replace(_step(progress, step, status), announced=attempt)
        case events.SagaStepCompleted(step=step):
            return _moved(_step(progress, step, StepStatus.COMPLETED), at)
        case events.SagaStepFailed(step=step, error=error, attempt=attempt, final=True):
            return replace(_step(progress, step, StepStatus.FAILED), attempts=attempt, last_error=error)
        case events.SagaStepFailed(error=error, attempt=attempt):
            return replace(progress, attempts=attempt, last_error=error)
        case events.SagaCompensationStarted(reason=reason):
            return replace(_moved(progress, at), status=SagaStatus.COMPENSATING, reason=reason)
        case events.SagaStepCompensated(step=step):
            return _moved(_step(progress, step, StepStatus.COMPENSATED), at)
        case events.SagaCompensationFailed(step=step, error=error, attempt=attempt, final=True):
            return replace(_step(progress, step, StepStatus.COMPENSATION_FAILED), attempts=attempt, last_error=error)
        case events.SagaCompensationFailed(error=error, attempt=attempt):
            return replace(progress, attempts=attempt, last_error=error)
        case events.SagaCompleted():
            return replace(progress, status=SagaStatus.COMPLETED)
        case events.SagaCompensated():
            return replace(progress, status=SagaStatus.COMPENSATED)
        case events.SagaFailed():
            return replace(progress, status=SagaStatus.FAILED, failed_as=progress.status)
        case events.SagaRetried():
            return replace(_again(_moved(progress, at)), status=progress.failed_as)
        case events.SagaStepSkipped(step=str(step)):
            return replace(_step(_moved(progress, at), step, StepStatus.SKIPPED), status=progress.failed_as)
        case events.SagaCompensationRequested(reason=reason):
            return replace(_again(_moved(progress, at)), status=SagaStatus.COMPENSATING, reason=reason)
        case events.SagaResolved():
            return replace(progress, status=SagaStatus.RESOLVED)
        case _:
            return progress


def _step(progress: Progress, step: str, status: StepStatus) -> Progress:
    return replace(progress, steps=MappingProxyType({**progress.steps, step: status}))


def _again(progress: Progress) -> Progress:
    """The step that was given up is tried once more."""
    again = {StepStatus.COMPENSATION_FAILED: StepStatus.COMPENSATING}
    if progress.failed_as is SagaStatus.RUNNING:
        again[StepStatus.FAILED] = StepStatus.RUNNING
    steps = {step: again.get(status, status) for step, status in progress.steps.items()}
    return replace(progress, steps=MappingProxyType(steps))


def _moved(progress: Progress, at: datetime) -> Progress:
    return replace(progress, since=at, attempts=0, announced=0, last_error=None)


# --- what is next -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Move:
    """Run a step's `do` or its `undo`."""

    step: Step
    forward: bool

    @property
    def action(self) -> Action:
        return self.step.do if self.forward else self.step.undo


MAY_HAVE_HAPPENED = frozenset({StepStatus.RUNNING, StepStatus.COMPLETED, StepStatus.COMPENSATING})
DONE = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})


def next_move(saga: Saga, progress: Progress) -> Move | SagaStatus | None:
    """What to do next, the status it has come to the end with, or None when it has ended already."""
    if progress.status is SagaStatus.RUNNING:
        for step in saga.steps:
            status = progress.of(step.name)
            if status not in DONE:
                return SagaStatus.FAILED if saga.undoes and status is StepStatus.FAILED else Move(step, forward=True)
        return SagaStatus.COMPLETED
    if progress.status is SagaStatus.COMPENSATING:
        if StepStatus.COMPENSATION_FAILED in progress.steps.values():
            return SagaStatus.FAILED  # whatever else there is to undo: a person decides
        for step in reversed(saga.steps):  # one at a time, from the last that may have had an effect
            if progress.of(step.name) in MAY_HAVE_HAPPENED:
                return Move(step, forward=False)
        return SagaStatus.COMPENSATED
    return None
