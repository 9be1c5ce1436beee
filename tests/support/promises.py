"""What sagas promise, as checks of a log and of the provider: at any moment, and once every saga has ended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.domain import saga as e
from core.domain.inventory import INVENTORY, InventoryShipped, Stock, StockReplenished, StockReturned
from core.domain.message import (
    OrderId,
    Recorded,
    SagaId,
    Sku,
    StreamId,
    inventory_stream,
    payment_of,
    reservation_of,
    saga_of,
)
from core.domain.order import ORDER, Order, OrderCancelled, OrderShipped, Status
from core.domain.payment import PAYMENT, PaymentAuthorized, PaymentCaptured, PaymentRefunded, PaymentStatus
from core.ports.log import SagaRow
from core.sagas import SAGAS
from core.sagas.actions import quantities
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.saga import Tables
from core.sagas.settle_order import SETTLE_ORDER
from core.sagas.unwind_order import UNWIND_ORDER
from tests.support.faulty_provider import FaultyProvider
from tests.support.played_log import PlayedLog

ENDS = (e.SagaCompleted, e.SagaCompensated, e.SagaResolved)
FULFIL, SETTLE, UNWIND = FULFIL_ORDER.name, SETTLE_ORDER.name, UNWIND_ORDER.name


def steps_about(what: str) -> set[str]:
    """The names of the steps that hold or owe money, stock or the order."""
    steps = [step for saga in SAGAS.values() for step in saga.steps]
    return {step.name for step in steps if what in {each.what for each in (step.holds, step.owes) if each}}


MONEY, STOCK, ORDERED = steps_about("money"), steps_about("stock"), steps_about("order")
UNKNOWN = "this release has no saga"
MOST_FAILURES_WAITED_FOR = 12  # of a step that is tried for ever
AT_THE_PROVIDER = {
    PaymentStatus.ABSENT: {"none", "declined", "voided", "expired"},
    PaymentStatus.FAILED: {"none", "declined", "voided"},
    PaymentStatus.AUTHORIZED: {"authorised", "expired", "voided"},  # the provider may let go of it at any time
    PaymentStatus.VOIDED: {"voided", "expired"},
    PaymentStatus.CAPTURED: {"captured"},
    PaymentStatus.UNPAID: {"none", "declined", "voided", "expired", "authorised"},
    PaymentStatus.PARTLY_REFUNDED: {"captured"},  # and refunded, which is a sum beside it
    PaymentStatus.REFUNDED: {"captured"},
}


@dataclass(frozen=True)
class OneOrder:
    """What the log and the provider say about an order."""

    log: PlayedLog
    provider: FaultyProvider
    order_id: OrderId

    def order(self, before: int | None = None) -> Order:
        return self.log.state(ORDER, StreamId(self.order_id), before=before)

    def payment(self, before: int | None = None) -> PaymentStatus:
        return self.log.state(PAYMENT, StreamId(payment_of(self.order_id)), before=before).status

    def saga(self, name: str, before: int | None = None) -> Sequence[Recorded]:
        return self.log.events_of(StreamId(saga_of(self.order_id, name)), before=before)

    def end(self, name: str) -> type[e.SagaEvent] | None:
        events = self.saga(name)
        return type(events[-1].event) if events else None  # type: ignore[return-value]

    def was_cancelled_after_its_fulfilment(self) -> bool:
        """Whether its fulfilment was completed, or resolved by a person, before the order was cancelled."""
        ends = [r.position for r in self.saga(FULFIL) if isinstance(r.event, e.SagaCompleted | e.SagaResolved)]
        cancelled = [
            r.position for r in self.log.events_of(StreamId(self.order_id)) if isinstance(r.event, OrderCancelled)
        ]
        return bool(ends and cancelled) and ends[0] < cancelled[0]

    def reservations(self, before: int | None = None) -> Mapping[Sku, int]:
        stock = {
            sku: self.log.state(INVENTORY, inventory_stream(sku), before=before) for sku in quantities(self.order())
        }
        ids = {sku: reservation_of(self.order_id, sku) for sku in stock}
        return {sku: stock[sku].held[ids[sku]] for sku in stock if ids[sku] in stock[sku].held}

    def is_left_to_a_person(self, what: set[str]) -> bool:
        """Whether a person skipped or resolved one of these steps, or has still to decide about it."""
        events = [recorded.event for name in (FULFIL, SETTLE, UNWIND) for recorded in self.saga(name)]
        skipped = any(isinstance(event, e.SagaStepSkipped) and event.step in what for event in events)
        resolved = any(isinstance(event, e.SagaResolved) for event in events)
        return skipped or resolved or any(self.end(name) is e.SagaFailed for name in (FULFIL, SETTLE, UNWIND))


# --- at any moment ------------------------------------------------------------------------------------------
def check_at_any_moment(
    log: PlayedLog, provider: FaultyProvider, orders: Sequence[OrderId], skus: Sequence[Sku]
) -> None:
    for sku in skus:
        stock_adds_up(log, sku)
    for order_id in orders:
        one = OneOrder(log, provider, order_id)
        money_moves_once(one)
        steps_go_one_way(one)
        tries_are_counted_from_one(one)
        nothing_is_both_done_and_undone(one)
        what_is_shipped_was_fulfilled(one)
        what_failed_says_what_is_open(one)
    known = {f"{payment_of(o)}:{what}" for o in orders for what in ("authorise", "capture", "void", "refund")}
    without_numbers = {re.sub(r":([2-9]|\d\d+)$", "", key) for key in provider.keys}
    assert without_numbers <= known, "a provider's key was drawn, not derived"


def stock_adds_up(log: PlayedLog, sku: Sku) -> None:
    stream = inventory_stream(sku)
    stock: Stock = log.state(INVENTORY, stream)
    events = [recorded.event for recorded in log.events_of(stream)]
    received = sum(event.quantity for event in events if isinstance(event, StockReplenished | StockReturned))
    shipped = sum(event.quantity for event in events if isinstance(event, InventoryShipped))
    assert stock.available >= 0
    assert received == stock.available + sum(stock.held.values()) + shipped


def money_moves_once(one: OneOrder) -> None:
    counts = Counter(type(recorded.event) for recorded in one.log.events_of(StreamId(payment_of(one.order_id))))
    assert all(counts[kind] <= 1 for kind in (PaymentCaptured, PaymentRefunded)), counts
    shipped = one.order().status in {Status.SHIPPED, Status.DELIVERED}
    assert counts[PaymentAuthorized] <= 1 or shipped, "it is authorised anew only when it is shipped"
    charge = one.provider.real._charges.get(payment_of(one.order_id))
    total = one.order().created.total_amount  # type: ignore[union-attr]
    if charge:
        assert charge.authorised in {0, total}
        assert charge.captured in {0, charge.authorised}
        assert charge.refunded in {0, charge.captured}


def steps_go_one_way(one: OneOrder) -> None:
    for name in (FULFIL, SETTLE, UNWIND):
        begun: list[str] = []  # what may have had an effect, in this order
        undone: set[str] = set()
        for recorded in one.saga(name):
            match recorded.event:
                case e.SagaStepStarted(step=step, direction="backward"):
                    assert begun[-1] == step, f"{begun[-1]} is to be undone before {step}"
                case e.SagaStepStarted(step=step) | e.SagaStepCompleted(step=step):
                    assert step not in undone, f"{step} was undone, and went on"
                    begun += [step] if step not in begun else []
                case e.SagaStepCompensated(step=step):
                    assert begun.pop() == step, f"{step} was not the next to be undone"
                    undone.add(step)
                case e.SagaStepFailed(step=step, final=True) | e.SagaStepSkipped(step=step):
                    begun = [other for other in begun if other != step]
                case _:
                    pass


def tries_are_counted_from_one(one: OneOrder) -> None:
    for name in (FULFIL, SETTLE, UNWIND):
        failures: Counter[tuple[str, type]] = Counter()
        for recorded in one.saga(name):
            match recorded.event:
                case (
                    e.SagaStepFailed(step=step, attempt=attempt) | e.SagaCompensationFailed(step=step, attempt=attempt)
                ):
                    failures[step, type(recorded.event)] += 1
                    assert attempt == failures[step, type(recorded.event)], f"{step}: each step has all its tries"
                case e.OperatorEvent():
                    failures.clear()
                case _:
                    pass


def nothing_is_both_done_and_undone(one: OneOrder) -> None:
    for recorded in one.saga(FULFIL):
        order = one.order(before=recorded.position + 1)
        if isinstance(recorded.event, e.SagaCompleted):
            assert order.status is Status.CONFIRMED
        if isinstance(recorded.event, e.SagaCompensated):
            assert order.status is Status.CANCELLED or one.is_left_to_a_person(ORDERED)
    compensated = one.end(FULFIL) is e.SagaCompensated
    unwound = one.end(UNWIND) is e.SagaCompleted
    assert not (compensated and one.saga(UNWIND))
    if one.order().status is Status.CANCELLED and (compensated or unwound):
        assert one.reservations() == {} or one.is_left_to_a_person(STOCK)
        assert not one.provider.holds(payment_of(one.order_id)) or one.is_left_to_a_person(MONEY)


def what_is_shipped_was_fulfilled(one: OneOrder) -> None:
    for recorded in one.log.events_of(StreamId(one.order_id)):
        if isinstance(recorded.event, OrderShipped):
            last = one.saga(FULFIL, before=recorded.position)[-1].event
            assert isinstance(last, e.SagaCompleted | e.SagaResolved)  # a person may vouch for it


def what_failed_says_what_is_open(one: OneOrder) -> None:
    for name in (FULFIL, SETTLE, UNWIND):
        events = one.saga(name)
        if not events or not isinstance(failed := events[-1].event, e.SagaFailed):
            continue
        if failed.reason.startswith(UNKNOWN):
            continue  # whoever does not know the table cannot know what it left open
        then = events[-1].position
        listed, status, paid = "; ".join(failed.open_items), one.order(then).status, one.payment(then)
        assert ("held" in listed) == bool(one.reservations(then)), listed
        if name == FULFIL:
            assert ("is not cancelled" in listed) == (status is not Status.CANCELLED), listed
        if name == SETTLE:
            unpaid = any(words in listed for words in ("not be captured", "not be paid", "shipped and not paid"))
            assert unpaid == (paid in {PaymentStatus.AUTHORIZED, PaymentStatus.UNPAID}), listed
            assert ("may be captured" in listed) == (paid is PaymentStatus.CAPTURED), listed
            continue
        begun = any(isinstance(r.event, e.SagaStepStarted) and r.event.direction == "forward" for r in events)
        unknown = begun and paid is PaymentStatus.ABSENT
        skipped = one.is_left_to_a_person(MONEY) and any(isinstance(r.event, e.SagaStepSkipped) for r in events)
        assert ("authorised" in listed) <= (paid is PaymentStatus.AUTHORIZED or unknown), listed
        assert one.provider.holds(payment_of(one.order_id)) <= (("authorised" in listed) or skipped), listed


# --- when all is quiet --------------------------------------------------------------------------------------
def check_at_rest(one: OneOrder, *, mended: bool) -> None:
    """`mended`: the provider does all that it is asked, and what had failed was retried."""
    ends = [one.end(name) for name in (FULFIL, SETTLE, UNWIND) if one.saga(name)]
    if not {*ends} <= {*ENDS, e.SagaFailed}:  # one is tried for ever: every other saga has ended by now
        assert not mended or one.is_left_to_a_person(MONEY), "it was tried again and again, and the provider was well"
        return
    assert not mended or e.SagaFailed not in ends, "a retry did not help"
    order, fulfilled, unwound = one.order().status, one.end(FULFIL), one.end(UNWIND)
    person = (e.SagaFailed, e.SagaResolved)
    match order:
        case Status.CONFIRMED:
            assert fulfilled in {e.SagaCompleted, *person}
        case Status.SHIPPED | Status.DELIVERED:
            assert fulfilled in {e.SagaCompleted, e.SagaResolved}
            assert one.end(SETTLE) in {e.SagaCompleted, e.SagaCompensated, *person} or one.is_left_to_a_person(MONEY)
        case Status.CANCELLED if one.was_cancelled_after_its_fulfilment():
            assert unwound in {e.SagaCompleted, *person}
        case Status.CANCELLED:
            assert fulfilled in {e.SagaCompensated, *person}
            assert unwound is None
        case _:
            assert fulfilled in person or one.is_left_to_a_person(ORDERED)
    if not one.is_left_to_a_person(STOCK):
        wanted = quantities(one.order()) if order in {Status.CREATED, Status.CONFIRMED} else {}
        assert one.reservations() == wanted
    if not one.is_left_to_a_person(MONEY):
        paid, charge = one.payment(), one.provider.state(payment_of(one.order_id))
        assert charge in AT_THE_PROVIDER[paid], (paid, charge)
        refunded = one.end(SETTLE) is e.SagaCompensated
        shipped = {PaymentStatus.REFUNDED if refunded else PaymentStatus.CAPTURED}
        back = {PaymentStatus.ABSENT, PaymentStatus.FAILED, PaymentStatus.VOIDED}
        expected = {Status.CONFIRMED: {PaymentStatus.AUTHORIZED}, Status.CANCELLED: back}.get(order, shipped)
        assert paid in expected, (order, paid)


def unfinished_sagas(log: PlayedLog, tables: Tables, failures_before: Mapping[SagaId, int]) -> list[str]:
    """The sagas that have not ended, without those that are tried for ever and have failed often by now.

    `failures_before` the provider was mended do not count: after that, each saga is waited for once more.
    """
    live = [row.last for row in log.rows.values() if row.live]

    def is_hopeless(row: SagaRow) -> bool:
        failures = row.attempts - failures_before.get(row.saga_id, 0)
        return tables[row.name, row.definition].forward_only and failures > MOST_FAILURES_WAITED_FOR

    return [f"{row.name} of {row.order_id}" for row in live if not is_hopeless(row)]
