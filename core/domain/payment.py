"""Payment: what the provider has answered about one order's money. No amount is captured twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from core.domain.decider import Decider
from core.domain.message import Command, Event, OrderId, PaymentId
from core.domain.passage import Passage
from core.errors import NotAllowed


class PaymentStatus(StrEnum):
    ABSENT = "ABSENT"
    AUTHORIZED = "AUTHORIZED"
    FAILED = "FAILED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


NO_MONEY_HELD = (PaymentStatus.ABSENT, PaymentStatus.FAILED, PaymentStatus.VOIDED)
"""In these statuses the provider holds no money for us, and we owe the customer none."""


# --- events: these names and fields are the storage format --------------------------------------------------
class PaymentEvent(Event, frozen=True, kw_only=True):
    payment_id: PaymentId
    order_id: OrderId


class PaymentAuthorized(PaymentEvent, tag="PaymentAuthorized", frozen=True, kw_only=True):
    amount: Decimal
    currency: str
    payment_method: str
    authorization_code: str


class PaymentFailed(PaymentEvent, tag="PaymentFailed", frozen=True, kw_only=True):
    reason: str


class PaymentCaptured(PaymentEvent, tag="PaymentCaptured", frozen=True, kw_only=True):
    amount: Decimal
    currency: str
    transaction_id: str


class PaymentVoided(PaymentEvent, tag="PaymentVoided", frozen=True, kw_only=True):
    reason: str


class PaymentRefunded(PaymentEvent, tag="PaymentRefunded", frozen=True, kw_only=True):
    refund_id: str
    amount: Decimal
    currency: str
    reason: str


# --- statuses: which ones each event may follow, and to which one it leads ----------------------------------
PASSAGES: Mapping[type[PaymentEvent], Passage[PaymentStatus]] = {
    PaymentAuthorized: Passage((PaymentStatus.ABSENT,), PaymentStatus.AUTHORIZED),
    PaymentFailed: Passage((PaymentStatus.ABSENT,), PaymentStatus.FAILED),
    PaymentCaptured: Passage((PaymentStatus.AUTHORIZED,), PaymentStatus.CAPTURED),
    PaymentVoided: Passage((PaymentStatus.AUTHORIZED,), PaymentStatus.VOIDED),
    PaymentRefunded: Passage((PaymentStatus.CAPTURED,), PaymentStatus.REFUNDED),
}


# --- commands: each of them records an answer of the provider -----------------------------------------------
class PaymentCommand(Command, frozen=True, kw_only=True):
    payment_id: PaymentId
    order_id: OrderId


class RecordAuthorization(PaymentCommand, frozen=True, kw_only=True):
    amount: Decimal
    currency: str
    payment_method: str
    authorization_code: str


class RecordDecline(PaymentCommand, frozen=True, kw_only=True):
    reason: str


class RecordCapture(PaymentCommand, frozen=True, kw_only=True):
    transaction_id: str


class RecordVoid(PaymentCommand, frozen=True, kw_only=True):
    reason: str


class RecordRefund(PaymentCommand, frozen=True, kw_only=True):
    refund_id: str
    reason: str


# --- state --------------------------------------------------------------------------------------------------
class Payment(Struct, frozen=True, kw_only=True):
    status: PaymentStatus = PaymentStatus.ABSENT
    amount: Decimal = Decimal("0.00")
    currency: str = ""


def evolve(payment: Payment, event: PaymentEvent) -> Payment:
    passage = PASSAGES.get(type(event))
    if passage is None:
        return payment
    status = passage.to or payment.status
    match event:
        case PaymentAuthorized(amount=amount, currency=currency):
            return Payment(status=status, amount=amount, currency=currency)
        case _:
            return replace(payment, status=status)


# --- decisions: a command that is repeated records nothing the second time ----------------------------------
def decide(command: PaymentCommand, payment: Payment) -> Sequence[PaymentEvent]:
    match command, payment.status:
        case RecordAuthorization() as c, PaymentStatus.ABSENT:
            return [
                PaymentAuthorized(
                    payment_id=command.payment_id,
                    order_id=command.order_id,
                    amount=c.amount,
                    currency=c.currency,
                    payment_method=c.payment_method,
                    authorization_code=c.authorization_code,
                )
            ]
        case RecordAuthorization(), PaymentStatus.AUTHORIZED | PaymentStatus.CAPTURED | PaymentStatus.REFUNDED:
            return []
        case RecordDecline() as c, PaymentStatus.ABSENT:
            return [PaymentFailed(payment_id=command.payment_id, order_id=command.order_id, reason=c.reason)]
        case RecordDecline(), PaymentStatus.FAILED:
            return []
        case RecordCapture() as c, PaymentStatus.AUTHORIZED:
            return [
                PaymentCaptured(
                    payment_id=command.payment_id,
                    order_id=command.order_id,
                    amount=payment.amount,
                    currency=payment.currency,
                    transaction_id=c.transaction_id,
                )
            ]
        case RecordCapture(), PaymentStatus.CAPTURED | PaymentStatus.REFUNDED:
            return []
        case RecordVoid() as c, PaymentStatus.AUTHORIZED:
            return [PaymentVoided(payment_id=command.payment_id, order_id=command.order_id, reason=c.reason)]
        case RecordVoid(), PaymentStatus.VOIDED | PaymentStatus.ABSENT | PaymentStatus.FAILED:
            return []  # there is nothing to void, so it is done already
        case RecordRefund() as c, PaymentStatus.CAPTURED:
            return [
                PaymentRefunded(
                    payment_id=command.payment_id,
                    order_id=command.order_id,
                    refund_id=c.refund_id,
                    amount=payment.amount,
                    currency=payment.currency,
                    reason=c.reason,
                )
            ]
        case RecordRefund(), PaymentStatus.REFUNDED:
            return []
        case _:
            verb = type(command).__name__.removeprefix("Record").lower()
            state = payment.status.lower()
            raise NotAllowed(f"cannot record the {verb} of a payment that is {state}")


PAYMENT = Decider(category="payment", initial=Payment(), decide=decide, evolve=evolve)
