"""What an operator may do to a saga. Each wish records an event that says who acted and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

from core.domain import saga as events
from core.domain.refunds import under_way
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
    """The reason, if it is a valid text. Raises InvalidInput if not."""
    fields = Fields()
    fields.text("reason", reason, LONGEST_REASON)
    fields.done()
    return reason


def decide(wish: Wish, instance: Instance, facts: Facts, reason: str, by: str) -> tuple[Sequence[SagaEvent], Effect]:
    """The events for the saga's stream, and the effect on other streams. Raises NotAllowed, which says why not."""
    saga, saga_id, progress = instance.saga, instance.saga_id, instance.progress
    step = failed_step(saga, progress)
    match wish:
        case Wish.RETRY:
            _must_have_failed(wish, saga, progress)
            new_events: list[SagaEvent] = [events.SagaRetried(saga_id=saga_id, reason=reason, by=by, step=step)]
        case Wish.SKIP_STEP:
            _must_have_failed(wish, saga, progress)
            if step is None:
                raise NotAllowed(f"{saga.name} has no step to skip: retry, or resolve it")
            if progress.failed_as is SagaStatus.RUNNING and not saga.undoes:
                raise NotAllowed(f"skipping {step} would go on as if it were done: retry, compensate, or resolve")
            new_events = [events.SagaStepSkipped(saga_id=saga_id, reason=reason, by=by, step=step)]
        case Wish.COMPENSATE:
            new_events, effect = _turn_back(instance, facts)
            new_events.append(events.SagaCompensationRequested(saga_id=saga_id, reason=reason, by=by, step=step))
            return _with_following(instance, new_events, facts), effect
        case Wish.RESOLVE:
            if progress.status is not SagaStatus.FAILED:
                raise NotAllowed(_not_failed_text(wish, saga, progress))
            return [events.SagaResolved(saga_id=saga_id, reason=reason, by=by, step=step)], Effect()
    return _with_following(instance, new_events, facts), Effect()


def failed_step(saga: Saga, progress: Progress) -> str | None:
    """The name of the step that the saga is at, or was at when it failed; None when there is none."""
    for name, status in progress.steps.items():
        if status is StepStatus.COMPENSATION_FAILED or (saga.undoes and status is StepStatus.FAILED):
            return name
    status = progress.failed_as if progress.status is SagaStatus.FAILED else progress.status
    move = next_move(saga, Progress(status=status, since=progress.since, steps=progress.steps))
    return move.step.name if isinstance(move, Move) else None


def _turn_back(instance: Instance, facts: Facts) -> tuple[list[SagaEvent], Effect]:
    """What must be recorded before a saga undoes its steps. Raises NotAllowed if it must not undo them."""
    saga, progress = instance.saga, instance.progress
    if saga.turn_back is TurnBack.NEVER:
        raise NotAllowed(f"{saga.name} has nothing to turn back to: retry, skip the step, or resolve")
    status = progress.status
    if status is SagaStatus.FAILED and progress.failed_as is SagaStatus.COMPENSATING:
        raise NotAllowed(f"{saga.name} was compensating when it failed: retry, skip the step, or resolve")
    may_undo_completed = saga.turn_back is TurnBack.EVEN_COMPLETED and status is SagaStatus.COMPLETED
    if status not in {SagaStatus.RUNNING, SagaStatus.FAILED} and not may_undo_completed:
        raise NotAllowed(f"cannot compensate {saga.name}: it is {status.lower()}")
    if waiting := under_way(facts.order.refunds, facts.payment):
        amount = sum((refund.amount for refund in waiting), Decimal(0))
        raise NotAllowed(f"a refund of {amount} is under way: wait until it has ended, or refund the rest on its own")
    new_events: list[SagaEvent] = []
    effect = Effect()
    if saga.forward_only:
        for step in saga.steps:
            if isinstance(step.do, Local) and progress.of(step.name) is not StepStatus.COMPLETED:
                effect = step.do.decide(facts)  # the goods have left the warehouse in any case
                new_events.append(events.SagaStepCompleted(saga_id=instance.saga_id, step=step.name))
            elif progress.of(step.name) in {StepStatus.RUNNING, StepStatus.PENDING}:
                raise NotAllowed(f"whether {step.name} happened is not known yet: it is still being tried")
    return new_events, effect


def _with_following(instance: Instance, new_events: Sequence[SagaEvent], facts: Facts) -> Sequence[SagaEvent]:
    return [*new_events, *follow(instance.fold(new_events, facts.now), facts.now)]


def _must_have_failed(wish: Wish, saga: Saga, progress: Progress) -> None:
    if progress.status is not SagaStatus.FAILED:
        raise NotAllowed(_not_failed_text(wish, saga, progress))
    if not saga.steps:
        raise NotAllowed(f"this release has no saga {saga.name} in definition {saga.definition}: resolve it")


def _not_failed_text(wish: Wish, saga: Saga, progress: Progress) -> str:
    return f"cannot {wish.replace('-', ' ')} {saga.name}: it is {progress.status.lower()}, not failed"
