"""What a saga may hold or owe, in words for people, and which of these one saga has not settled yet. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from core.domain.message import Sku
from core.domain.order import Order, Status
from core.domain.refunds import units_of
from core.sagas.actions import created, quantities
from core.sagas.progress import DONE, ENDED, MAY_HAVE_HAPPENED, Progress, SagaStatus, StepStatus
from core.sagas.refund_actions import refund_about
from core.sagas.saga import Holding, Saga, Step

UNCANCELLED = Holding("order", "order {number} is not cancelled", settled_by=Status.CANCELLED)
CONFIRMED = Holding("order", "order {number} is confirmed")
RESERVED = Holding("stock", "{stock} may be held")
AUTHORISED = Holding("money", "{money} may be authorised")
UNPAID = Holding("money", "{money} may not be captured", once_refused="{money} is shipped and not paid")
OWED = Holding("money", "{money} is shipped and may not be paid", once_refused="{money} is shipped and not paid")
CAPTURED = Holding("money", "{money} may be captured")
REFUND_DUE = Holding("money", "{money} may not be refunded", once_refused="{money} is not refunded")
NOT_BACK = Holding("stock", "{stock} may not be back in stock")
ANYTHING = (Holding("money", "{money} may be authorised or captured"), RESERVED)

_MAY_BE_HELD = MAY_HAVE_HAPPENED | {StepStatus.COMPENSATION_FAILED}


def open_holdings(saga: Saga, progress: Progress) -> Sequence[Holding]:
    """What the steps of the saga hold or owe now, step by step; everything there may be if its table is unknown."""
    if not saga.steps:
        return ANYTHING
    return [holding for step in saga.steps if (holding := open_of_step(saga, step, progress))]


def open_of_step(saga: Saga, step: Step, progress: Progress) -> Holding | None:
    """What one step of the saga holds or owes now."""
    if (saga.forward_only or saga.undoes) and SagaStatus.COMPENSATING not in {progress.status, progress.failed_as}:
        return _owed(step.owes, progress.of(step.name)) if step.owes and _is_open(step, progress) else None
    return step.holds if progress.of(step.name) in _MAY_BE_HELD else None


def _is_open(step: Step, progress: Progress) -> bool:
    return progress.of(step.name) not in DONE


def _owed(holding: Holding, status: StepStatus) -> Holding:
    was_refused = status is StepStatus.FAILED and holding.once_refused is not None
    return replace(holding, words=holding.once_refused) if was_refused else holding


def open_items(saga: Saga, progress: Progress, order: Order) -> tuple[str, ...]:
    """One sentence for each of these holdings, without those that the order's status has settled."""
    return sentences(open_holdings(saga, progress), progress, order)


def sentences(holdings: Sequence[Holding], progress: Progress, order: Order) -> tuple[str, ...]:
    """One sentence for each holding, without those that the order's status has settled."""
    amount, units = at_stake(progress, order)
    words = {
        "money": f"{amount} {created(order).currency}",
        "stock": ", ".join(f"{quantity} x {sku}" for sku, quantity in units.items()),
        "number": created(order).order_number,
    }
    return tuple(
        holding.words.format_map(words)
        for holding in holdings
        if holding.settled_by is not order.status and (holding.what != "stock" or units)
    )


def open_money(saga: Saga, progress: Progress, order: Order) -> Decimal | None:
    """How much money of its order the saga has open now; None when the order is not known."""
    if progress.status in ENDED:
        return Decimal(0)
    if order.created is None:
        return None
    return at_stake(progress, order)[0] if _has_open(saga, progress, "money") else Decimal(0)


def _has_open(saga: Saga, progress: Progress, what: str) -> bool:
    return any(holding.what == what for holding in open_holdings(saga, progress))


def at_stake(progress: Progress, order: Order) -> tuple[Decimal, Mapping[Sku, int]]:
    """The money and the units that the saga moves: those of the refund that it is about, or of the whole order."""
    refund = refund_about(order, progress.about)
    return (refund.amount, units_of(refund.restock)) if refund else (created(order).total_amount, quantities(order))
