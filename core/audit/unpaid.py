"""Unpaid: the orders that were shipped and whose money we do not have. That is no fault of the log. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from core.audit.case import Case
from core.audit.saga_story import SagaStory
from core.domain.message import OrderId
from core.domain.order import OrderShipped, Status
from core.domain.provider import Charge
from core.sagas.progress import SagaStatus

SHIPPED = {Status.SHIPPED, Status.DELIVERED}


class UnpaidOrder(msgspec.Struct, frozen=True):
    """`why` says what keeps the money from coming."""

    order_id: OrderId
    order_number: str
    amount: Decimal
    currency: str
    why: str


def unpaid(case: Case, charge: Charge | None) -> UnpaidOrder | None:
    """The order of the case if it was shipped and nothing was captured, unless a person has settled that elsewhere.

    `charge` is what the provider's ledger has for it, if it can be read.
    """
    created = case.order.created
    if created is None or case.order.status not in SHIPPED or case.payment.captured or not case.judgeable:
        return None
    if any(story.progress.status is SagaStatus.RESOLVED for story in case.sagas.values()):
        return None  # it is listed among what people have vouched for
    settlement = next((story for story in case.sagas.values() if story.table.starts_on is OrderShipped), None)
    why = _why(settlement)
    if charge is not None and charge.captured:
        why += f"; the provider's ledger has {charge.captured} captured, so a retry records it"
    return UnpaidOrder(case.order_id, created.order_number, created.total_amount, created.currency, why)


def _why(settlement: SagaStory | None) -> str:
    if settlement is None:
        return "its money has not been asked for yet"
    name, progress = settlement.name, settlement.progress
    if progress.status is SagaStatus.FAILED:
        return f"{name} has failed: {progress.last_error}"
    if settlement.vouched:
        return f"{name} is {progress.status.lower()}, and a step of it was skipped"
    if not settlement.unfinished:
        return f"{name} is {progress.status.lower()}"
    tries = "1 try has" if progress.attempts == 1 else f"{progress.attempts:,} tries have"
    return f"{name} is under way" + (f", and {tries} failed: {progress.last_error}" if progress.attempts else "")
