"""The actions of the sagas' tables: what each step decides, from the facts alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.domain.inventory import (
    INVENTORY,
    InventoryEvent,
    InventoryReservationFailed,
    ReleaseInventory,
    ReserveInventory,
    ShipInventory,
)
from core.domain.message import Sku, payment_of, reservation_of
from core.domain.order import ORDER, CancelOrder, ConfirmOrder, Order, OrderCreated, Status
from core.domain.payment import (
    PAYMENT,
    PaymentStatus,
    RecordAuthorization,
    RecordCapture,
    RecordDecline,
    RecordRefund,
    RecordVoid,
)
from core.domain.provider import Approved, Declined, PaymentAnswer
from core.domain.validation import tidy
from core.sagas.saga import Call, Effect, Facts, Local, Nothing

nothing = Nothing()


def created(order: Order) -> OrderCreated:
    """What was ordered; a saga exists only for an order that does."""
    assert order.created is not None  # noqa: S101 - as the docstring says
    return order.created


def quantities(order: Order) -> dict[Sku, int]:
    """Units per SKU, lines of one SKU summed, in SKU order."""
    wanted: dict[Sku, int] = {}
    for item in created(order).items:
        wanted[item.sku] = wanted.get(item.sku, 0) + item.quantity
    return dict(sorted(wanted.items()))


def _unless_cancelled(decide: Callable[[Facts], Effect]) -> Callable[[Facts], Effect]:
    """A forward step of an order that was cancelled by hand is not taken: the saga compensates."""
    return lambda facts: _cancelled(facts) or decide(facts)


def _cancelled(facts: Facts) -> Effect | None:
    if facts.order.status is not Status.CANCELLED:
        return None
    return Effect(abandon=facts.order.cancel_reason or "the order was cancelled")


# --- the order ----------------------------------------------------------------------------------------------
def _confirm(facts: Facts) -> Effect:
    return Effect(order=ORDER.decide(ConfirmOrder(now=facts.now, order_id=facts.order_id), facts.order))


def _cancel(facts: Facts) -> Effect:
    command = CancelOrder(now=facts.now, order_id=facts.order_id, reason=facts.reason)
    return Effect(order=ORDER.decide(command, facts.order))


confirm = Local(frozenset({"order"}), _unless_cancelled(_confirm))
cancel_order = Local(frozenset({"order"}), _cancel)


# --- the stock: all SKUs of an order or none ----------------------------------------------------------------
def _reserve(facts: Facts) -> Effect:
    events: dict[Sku, Sequence[InventoryEvent]] = {}
    for sku, quantity in quantities(facts.order).items():
        command = ReserveInventory(
            now=facts.now,
            sku=sku,
            reservation_id=reservation_of(facts.order_id, sku),
            order_id=facts.order_id,
            quantity=quantity,
        )
        events[sku] = INVENTORY.decide(command, facts.stock[sku])
    short = [each for found in events.values() for each in found if isinstance(each, InventoryReservationFailed)]
    if short:
        return Effect(
            stock={each.sku: [each] for each in short},
            refusal="; ".join(f"{each.sku}: {each.reason}" for each in short),
        )
    return Effect(stock=events)


def _release(facts: Facts) -> Effect:
    return Effect(
        stock={
            sku: INVENTORY.decide(
                ReleaseInventory(
                    now=facts.now,
                    sku=sku,
                    reservation_id=reservation_of(facts.order_id, sku),
                    order_id=facts.order_id,
                    reason=facts.reason,
                ),
                facts.stock[sku],
            )
            for sku in quantities(facts.order)
        }
    )


def _ship(facts: Facts) -> Effect:
    return Effect(
        stock={
            sku: INVENTORY.decide(
                ShipInventory(
                    now=facts.now,
                    sku=sku,
                    reservation_id=reservation_of(facts.order_id, sku),
                    order_id=facts.order_id,
                ),
                facts.stock[sku],
            )
            for sku in quantities(facts.order)
        }
    )


reserve = Local(frozenset({"order", "stock"}), _unless_cancelled(_reserve))
release = Local(frozenset({"stock"}), _release)
ship_stock = Local(frozenset({"stock"}), _ship)


# --- the payment: an answer of the provider, recorded -------------------------------------------------------
def _record_authorise(facts: Facts, answer: PaymentAnswer) -> Effect:
    order, payment_id = created(facts.order), payment_of(facts.order_id)
    if isinstance(answer, Approved):
        command = RecordAuthorization(
            now=facts.now,
            payment_id=payment_id,
            order_id=facts.order_id,
            amount=order.total_amount,
            currency=order.currency,
            payment_method=order.payment_method,
            authorization_code=tidy(answer.reference),
        )
        return Effect(payment=PAYMENT.decide(command, facts.payment))
    decline = RecordDecline(now=facts.now, payment_id=payment_id, order_id=facts.order_id, reason=tidy(answer.reason))
    failed = PAYMENT.decide(decline, facts.payment)
    if isinstance(answer, Declined):
        return Effect(payment=failed, refusal=answer.reason)
    # A refusal may be of this try only, by whoever stands before the provider; one whose answer was lost may have been
    # charged. So it is voided like one that was.
    return Effect(payment=failed, abandon=answer.reason)


def _record_void(facts: Facts, answer: PaymentAnswer) -> Effect:
    if not isinstance(answer, Approved):
        return Effect(refusal=answer.reason)
    command = RecordVoid(
        now=facts.now, payment_id=payment_of(facts.order_id), order_id=facts.order_id, reason=facts.reason
    )
    return Effect(payment=PAYMENT.decide(command, facts.payment))


def _record_capture(facts: Facts, answer: PaymentAnswer) -> Effect:
    if not isinstance(answer, Approved):
        return Effect(refusal=answer.reason)
    command = RecordCapture(
        now=facts.now,
        payment_id=payment_of(facts.order_id),
        order_id=facts.order_id,
        transaction_id=tidy(answer.reference),
    )
    return Effect(payment=PAYMENT.decide(command, facts.payment))


def _record_refund(facts: Facts, answer: PaymentAnswer) -> Effect:
    if not isinstance(answer, Approved):
        return Effect(refusal=answer.reason)
    command = RecordRefund(
        now=facts.now,
        payment_id=payment_of(facts.order_id),
        order_id=facts.order_id,
        refund_id=tidy(answer.reference),
        reason=facts.reason,
    )
    return Effect(payment=PAYMENT.decide(command, facts.payment))


def _once(done: PaymentStatus) -> Callable[[Facts], Effect | None]:
    """Nothing to call for when the log says that it is done."""
    return lambda facts: Effect() if facts.payment.status is done else None


def _only(due: PaymentStatus) -> Callable[[Facts], Effect | None]:
    """Nothing to call for when it is done, or when there is nothing to do it to: a person vouched for the money."""
    return lambda facts: None if facts.payment.status is due else Effect()


authorize = Call("authorise", _cancelled, _record_authorise, frozenset({"order", "payment"}))
void = Call("void", _once(PaymentStatus.VOIDED), _record_void)
capture = Call("capture", _only(PaymentStatus.AUTHORIZED), _record_capture)
refund = Call("refund", _only(PaymentStatus.CAPTURED), _record_refund)
