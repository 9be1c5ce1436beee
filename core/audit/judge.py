"""Judge: checks an order whose sagas have ended against the ends that the sagas' tables allow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.audit.case import Case
from core.domain.message import SagaId, Sku, inventory_stream, payment_of, saga_of
from core.domain.payment import PaymentStatus
from core.ports.evidence import Finding
from core.sagas.actions import quantities
from core.sagas.progress import SagaStatus
from core.sagas.saga import End

MONEY_HELD = {PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED, PaymentStatus.PARTLY_REFUNDED}


# --- which sagas there must be ------------------------------------------------------------------------------
def required(case: Case) -> Mapping[SagaId, tuple[str, int]]:
    """The sagas that must start for the order, each with its name and the position of the event that starts it."""
    due: dict[SagaId, tuple[str, int]] = {}
    for saga_id, (name, position) in case.due.items():
        after = case.rules.newest[name].after
        if after is None or 0 < _end_position(case, after) < position:
            other_id = case.due_as[saga_id]
            due[saga_id if saga_id in case.sagas or other_id not in case.sagas else other_id] = (name, position)
    return due


def _end_position(case: Case, name: str) -> int:
    story = case.sagas.get(saga_of(case.order_id, name))
    return story.over if story else 0


def unstarted(case: Case, started_to: int) -> Iterable[Finding]:
    """Sagas that must have started up to position `started_to` and did not, and sagas that nothing has started."""
    if case.newer:
        return
    due = required(case)
    for saga_id, (name, position) in due.items():
        if saga_id not in case.sagas and position <= started_to:
            yield Finding("I3", f"{name} of order {case.order_id} was never started", case.order_id, position)
    for saga_id, story in case.sagas.items():
        if saga_id not in due and story.name in case.rules.newest and not case.unreadable:
            what = f"{story.name} of order {case.order_id} was started though nothing asked for it"
            yield Finding("I3", what, story.saga_id, story.first)


def under_way(case: Case) -> bool:
    """Whether a saga of the order has not ended yet, or has not started yet."""
    return any(each.unfinished for each in case.sagas.values()) or bool(set(required(case)) - set(case.sagas))


def vouched_for(case: Case) -> bool:
    """Whether a person must decide about the order, or has decided. If so, the end of its sagas is not judged."""
    failed = any(each.progress.status is SagaStatus.FAILED for each in case.sagas.values())
    return failed or any(each.vouched for each in case.sagas.values())


# --- how the order must have ended --------------------------------------------------------------------------
def judge(case: Case) -> Iterable[Finding]:
    """What is wrong with an order whose sagas have ended."""
    for story in case.sagas.values():
        if story.progress.status is SagaStatus.FAILED and not story.open_items and _something_open(case):
            what = f"{story.name} of order {case.order_id} is FAILED and does not say what is open"
            yield Finding("I6", what, story.saga_id, story.last)
    if vouched_for(case) or not case.judgeable:
        return
    for refund in case.order.refunds:
        if refund.refund_id not in case.payment.refunds:
            what = f"the refund of {refund.amount} that was asked for of order {case.order_id} was not made"
            yield Finding("I4", what, payment_of(case.order_id), case.last)
    for sku, count in (case.returned - case.shipped).items():
        what = f"{count} of {sku} more came back of order {case.order_id} than were shipped"
        yield Finding("I5", what, inventory_stream(sku), case.last)
    if not _ended_well(case):
        ends = ", ".join(f"{each.name} {each.progress.status}" for each in case.sagas.values()) or "no saga"
        yield Finding("I6", f"the order is {case.order.status} with {ends}", case.order_id, case.last)
    end = _expected_end(case)
    if end is None:
        return
    if wrong := _wrong_money(case, end):
        yield Finding("I4", f"{wrong} of an order that is {case.order.status}", payment_of(case.order_id), case.last)
    due = quantities(case.order) if end.stock_held and case.order.created is not None else {}
    held: dict[Sku, int] = {}
    for sku, quantity in case.held.values():
        held[sku] = held.get(sku, 0) + quantity
    for sku in sorted({*due, *held}):
        if due.get(sku, 0) != held.get(sku, 0):
            what = f"{held.get(sku, 0)} of {sku} are held for order {case.order_id}, and {due.get(sku, 0)} are due"
            yield Finding("I5", what, inventory_stream(sku), case.last)


def _ended_well(case: Case) -> bool:
    """Whether the end of each saga fits the order's status. A saga that another one has followed is not looked at."""
    earlier_sagas = {each.table.after for each in case.sagas.values() if each.progress.status is SagaStatus.COMPLETED}
    return bool(case.sagas) and all(
        any(end.status is each.progress.status and case.order.status in end.orders for end in each.table.ends)
        for each in case.sagas.values()
        if each.name not in earlier_sagas
    )


def _expected_end(case: Case) -> End | None:
    """The end that fits the order's status, from the table of the latest saga that has such an end.

    If the table has several, the one with the saga's own status is preferred.
    """
    for story in sorted(case.sagas.values(), key=lambda each: each.first, reverse=True):
        fitting = [end for end in story.table.ends if case.order.status in end.orders]
        own = [end for end in fitting if end.status is story.progress.status]
        if fitting:
            return (own or fitting)[0]
    return None


def _something_open(case: Case) -> bool:
    return bool(case.held) or case.payment.status in MONEY_HELD


def _wrong_money(case: Case, end: End) -> str | None:
    """What is wrong with the order's money, or None."""
    payment, created = case.payment, case.order.created
    total = created.total_amount if created else None
    if payment.status not in end.payments:
        return f"the payment is {payment.status}"
    if payment.status in {*MONEY_HELD, PaymentStatus.REFUNDED} and payment.amount != total:
        return f"{payment.amount} instead of {total} is the payment"
    return None
