"""The actions in the sagas' tables: each one decides from the facts alone what a step records."""

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
    Payment,
    PaymentStatus,
    RecordAuthorization,
    RecordCapture,
    RecordCaptureFailure,
    RecordDecline,
    RecordRefund,
    RecordVoid,
)
from core.domain.provider import Approved, Declined, PaymentAnswer
from core.domain.refunds import units_of
from core.domain.validation import tidy
from core.sagas.saga import Call, Effect, Facts, Local, Nothing, renewed

nothing = Nothing()


def created(order: Order) -> OrderCreated:
    """The order's first event. It is always there, because a saga is started by an event of an order."""
    assert order.created is not None  # noqa: S101 - as the docstring says
    return order.created


def quantities(order: Order) -> dict[Sku, int]:
    """How many units the order has of each SKU, sorted by SKU. Lines of the same SKU are added up."""
    return units_of(created(order).items)


def _unless_cancelled(decide: Callable[[Facts], Effect]) -> Callable[[Facts], Effect]:
    """Decide as `decide` does; but if somebody cancelled the order, abandon the step, so that the saga compensates."""
    return lambda facts: _abandon_if_cancelled(facts) or decide(facts)


def _abandon_if_cancelled(facts: Facts) -> Effect | None:
    if facts.order.status is not Status.CANCELLED:
        return None
    return Effect(abandon=facts.order.cancel_reason or "the order was cancelled")


# --- the order ----------------------------------------------------------------------------------------------
def _confirm(facts: Facts) -> Effect:
    return Effect(order=ORDER.decide(ConfirmOrder(now=facts.now, order_id=facts.order_id), facts.order))


def _cancel(facts: Facts) -> Effect:
    command = CancelOrder(now=facts.now, order_id=facts.order_id, reason=facts.reason)
    return Effect(order=ORDER.decide(command, facts.order))


confirm = Local("confirm the order", frozenset({"order"}), _unless_cancelled(_confirm))
cancel_order = Local("cancel the order", frozenset({"order"}), _cancel)


# --- the stock: all SKUs of an order are reserved, or none --------------------------------------------------
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
    failures = [each for new in events.values() for each in new if isinstance(each, InventoryReservationFailed)]
    if failures:
        return Effect(
            stock={each.sku: [each] for each in failures},
            refusal="; ".join(f"{each.sku}: {each.reason}" for each in failures),
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


reserve = Local("reserve the stock", frozenset({"order", "stock"}), _unless_cancelled(_reserve))
release = Local("release the stock", frozenset({"stock"}), _release)
ship_stock = Local("take the stock off the books", frozenset({"stock"}), _ship)


# --- the payment: each records an answer of the provider ----------------------------------------------------
def _record_authorise(facts: Facts, answer: PaymentAnswer) -> Effect:
    if isinstance(answer, Approved):
        return Effect(payment=PAYMENT.decide(_authorization(facts, answer), facts.payment))
    decline = RecordDecline(
        now=facts.now, payment_id=payment_of(facts.order_id), order_id=facts.order_id, reason=tidy(answer.reason)
    )
    events = PAYMENT.decide(decline, facts.payment)
    if isinstance(answer, Declined):
        return Effect(payment=events, refusal=answer.reason)
    # A proxy may have refused only this try, and the provider may have authorised an earlier try whose answer was lost.
    # So the saga voids the payment as if it had been authorised.
    return Effect(payment=events, abandon=answer.reason)


def _authorization(facts: Facts, answer: Approved) -> RecordAuthorization:
    order = created(facts.order)
    return RecordAuthorization(
        now=facts.now,
        payment_id=payment_of(facts.order_id),
        order_id=facts.order_id,
        amount=order.total_amount,
        currency=order.currency,
        payment_method=order.payment_method.type,
        authorization_code=tidy(answer.reference),
        expires_at=answer.expires_at,
    )


def _record_void(facts: Facts, answer: PaymentAnswer) -> Effect:
    if not isinstance(answer, Approved):
        return Effect(refusal=answer.reason)
    command = RecordVoid(
        now=facts.now, payment_id=payment_of(facts.order_id), order_id=facts.order_id, reason=facts.reason
    )
    return Effect(payment=PAYMENT.decide(command, facts.payment))


def _record_capture(facts: Facts, answer: PaymentAnswer) -> Effect:
    if not isinstance(answer, Approved):
        payment = facts.payment
        may_be_renewed = payment.status is PaymentStatus.UNPAID or payment.has_lapsed(facts.now)
        if may_be_renewed and not renewed(facts.keys):
            return Effect(then=renew)
        return _record_unpaid(facts, answer.reason, payment.authorization)
    command = RecordCapture(
        now=facts.now,
        payment_id=payment_of(facts.order_id),
        order_id=facts.order_id,
        transaction_id=tidy(answer.reference),
    )
    return Effect(payment=PAYMENT.decide(command, facts.payment))


def _record_renewal(facts: Facts, answer: PaymentAnswer) -> Effect:
    if not isinstance(answer, Approved):
        reason = f"a new authorisation was refused: {answer.reason}"
        return _record_unpaid(facts, reason, facts.payment.authorization + 1)
    return Effect(payment=PAYMENT.decide(_authorization(facts, answer), facts.payment), then=capture)


def _record_unpaid(facts: Facts, reason: str, authorization: int) -> Effect:
    command = RecordCaptureFailure(
        now=facts.now,
        payment_id=payment_of(facts.order_id),
        order_id=facts.order_id,
        reason=tidy(reason),
        authorization=authorization,
    )
    return Effect(payment=PAYMENT.decide(command, facts.payment), refusal=reason)


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


def _unless_in(status: PaymentStatus) -> Callable[[Facts], Effect | None]:
    """Call the provider, unless the payment is in this status: then the step is done already."""
    return lambda facts: Effect() if facts.payment.status is status else None


def _unless_paid(facts: Facts) -> Effect | None:
    """Call the provider while the money may still be got.

    Otherwise the step is done already, or a person has vouched for the money and there is nothing to do.
    """
    return None if facts.payment.status in {PaymentStatus.AUTHORIZED, PaymentStatus.UNPAID} else Effect()


def _last(payment: Payment) -> int:
    return payment.authorization


def _next(payment: Payment) -> int:
    return payment.authorization + 1


def _unless_all_is_refunded(facts: Facts) -> Effect | None:
    """Call the provider only while something of what was captured is left to refund."""
    return None if facts.payment.refundable else Effect()


authorize = Call(
    "authorise the payment",
    "authorise",
    _abandon_if_cancelled,
    _record_authorise,
    frozenset({"order", "payment"}),
)
void = Call("void the payment", "void", _unless_in(PaymentStatus.VOIDED), _record_void, authorization=_last)
renew = Call("authorise the payment anew", "authorise", _unless_paid, _record_renewal, authorization=_next)
capture = Call("capture the payment", "capture", _unless_paid, _record_capture, authorization=_last, renewal=renew)
refund = Call("refund the payment", "refund", _unless_all_is_refunded, _record_refund)
