"""What an operator may do to a saga, and why not: four wishes, each an event with who and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from core.domain import saga as events
from core.domain.saga import SagaEvent
from core.domain.validation import Fields
from core.errors import NotAllowed
from core.sagas.progress import Progress, SagaStatus, StepStatus
from core.sagas.record import follow
from core.sagas.saga import Effect, Facts, Instance, Local, Move, Saga, TurnBack, next_move

LONGEST_REASON = 500


class Wish(StrEnum):
    RETRY = "retry"
    SKIP_STEP = "skip-step"
    COMPENSATE = "compensate"
    RESOLVE = "resolve"


def checked_reason(reason: str) -> str:
    """Raises InvalidInput."""
    fields = Fields()
    fields.text("reason", reason, LONGEST_REASON)
    fields.done()
    return reason


def decide(wish: Wish, instance: Instance, facts: Facts, reason: str, by: str) -> tuple[Sequence[SagaEvent], Effect]:
    """The events of the saga's stream, and what goes with them; raises NotAllowed with a sentence."""
    saga, saga_id, progress = instance.saga, instance.saga_id, instance.progress
    step = failed_step(saga, progress)
    match wish:
        case Wish.RETRY:
            _must_have_failed(wish, saga, progress)
            own: list[SagaEvent] = [events.SagaRetried(saga_id=saga_id, reason=reason, by=by, step=step)]
        case Wish.SKIP_STEP:
            _must_have_failed(wish, saga, progress)
            if step is None:
                raise NotAllowed(f"{saga.name} has no step to skip: retry, or resolve it")
            if progress.failed_as is SagaStatus.RUNNING and not saga.undoes:
                raise NotAllowed(f"skipping {step} would go on as if it were done: retry, compensate, or resolve")
            own = [events.SagaStepSkipped(saga_id=saga_id, reason=reason, by=by, step=step)]
        case Wish.COMPENSATE:
            own, effect = _turned_back(instance, facts)
            own.append(events.SagaCompensationRequested(saga_id=saga_id, reason=reason, by=by, step=step))
            return _followed(instance, own, facts), effect
        case Wish.RESOLVE:
            if progress.status is not SagaStatus.FAILED:
                raise NotAllowed(_only_failed(wish, saga, progress))
            return [events.SagaResolved(saga_id=saga_id, reason=reason, by=by, step=step)], Effect()
    return _followed(instance, own, facts), Effect()


def failed_step(saga: Saga, progress: Progress) -> str | None:
    """The step at which a saga stands, or stood when it failed."""
    for name, status in progress.steps.items():
        if status is StepStatus.COMPENSATION_FAILED or (saga.undoes and status is StepStatus.FAILED):
            return name
    status = progress.failed_as if progress.status is SagaStatus.FAILED else progress.status
    move = next_move(saga, Progress(status=status, since=progress.since, steps=progress.steps))
    return move.step.name if isinstance(move, Move) else None


def _turned_back(instance: Instance, facts: Facts) -> tuple[list[SagaEvent], Effect]:
    """What is recorded before a saga turns back; raises NotAllowed where it may not."""
    saga, progress = instance.saga, instance.progress
    if saga.turn_back is TurnBack.NEVER:
        raise NotAllowed(f"{saga.name} has nothing to turn back to: retry, skip the step, or resolve")
    status = progress.status
    if status is SagaStatus.FAILED and progress.failed_as is SagaStatus.COMPENSATING:
        raise NotAllowed(f"{saga.name} was compensating when it failed: retry, skip the step, or resolve")
    ended_too = saga.turn_back is TurnBack.EVEN_COMPLETED and status is SagaStatus.COMPLETED
    if status not in {SagaStatus.RUNNING, SagaStatus.FAILED} and not ended_too:
        raise NotAllowed(f"cannot compensate {saga.name}: it is {status.lower()}")
    own: list[SagaEvent] = []
    effect = Effect()
    if saga.forward_only:
        for step in saga.steps:
            if isinstance(step.do, Local) and progress.of(step.name) is not StepStatus.COMPLETED:
                effect = step.do.decide(facts)  # the goods have left, whatever becomes of the money
                own.append(events.SagaStepCompleted(saga_id=instance.saga_id, step=step.name))
            elif progress.of(step.name) in {StepStatus.RUNNING, StepStatus.PENDING}:
                raise NotAllowed(f"whether {step.name} happened is not known yet: it is still being tried")
    return own, effect


def _followed(instance: Instance, own: Sequence[SagaEvent], facts: Facts) -> Sequence[SagaEvent]:
    return [*own, *follow(instance.fold(own, facts.now), facts.now)]


def _must_have_failed(wish: Wish, saga: Saga, progress: Progress) -> None:
    if progress.status is not SagaStatus.FAILED:
        raise NotAllowed(_only_failed(wish, saga, progress))
    if not saga.steps:
        raise NotAllowed(f"this release has no saga {saga.name} in definition {saga.definition}: resolve it")


def _only_failed(wish: Wish, saga: Saga, progress: Progress) -> str:
    return f"cannot {wish.replace('-', ' ')} {saga.name}: it is {progress.status.lower()}, not failed"
