"""Which events a saga records on its own stream, given how a move ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core.domain import saga as events
from core.domain.message import payment_of
from core.domain.order import Order
from core.domain.saga import SagaEvent
from core.domain.validation import tidy
from core.sagas.holdings import open_items
from core.sagas.progress import SagaStatus, evolve
from core.sagas.saga import Call, Effect, Instance, Move, Nothing, next_move

LEAST_TRIES = 3
LEAST_UNDO_TRIES = 10
UNDO_WITHIN = timedelta(minutes=15)


def started(instance: Instance, now: datetime, scale: float) -> Sequence[SagaEvent]:
    """The first events of a new saga."""
    saga, deadline = instance.saga, instance.saga.deadline
    first = events.SagaStarted(
        saga_id=instance.saga_id,
        name=saga.name,
        definition=saga.definition,
        order_id=instance.order_id,
        deadline=None if deadline is None else now + scale * deadline,
        about=instance.progress.about,
    )
    new_instance = Instance(saga, instance.saga_id, instance.order_id, evolve(None, first, now))
    return [first, *follow(new_instance, now)]


def concluded(instance: Instance, move: Move, effect: Effect, now: datetime) -> Sequence[SagaEvent]:
    """The events after a move that has ended: it is done, refused for good, or abandoned."""
    saga_id, status, step = instance.saga_id, instance.progress.status, move.step.name
    new_events: list[SagaEvent]
    if effect.abandon is not None:
        compensates_already = status is SagaStatus.COMPENSATING
        new_events = (
            []
            if compensates_already
            else [events.SagaCompensationStarted(saga_id=saga_id, reason=tidy(effect.abandon))]
        )
    elif effect.refusal is None:
        kind = events.SagaStepCompleted if move.forward else events.SagaStepCompensated
        new_events = [kind(saga_id=saga_id, step=step)]
    else:
        kind = events.SagaStepFailed if move.forward else events.SagaCompensationFailed
        attempt = instance.progress.attempts + 1
        new_events = [kind(saga_id=saga_id, step=step, attempt=attempt, error=tidy(effect.refusal), final=True)]
        if move.forward and not instance.saga.undoes and status is SagaStatus.RUNNING:
            new_events.append(events.SagaCompensationStarted(saga_id=saga_id, reason=tidy(effect.refusal)))
    return [*new_events, *follow(instance.fold(new_events, now), now)]


def failed(
    instance: Instance, move: Move, error: str, now: datetime, pause: timedelta, scale: float
) -> Sequence[SagaEvent]:
    """The events after a try that failed for now. The step is tried again after `pause`, unless its time is over."""
    saga_id, step = instance.saga_id, move.step.name
    attempt = instance.progress.attempts + 1
    kind = events.SagaStepFailed if move.forward else events.SagaCompensationFailed
    over = _time_is_over(instance, move, attempt, now, scale)
    undoing = instance.saga.undoes or not move.forward
    final = over and undoing  # a forward step whose tries timed out may have happened, so it is undone
    retry_at = None if over else now + pause
    new_events: list[SagaEvent] = [
        kind(saga_id=saga_id, step=step, attempt=attempt, error=tidy(error), final=final, retry_at=retry_at)
    ]
    if over and not undoing:
        new_events.append(events.SagaCompensationStarted(saga_id=saga_id, reason=tidy(f"{step}: {error}")))
        new_events += follow(instance.fold(new_events, now), now)
    return new_events


def announced(instance: Instance, move: Move) -> SagaEvent:
    """The event that announces a call to the provider."""
    assert isinstance(move.action, Call)  # noqa: S101 - only calls are announced
    return events.SagaStepStarted(
        saga_id=instance.saga_id,
        step=move.step.name,
        direction="forward" if move.forward else "backward",
        attempt=instance.progress.attempts + 1,
        key=provider_key(instance, move.action),
    )


def provider_key(instance: Instance, call: Call) -> str:
    """The idempotency key of a call. It is always the same, so a second try or a second runner cannot charge twice."""
    about = f":{instance.progress.about}" if instance.progress.about else ""
    return f"{payment_of(instance.order_id)}:{call.operation}{about}"


def gave_up(instance: Instance, order: Order) -> SagaEvent:
    """The event that says that a person must act, and what is still open."""
    progress = instance.progress
    reason = progress.last_error or "it could not be compensated"
    items = open_items(instance.saga, progress, order)
    return events.SagaFailed(saga_id=instance.saga_id, reason=reason, open_items=items)


def follow(instance: Instance, now: datetime) -> list[SagaEvent]:
    """More events for the same append: of steps with nothing to do, the saga's end, or the announcement of a call."""
    new_events: list[SagaEvent] = []
    while True:
        move, progress = next_move(instance.saga, instance.progress), instance.progress
        if move is SagaStatus.COMPLETED:
            event: SagaEvent = events.SagaCompleted(saga_id=instance.saga_id)
        elif move is SagaStatus.COMPENSATED:
            event = events.SagaCompensated(saga_id=instance.saga_id)
        elif isinstance(move, Move) and isinstance(move.action, Nothing):
            kind = events.SagaStepCompleted if move.forward else events.SagaStepCompensated
            event = kind(saga_id=instance.saga_id, step=move.step.name)
        elif isinstance(move, Move) and isinstance(move.action, Call) and progress.announced <= progress.attempts:
            event = announced(instance, move)
        else:
            return new_events
        new_events.append(event)
        instance = instance.fold([event], now)


def _time_is_over(instance: Instance, move: Move, attempt: int, now: datetime, scale: float) -> bool:
    if instance.saga.undoes or not move.forward:
        least, within = LEAST_UNDO_TRIES, UNDO_WITHIN
    elif instance.saga.forward_only:
        return False
    else:
        least, within = LEAST_TRIES, move.step.within
    return within is not None and attempt >= least and now - instance.progress.since >= scale * within
