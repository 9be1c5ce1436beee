"""What an operator may do to a saga. Each wish records an event that says who acted and why. Pure."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from core.domain import saga as events
from core.domain.refunds import under_way
from core.domain.saga import SagaEvent
from core.domain.validation import Fields
from core.errors import NotAllowed
from core.sagas.progress import ENDED, Progress, SagaStatus, StepStatus
from core.sagas.record import Record, follow
from core.sagas.saga import Effect, Facts, Instance, Local, Move, Saga, TurnBack, next_move

LONGEST_REASON = 500
PATIENCE = timedelta(seconds=30)  # so long a saga may be at one step before people may act on it; a failed try ends it


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


def decide(wish: Wish, instance: Instance, facts: Facts, reason: str, by: str) -> tuple[Record, Effect]:
    """The events for the saga's stream, and the effect on other streams. Raises NotAllowed, which says why not."""
    saga, saga_id, progress = instance.saga, instance.saga_id, instance.progress
    if not saga.steps and wish is not Wish.RESOLVE:
        raise NotAllowed(f"this release has no saga {saga.name} in definition {saga.definition}: resolve it")
    step = failed_step(saga, progress)
    match wish:
        case Wish.RETRY:
            _must_be_stuck(wish, instance, facts)
            new_events: list[SagaEvent] = [events.SagaRetried(saga_id=saga_id, reason=reason, by=by, step=step)]
        case Wish.SKIP_STEP:
            _may_be_skipped(instance, facts, step)
            new_events = [events.SagaStepSkipped(saga_id=saga_id, reason=reason, by=by, step=step)]
        case Wish.COMPENSATE:
            new_events, effect = _turn_back(instance, facts)
            new_events.append(events.SagaCompensationRequested(saga_id=saga_id, reason=reason, by=by, step=step))
            return follow(instance, new_events, facts.now, facts.payment), effect
        case Wish.RESOLVE:
            _must_be_stuck(wish, instance, facts)
            resolved = events.SagaResolved(saga_id=saga_id, reason=reason, by=by, step=step)
            return Record.of(instance, [resolved], facts.now), Effect()
    return follow(instance, new_events, facts.now, facts.payment), Effect()


def _must_be_stuck(wish: Wish, instance: Instance, facts: Facts) -> None:
    """Refuse the wish unless the saga has failed, or is under way and does not get on."""
    saga, progress = instance.saga, instance.progress
    if progress.status in ENDED:
        raise NotAllowed(f"cannot {wish.replace('-', ' ')} {saga.name}: it is {progress.status.lower()}")
    gets_on = progress.attempts == 0 and facts.now - progress.since < PATIENCE
    if progress.status is not SagaStatus.FAILED and gets_on:
        raise NotAllowed(
            f"cannot {wish.replace('-', ' ')} {saga.name} yet: it is {progress.status.lower()}, no try has failed, and "
            f"it came to its present step less than {PATIENCE.seconds} seconds ago"
        )


def _may_be_skipped(instance: Instance, facts: Facts, step: str | None) -> None:
    saga, progress = instance.saga, instance.progress
    _must_be_stuck(Wish.SKIP_STEP, instance, facts)
    if step is None:
        raise NotAllowed(f"{saga.name} has no step to skip: retry, or resolve it")
    if progress.status is not SagaStatus.FAILED:
        raise NotAllowed(f"whether {step} happened is not known yet: retry, which tries it at once, or resolve it")
    if progress.failed_as is SagaStatus.RUNNING and not (saga.undoes or saga.forward_only):
        raise NotAllowed(f"skipping {step} would go on as if it were done: retry, compensate, or resolve")


def failed_step(saga: Saga, progress: Progress) -> str | None:
    """The name of the step that the saga is at, or was at when it failed; None when there is none."""
    for name, status in progress.steps.items():
        if status is StepStatus.COMPENSATION_FAILED or (
            (saga.undoes or saga.forward_only) and status is StepStatus.FAILED
        ):
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
    if saga.forward_only:
        return _turn_back_after_the_goods_left(instance, facts)
    return [], Effect()


def _turn_back_after_the_goods_left(instance: Instance, facts: Facts) -> tuple[list[SagaEvent], Effect]:
    """The local steps are done in any case, since the goods are gone; a call must have happened to be undone."""
    new_events: list[SagaEvent] = []
    effect = Effect()
    for step in instance.saga.steps:
        status = instance.progress.of(step.name)
        if isinstance(step.do, Local):
            if status is not StepStatus.COMPLETED:
                effect = step.do.decide(facts)
                new_events.append(events.SagaStepCompleted(saga_id=instance.saga_id, step=step.name))
        elif status in {StepStatus.FAILED, StepStatus.SKIPPED}:
            instead = ": retry, skip the step, or resolve" if status is StepStatus.FAILED else ""
            how = "refused" if status is StepStatus.FAILED else "skipped"
            raise NotAllowed(f"there is nothing to undo, since {step.name} was {how}{instead}")
        elif status is not StepStatus.COMPLETED:
            raise NotAllowed(
                f"whether {step.name} happened is not known yet: retry, which tries it at once, or resolve"
            )
    return new_events, effect
