"""What a saga writes about itself: from what a move came to, to the events of its stream. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce

from core.domain import saga as events
from core.domain.message import OrderId, SagaId, payment_of
from core.domain.order import Order, Status
from core.domain.saga import SagaEvent
from core.domain.validation import tidy
from core.sagas.actions import created, quantities
from core.sagas.saga import (
    DONE,
    MAY_HAVE_HAPPENED,
    MINUTES,
    Call,
    Effect,
    Move,
    Nothing,
    Progress,
    Saga,
    SagaStatus,
    StepStatus,
    evolve,
    next_move,
)

LEAST_TRIES = 3
LEAST_UNDO_TRIES = 10
UNDO_WITHIN = 15 * MINUTES


def started(saga: Saga, saga_id: SagaId, order_id: OrderId, now: datetime, scale: float) -> Sequence[SagaEvent]:
    """The first events of an instance."""
    deadline = None if saga.deadline is None else now + scale * saga.deadline
    first = events.SagaStarted(
        saga_id=saga_id, name=saga.name, definition=saga.definition, order_id=order_id, deadline=deadline
    )
    return [first, *follow(saga, saga_id, order_id, evolve(None, first, now), now)]


def concluded(
    saga: Saga, saga_id: SagaId, order_id: OrderId, progress: Progress, move: Move, effect: Effect, now: datetime
) -> Sequence[SagaEvent]:
    """The events after a move that came to its end: done, refused for good, or abandoned."""
    step = move.step.name
    own: list[SagaEvent]
    if effect.abandon is not None:
        started = progress.status is SagaStatus.COMPENSATING
        own = [] if started else [events.SagaCompensationStarted(saga_id=saga_id, reason=tidy(effect.abandon))]
    elif effect.refusal is None:
        kind = events.SagaStepCompleted if move.forward else events.SagaStepCompensated
        own = [kind(saga_id=saga_id, step=step)]
    else:
        kind = events.SagaStepFailed if move.forward else events.SagaCompensationFailed
        attempt = progress.attempts + 1
        own = [kind(saga_id=saga_id, step=step, attempt=attempt, error=tidy(effect.refusal), final=True)]
        if move.forward and not saga.undoes and progress.status is SagaStatus.RUNNING:
            own.append(events.SagaCompensationStarted(saga_id=saga_id, reason=tidy(effect.refusal)))
    after = fold(progress, own, now)
    return [*own, *follow(saga, saga_id, order_id, after, now)]


def failed(
    saga: Saga,
    saga_id: SagaId,
    order_id: OrderId,
    progress: Progress,
    move: Move,
    error: str,
    now: datetime,
    pause: timedelta,
    scale: float,
) -> Sequence[SagaEvent]:
    """The events after a try that may succeed later: again after `pause`, or, its time being over, no more."""
    attempt = progress.attempts + 1
    kind = events.SagaStepFailed if move.forward else events.SagaCompensationFailed
    over = _time_is_over(saga, progress, move, attempt, now, scale)
    undoing = saga.undoes or not move.forward
    final = over and undoing  # a forward try that timed out may have happened: it is undone, not final
    retry_at = None if over else now + pause
    own: list[SagaEvent] = [
        kind(saga_id=saga_id, step=move.step.name, attempt=attempt, error=tidy(error), final=final, retry_at=retry_at)
    ]
    if over and not undoing:
        own.append(events.SagaCompensationStarted(saga_id=saga_id, reason=tidy(f"{move.step.name}: {error}")))
        own += follow(saga, saga_id, order_id, fold(progress, own, now), now)
    return own


def announced(saga_id: SagaId, order_id: OrderId, progress: Progress, move: Move) -> SagaEvent:
    """That a call outside is about to be made."""
    assert isinstance(move.action, Call)  # noqa: S101 - nothing else is announced
    return events.SagaStepStarted(
        saga_id=saga_id,
        step=move.step.name,
        direction="forward" if move.forward else "backward",
        attempt=progress.attempts + 1,
        key=provider_key(order_id, move.action),
    )


def provider_key(order_id: OrderId, call: Call) -> str:
    """The provider's idempotency key: derived, so that no crash or second runner can charge twice."""
    return f"{payment_of(order_id)}:{call.operation}"


