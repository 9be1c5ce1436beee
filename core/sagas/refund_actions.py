"""The actions of refund_order: each is about one refund that an operator asked for."""

from __future__ import annotations

from core.domain.inventory import INVENTORY, ReturnStock
from core.domain.message import payment_of
from core.domain.order import Order, RefundRequested
from core.domain.payment import PAYMENT, RecordRefund, RecordRefundFailure
from core.domain.provider import Approved, PaymentAnswer
from core.domain.refunds import left_to_refund, left_to_return, units_of
from core.domain.validation import tidy
from core.sagas.actions import created
from core.sagas.saga import Call, Effect, Facts, Local


def refund_about(order: Order, about: str) -> RefundRequested | None:
    """The refund with this id; None for a saga that is not about a refund."""
    return next((refund for refund in order.refunds if refund.refund_id == about), None)


def _record_part_refund(facts: Facts, answer: PaymentAnswer) -> Effect:
    refund, payment_id = _asked(facts), payment_of(facts.order_id)
    if isinstance(answer, Approved):
        command = RecordRefund(
            now=facts.now,
            payment_id=payment_id,
            order_id=facts.order_id,
            refund_id=refund.refund_id,
            reason=refund.reason,
            amount=refund.amount,
        )
        return Effect(payment=PAYMENT.decide(command, facts.payment))
    failure = RecordRefundFailure(
        now=facts.now,
        payment_id=payment_id,
        order_id=facts.order_id,
        refund_id=refund.refund_id,
        amount=refund.amount,
        reason=tidy(answer.reason),
        refusal=facts.payment.refused_refunds.count(refund.refund_id) + 1,
    )
    return Effect(payment=PAYMENT.decide(failure, facts.payment), refusal=answer.reason)


def _asked(facts: Facts) -> RefundRequested:
    refund = refund_about(facts.order, facts.about)
    assert refund is not None  # noqa: S101 - the saga was started by this event of its order
    return refund


def _before_part_refund(facts: Facts) -> Effect | None:
    """Call the provider, unless the refund is done, or was refused before and others have taken the money since."""
    refund = _asked(facts)
    if refund.refund_id in facts.payment.refunds:
        return Effect()
    left = left_to_refund(facts.order.refunds, facts.payment)
    if refund.refund_id in facts.payment.refused_refunds and refund.amount > left:
        return Effect(refusal=f"{refund.amount} {refund.currency} are to be refunded, and {left} is left")
    return None


def _take_back(facts: Facts) -> Effect:
    """Take back what the refund names; if it was refused before, only what no other refund has taken back since."""
    refund = _asked(facts)
    units = units_of(refund.restock)
    if refund.refund_id in facts.payment.refused_refunds:
        left = left_to_return(created(facts.order).items, facts.order.refunds, facts.payment)
        units = {sku: min(quantity, left[sku]) for sku, quantity in units.items() if sku in left}
    return Effect(
        stock={
            sku: INVENTORY.decide(
                ReturnStock(
                    now=facts.now, sku=sku, order_id=facts.order_id, refund_id=refund.refund_id, quantity=quantity
                ),
                facts.stock[sku],
            )
            for sku, quantity in units.items()
        }
    )


refund_part = Call(
    "refund the amount that was asked for",
    "refund",
    _before_part_refund,
    _record_part_refund,
    frozenset({"order", "payment"}),
    amount=lambda facts: _asked(facts).amount,
)
take_back = Local("put the returned units back into stock", frozenset({"order", "payment", "stock"}), _take_back)
