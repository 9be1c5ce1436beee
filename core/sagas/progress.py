"""Progress: how far one saga has come. It is folded from the events of the saga's own stream alone. Pure."""

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
    FAILED = "FAILED"  # a person must act
    RESOLVED = "RESOLVED"  # a person has settled by hand what was open


ENDED = frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.RESOLVED})


class StepStatus(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"  # its call was announced, and the outcome is not known yet
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"  # it was refused for good and had no effect
    COMPENSATING = "COMPENSATING"
    COMPENSATED = "COMPENSATED"
    COMPENSATION_FAILED = "COMPENSATION_FAILED"
    SKIPPED = "SKIPPED"


MAY_HAVE_HAPPENED = frozenset({StepStatus.RUNNING, StepStatus.COMPLETED, StepStatus.COMPENSATING})
DONE = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})


class Progress(Struct, frozen=True):
    """The fold of a saga's stream.

    `keys` are the provider's keys of the calls that were announced for the present step, in their order. `refusal` is
    why a step was refused for good, if one was and the saga went on with the others.

    `since` is when the saga came to its present step, `attempts` how many tries of that step have failed, and
    `announced` the number of the last try that the log announces. `failed_as` is the status before the saga failed.
    `about` is which one it is, if its order may have several sagas of its name.
    """

    status: SagaStatus
    since: datetime
    steps: Mapping[str, StepStatus] = MappingProxyType({})
    attempts: int = 0
    announced: int = 0
    last_error: str | None = None
    keys: tuple[str, ...] = ()
    refusal: str | None = None
    reason: str = ""
    failed_as: SagaStatus = SagaStatus.RUNNING
    about: str = ""

    @property
    def key(self) -> str:
        """The key of the last call that was announced for the present step; empty if none was."""
        return self.keys[-1] if self.keys else ""

    def of(self, step: str) -> StepStatus:
        return self.steps.get(step, StepStatus.PENDING)


def evolve(progress: Progress | None, event: Event, at: datetime) -> Progress:
    """The progress after one more event, which was recorded at `at`. An unknown event changes nothing."""
    if progress is None:
        about = event.about if isinstance(event, events.SagaStarted) else ""
        return Progress(status=SagaStatus.RUNNING, since=at, about=about)
    match event:
        case events.SagaStepStarted(step=step, direction=direction, attempt=attempt, key=key):
            status = StepStatus.RUNNING if direction == "forward" else StepStatus.COMPENSATING
            keys = progress.keys if key == progress.key else (*progress.keys, key)
            return replace(_with_step(progress, step, status), announced=attempt, keys=keys)
        case events.SagaStepCompleted(step=step):
            return _at_new_step(_with_step(progress, step, StepStatus.COMPLETED), at)
        case events.SagaStepFailed(step=step, error=error, attempt=attempt, final=True):
            failed = _with_step(progress, step, StepStatus.FAILED)
            return replace(failed, attempts=attempt, last_error=error, refusal=error)
        case events.SagaStepFailed(error=error, attempt=attempt):
            return replace(progress, attempts=attempt, last_error=error)
        case events.SagaCompensationStarted(reason=reason):
            return replace(_at_new_step(progress, at), status=SagaStatus.COMPENSATING, reason=reason)
        case events.SagaStepCompensated(step=step):
            return _at_new_step(_with_step(progress, step, StepStatus.COMPENSATED), at)
        case events.SagaCompensationFailed(step=step, error=error, attempt=attempt, final=True):
            return replace(
                _with_step(progress, step, StepStatus.COMPENSATION_FAILED), attempts=attempt, last_error=error
            )
        case events.SagaCompensationFailed(error=error, attempt=attempt):
            return replace(progress, attempts=attempt, last_error=error)
        case events.SagaCompleted():
            return replace(progress, status=SagaStatus.COMPLETED)
        case events.SagaCompensated():
            return replace(progress, status=SagaStatus.COMPENSATED)
        case events.SagaFailed(reason=reason):
            return replace(progress, status=SagaStatus.FAILED, failed_as=progress.status, last_error=reason)
        case events.SagaRetried():
            if progress.status is not SagaStatus.FAILED:
                return _at_new_step(progress, at)  # it is under way, and begins the step again
            return replace(_with_retry(_at_new_step(progress, at)), status=progress.failed_as)
        case events.SagaStepSkipped(step=str(step)):
            return replace(_with_step(_at_new_step(progress, at), step, StepStatus.SKIPPED), status=progress.failed_as)
        case events.SagaCompensationRequested(reason=reason):
            return replace(_with_retry(_at_new_step(progress, at)), status=SagaStatus.COMPENSATING, reason=reason)
        case events.SagaResolved():
            return replace(progress, status=SagaStatus.RESOLVED)
        case _:
            return progress


def fold(progress: Progress, new: Sequence[Event], now: datetime) -> Progress:
    """The progress after new events, which are recorded at `now`."""
    return reduce(lambda before, event: evolve(before, event, now), new, progress)


def _with_step(progress: Progress, step: str, status: StepStatus) -> Progress:
    return replace(progress, steps=MappingProxyType({**progress.steps, step: status}))


def _with_retry(progress: Progress) -> Progress:
    """The step that had failed is to be tried once more."""
    new_status = {StepStatus.COMPENSATION_FAILED: StepStatus.COMPENSATING}
    if progress.failed_as is SagaStatus.RUNNING:
        new_status[StepStatus.FAILED] = StepStatus.RUNNING
    steps = {step: new_status.get(status, status) for step, status in progress.steps.items()}
    return replace(progress, steps=MappingProxyType(steps), refusal=None)


def _at_new_step(progress: Progress, at: datetime) -> Progress:
    return replace(progress, since=at, attempts=0, announced=0, last_error=None, keys=())
