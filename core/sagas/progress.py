"""Progress: how far one instance of a saga has come, which the events of its own stream say and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import reduce
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from core.domain import saga as events
from core.domain.message import Event


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


MAY_HAVE_HAPPENED = frozenset({StepStatus.RUNNING, StepStatus.COMPLETED, StepStatus.COMPENSATING})
DONE = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})


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


def fold(progress: Progress, new: Sequence[Event], now: datetime) -> Progress:
    """`progress` after events that are recorded at `now`."""
    return reduce(lambda before, event: evolve(before, event, now), new, progress)


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
