"""Which events a saga records on its own stream, given how a move ended, and its progress after them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from core.domain import saga as events
from core.domain.message import payment_of
from core.domain.order import Order
from core.domain.payment import PAYMENT, Payment
from core.domain.saga import SagaEvent
from core.domain.validation import tidy
from core.sagas.holdings import open_items
from core.sagas.progress import ENDED, Progress, SagaStatus, evolve, fold
from core.sagas.saga import Call, Effect, Instance, Move, Nothing, next_move, renewed

LEAST_TRIES = 3
LEAST_UNDO_TRIES = 10
UNDO_WITHIN = timedelta(minutes=15)


class Record(NamedTuple):
    """New events of a saga, and its progress after them. They are folded once, however many decisions they pass."""

    events: Sequence[SagaEvent]
    progress: Progress

    @classmethod
    def of(cls, instance: Instance, new_events: Sequence[SagaEvent], now: datetime) -> Self:
        """These events, and nothing that follows from them. They are recorded at `now`."""
        return cls(new_events, fold(instance.progress, new_events, now))


def started(instance: Instance, now: datetime, scale: float) -> Record:
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
    rest = follow(new_instance, [], now)
    return Record([first, *rest.events], rest.progress)


def concluded(
    instance: Instance, move: Move, effect: Effect, now: datetime, before: Payment = PAYMENT.initial
) -> Record:
    """The events after a move that has ended: it is done, refused for good, abandoned, or goes on with another call.

    `before` is the payment as it was before the effect. A saga that a person has ended meanwhile records nothing more.
    """
    saga_id, status, step = instance.saga_id, instance.progress.status, move.step.name
    if status in ENDED:
        return Record([], instance.progress)
    payment = PAYMENT.fold(effect.payment, before)
    new_events: list[SagaEvent]
    if effect.then is not None:
        new_events = [announced(instance, move, provider_key(instance, effect.then, payment))]
    elif effect.abandon is not None:
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
        goes_back = move.forward and not instance.saga.undoes and not instance.saga.forward_only
        if goes_back and status is SagaStatus.RUNNING:
            new_events.append(events.SagaCompensationStarted(saga_id=saga_id, reason=tidy(effect.refusal)))
    return follow(instance, new_events, now, payment)


def failed(instance: Instance, move: Move, error: str, now: datetime, pause: timedelta, scale: float) -> Record:
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
        return follow(instance, new_events, now)
    return Record.of(instance, new_events, now)


def announced(instance: Instance, move: Move, key: str) -> SagaEvent:
    """The event that announces a call to the provider."""
    return events.SagaStepStarted(
        saga_id=instance.saga_id,
        step=move.step.name,
        direction="forward" if move.forward else "backward",
        attempt=instance.progress.attempts + 1,
        key=key,
    )


def provider_key(instance: Instance, call: Call, payment: Payment) -> str:
    """The idempotency key of a call. It is always the same, so a second try or a second runner cannot charge twice.

    It names the order's authorisation, unless that is the first one, so that what was refused for one of them is not
    refused for the next one too. The key of a refund also has the refund's id, and the number of the attempt if the
    provider has refused earlier ones for good.
    """
    about = instance.progress.about
    number = payment.refused_refunds.count(about) + 1 if about else call.authorization(payment)
    key = f"{payment_of(instance.order_id)}:{call.operation}" + (f":{about}" if about else "")
    return key + (f":{number}" if number > 1 else "")


def call_due(instance: Instance, call: Call, payment: Payment, now: datetime) -> tuple[Call, str]:
    """The call to make now, and its key: the call itself, or first the one that authorises the amount anew.

    A call that was announced may be under way, so its outcome must be known before another one is made.
    """
    key = provider_key(instance, call, payment)
    if call.renewal is not None and instance.progress.key != key:
        renewal_key = provider_key(instance, call.renewal, payment)
        is_new = not renewed(instance.progress.keys)
        if instance.progress.key == renewal_key or (payment.has_lapsed(now) and is_new):
            return call.renewal, renewal_key
    return call, key


def gave_up(instance: Instance, order: Order) -> SagaEvent:
    """The event that says that a person must act, and what is still open."""
    progress = instance.progress
    reason = progress.last_error or progress.refusal or "it could not be compensated"
    items = open_items(instance.saga, progress, order)
    return events.SagaFailed(saga_id=instance.saga_id, reason=reason, open_items=items)


def follow(
    instance: Instance, new_events: Sequence[SagaEvent], now: datetime, payment: Payment = PAYMENT.initial
) -> Record:
    """These events, and more for the same append: of steps with nothing to do, the end, or the announcement of a call.

    `payment` is the payment as this append leaves it. If it is not known, another announcement may have to follow.
    """
    whole, instance = [*new_events], instance.fold(new_events, now)
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
            event = announced(instance, move, call_due(instance, move.action, payment, now)[1])
        else:
            return Record(whole, progress)
        whole.append(event)
        instance = instance.fold([event], now)


def _time_is_over(instance: Instance, move: Move, attempt: int, now: datetime, scale: float) -> bool:
    if instance.saga.undoes or not move.forward:
        least, within = LEAST_UNDO_TRIES, UNDO_WITHIN
    elif instance.saga.forward_only:
        return False
    else:
        least, within = LEAST_TRIES, move.step.within
    return within is not None and attempt >= least and now - instance.progress.since >= scale * within