def gave_up(saga: Saga, saga_id: SagaId, progress: Progress, order: Order) -> SagaEvent:
    """That a person is needed, and for what."""
    reason = progress.last_error or "it could not be compensated"
    return events.SagaFailed(saga_id=saga_id, reason=reason, open_items=open_items(saga, progress, order))


def open_items(saga: Saga, progress: Progress, order: Order) -> tuple[str, ...]:
    """What money and stock an instance may still hold, one sentence each."""
    what = created(order)
    stock = ", ".join(f"{quantity} x {sku}" for sku, quantity in quantities(order).items())
    money = f"{what.total_amount} {what.currency}"
    if not saga.steps:  # a table this release does not have: it may have done anything
        return f"{money} may be authorised or captured", f"{stock} may be held"
    held = {
        "open_order": f"order {what.order_number} is not cancelled",
        "reserve_inventory": f"{stock} may be held",
        "authorize_payment": f"{money} may be authorised",
        "confirm_order": f"order {what.order_number} is confirmed",
        "void_payment": f"{money} may be authorised",
        "release_inventory": f"{stock} may be held",
        "capture_payment": f"{money} may be captured" if _turned(progress) else f"{money} may not be captured",
        "ship_inventory": f"{stock} may be held",
    }
    steps = open_steps(saga, progress)
    if order.status is Status.CANCELLED:
        steps = [step for step in steps if step != "open_order"]  # by hand: whoever did it need not be told to
    return tuple(held.get(step, step) for step in steps)


def open_steps(saga: Saga, progress: Progress) -> Sequence[str]:
    """The steps that still matter: those to undo, or, of a saga that only goes forward, those to do."""
    if saga.forward_only or saga.undoes:
        if not _turned(progress):
            return [step.name for step in saga.steps if progress.of(step.name) not in DONE]
        steps = [step for step in saga.steps if not isinstance(step.undo, Nothing)]
    else:
        steps = list(saga.steps)
    may_hold = MAY_HAVE_HAPPENED | {StepStatus.COMPENSATION_FAILED}
    return [step.name for step in steps if progress.of(step.name) in may_hold]


def _turned(progress: Progress) -> bool:
    return SagaStatus.COMPENSATING in {progress.status, progress.failed_as}


def fold(progress: Progress, new: Sequence[SagaEvent], now: datetime) -> Progress:
    return reduce(lambda p, event: evolve(p, event, now), new, progress)


def follow(saga: Saga, saga_id: SagaId, order_id: OrderId, progress: Progress, now: datetime) -> list[SagaEvent]:
    """What follows at once, in the same append: steps with nothing to do, the end, or the announcement of a call."""
    follow: list[SagaEvent] = []
    while True:
        move = next_move(saga, progress)
        if move is SagaStatus.COMPLETED:
            event: SagaEvent = events.SagaCompleted(saga_id=saga_id)
        elif move is SagaStatus.COMPENSATED:
            event = events.SagaCompensated(saga_id=saga_id)
        elif isinstance(move, Move) and isinstance(move.action, Nothing):
            kind = events.SagaStepCompleted if move.forward else events.SagaStepCompensated
            event = kind(saga_id=saga_id, step=move.step.name)
        elif isinstance(move, Move) and isinstance(move.action, Call) and progress.announced <= progress.attempts:
            event = announced(saga_id, order_id, progress, move)
        else:
            return follow
        follow.append(event)
        progress = evolve(progress, event, now)


def _time_is_over(saga: Saga, progress: Progress, move: Move, attempt: int, now: datetime, scale: float) -> bool:
    if saga.undoes or not move.forward:
        least, within = LEAST_UNDO_TRIES, UNDO_WITHIN
    elif saga.forward_only:
        return False
    else:
        least, within = LEAST_TRIES, move.step.within
    return within is not None and attempt >= least and now - progress.since >= scale * within
