"""Payment: what the provider has answered about one order's money.

No amount is captured twice, and no more is refunded than was captured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

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
    UNPAID = "UNPAID"  # the order was shipped, and the provider refuses for good to pay
    VOIDED = "VOIDED"
    PARTLY_REFUNDED = "PARTLY_REFUNDED"
    REFUNDED = "REFUNDED"  # all that was captured


NO_MONEY_HELD = (PaymentStatus.ABSENT, PaymentStatus.FAILED, PaymentStatus.VOIDED)
"""In these statuses the provider holds no money for us, and we owe the customer none."""


# --- events: these names and fields are the storage format --------------------------------------------------
class PaymentEvent(Event, frozen=True, kw_only=True):
    payment_id: PaymentId
    order_id: OrderId


class PaymentAuthorized(PaymentEvent, tag="PaymentAuthorized", frozen=True, kw_only=True, omit_defaults=True):
    """`expires_at`: when the provider lets go of the amount; None if it did not say."""

    amount: Decimal
    currency: str
    payment_method: str
    authorization_code: str
    expires_at: datetime | None = None


class PaymentFailed(PaymentEvent, tag="PaymentFailed", frozen=True, kw_only=True):
    reason: str


class PaymentCaptured(PaymentEvent, tag="PaymentCaptured", frozen=True, kw_only=True):
    amount: Decimal
    currency: str
    transaction_id: str


class PaymentCaptureFailed(PaymentEvent, tag="PaymentCaptureFailed", frozen=True, kw_only=True, omit_defaults=True):
    """`authorization`: the number of the order's authorisation that was refused, or whose capture was; from 1."""

    amount: Decimal
    currency: str
    reason: str
    authorization: int = 1


class PaymentVoided(PaymentEvent, tag="PaymentVoided", frozen=True, kw_only=True):
    reason: str


class PaymentRefunded(PaymentEvent, tag="PaymentRefunded", frozen=True, kw_only=True):
    refund_id: str
    amount: Decimal
    currency: str
    reason: str


class PaymentRefundFailed(PaymentEvent, tag="PaymentRefundFailed", frozen=True, kw_only=True, omit_defaults=True):
    """The provider refused this refund for good, for the `refusal`-th time. A later attempt may still succeed."""

    refund_id: str
    amount: Decimal
    currency: str
    reason: str
    refusal: int = 1


# --- statuses: which ones each event may follow, and to which one it leads ----------------------------------
_MAY_BE_PAID = (PaymentStatus.AUTHORIZED, PaymentStatus.UNPAID)
_PAID = (PaymentStatus.CAPTURED, PaymentStatus.PARTLY_REFUNDED)

PASSAGES: Mapping[type[PaymentEvent], Passage[PaymentStatus]] = {
    PaymentAuthorized: Passage((PaymentStatus.ABSENT, *_MAY_BE_PAID), PaymentStatus.AUTHORIZED),
    PaymentFailed: Passage((PaymentStatus.ABSENT,), PaymentStatus.FAILED),
    PaymentCaptured: Passage(_MAY_BE_PAID, PaymentStatus.CAPTURED),
    PaymentCaptureFailed: Passage(_MAY_BE_PAID, PaymentStatus.UNPAID),
    PaymentVoided: Passage((PaymentStatus.AUTHORIZED,), PaymentStatus.VOIDED),
    PaymentRefunded: Passage(_PAID, PaymentStatus.REFUNDED, partly=PaymentStatus.PARTLY_REFUNDED),
    PaymentRefundFailed: Passage((*_PAID, PaymentStatus.REFUNDED), None),
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
    expires_at: datetime | None = None


class RecordDecline(PaymentCommand, frozen=True, kw_only=True):
    reason: str


class RecordCapture(PaymentCommand, frozen=True, kw_only=True):
    transaction_id: str


class RecordCaptureFailure(PaymentCommand, frozen=True, kw_only=True):
    reason: str
    authorization: int = 1


class RecordVoid(PaymentCommand, frozen=True, kw_only=True):
    reason: str


class RecordRefund(PaymentCommand, frozen=True, kw_only=True):
    """`amount`: None for all that is left of what was captured."""

    refund_id: str
    reason: str
    amount: Decimal | None = None


class RecordRefundFailure(PaymentCommand, frozen=True, kw_only=True):
    refund_id: str
    amount: Decimal
    reason: str
    refusal: int = 1


# --- state --------------------------------------------------------------------------------------------------
class Payment(Struct, frozen=True, kw_only=True, gc=False):
    """`amount` is what was authorised. `expires_at`: when the provider lets go of it, if it said so.

    `authorization` is the number of the last authorisation that the provider approved or refused; 0 before the first.
    `refunds` are the ids of the refunds that are done; `refused_refunds` has the id of one for each time that the
    provider refused it for good.
    """

    status: PaymentStatus = PaymentStatus.ABSENT
    amount: Decimal = Decimal("0.00")
    currency: str = ""
    captured: Decimal = Decimal("0.00")
    refunded: Decimal = Decimal("0.00")
    expires_at: datetime | None = None
    authorization_code: str = ""
    authorization: int = 0
    refunds: frozenset[str] = frozenset()
    refused_refunds: tuple[str, ...] = ()

    @property
    def refundable(self) -> Decimal:
        """What was captured and is not refunded yet."""
        return self.captured - self.refunded

    def has_lapsed(self, now: datetime) -> bool:
        """Whether the authorisation has ended, and nobody captured or voided it."""
        return self.status is PaymentStatus.AUTHORIZED and self.expires_at is not None and self.expires_at <= now


def evolve(payment: Payment, event: PaymentEvent) -> Payment:
    passage = PASSAGES.get(type(event))
    if passage is None:
        return payment
    status = passage.to or payment.status
    match event:
        case PaymentAuthorized(amount=amount):
            return Payment(
                status=status,
                amount=amount,
                currency=event.currency,
                captured=amount - amount,  # zero, with the decimals of the currency
                refunded=amount - amount,
                expires_at=event.expires_at,
                authorization_code=event.authorization_code,
                authorization=payment.authorization + 1,
            )
        case PaymentFailed():
            return replace(payment, status=status, authorization=1)
        case PaymentCaptureFailed(authorization=number):
            return replace(payment, status=status, authorization=max(number, payment.authorization))
        case PaymentCaptured(amount=amount):
            return replace(payment, status=status, captured=amount)
        case PaymentRefunded(refund_id=id_, amount=amount):
            refunded = payment.refunded + amount
            return replace(
                payment,
                status=passage.partly if passage.partly and refunded < payment.captured else status,
                refunded=refunded,
                refunds=payment.refunds | {id_},
                refused_refunds=tuple(each for each in payment.refused_refunds if each != id_),
            )
        case PaymentRefundFailed(refund_id=id_):
            return replace(payment, status=status, refused_refunds=(*payment.refused_refunds, id_))
        case _:
            return replace(payment, status=status)


# --- decisions: a command that is repeated records nothing the second time ----------------------------------
def decide(command: PaymentCommand, payment: Payment) -> Sequence[PaymentEvent]:
    amounts = {"amount": payment.amount, "currency": payment.currency}  # as they were authorised
    match command, payment.status:
        case RecordAuthorization() as c, PaymentStatus.AUTHORIZED if c.authorization_code == payment.authorization_code:
            return []
        case RecordAuthorization(), PaymentStatus.ABSENT | PaymentStatus.AUTHORIZED | PaymentStatus.UNPAID:
            return [_event(PaymentAuthorized, command)]
        case RecordAuthorization() | RecordCapture(), _ if payment.captured:
            return []
        case RecordDecline(), PaymentStatus.ABSENT:
            return [_event(PaymentFailed, command)]
        case RecordDecline(), PaymentStatus.FAILED:
            return []
        case RecordCapture(), PaymentStatus.AUTHORIZED | PaymentStatus.UNPAID:
            return [_event(PaymentCaptured, command, **amounts)]
        case RecordCaptureFailure() as c, PaymentStatus.UNPAID if c.authorization <= payment.authorization:
            return []
        case RecordCaptureFailure(), PaymentStatus.AUTHORIZED | PaymentStatus.UNPAID:
            return [_event(PaymentCaptureFailed, command, **amounts)]
        case RecordVoid(), PaymentStatus.AUTHORIZED:
            return [_event(PaymentVoided, command)]
        case RecordVoid(), PaymentStatus.VOIDED | PaymentStatus.ABSENT | PaymentStatus.FAILED:
            return []  # there is nothing to void, so it is done already
        case (RecordRefund() | RecordRefundFailure()) as c, _ if payment.captured:
            return _decide_refund(c, payment)
        case _:
            verb = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(command).__name__.removeprefix("Record")).lower()
            state = payment.status.lower().replace("_", " ")
            raise NotAllowed(f"cannot record the {verb} of a payment that is {state}")


def _decide_refund(command: RecordRefund | RecordRefundFailure, payment: Payment) -> Sequence[PaymentEvent]:
    if command.refund_id in payment.refunds:
        return []
    if isinstance(command, RecordRefundFailure):
        if command.refusal <= payment.refused_refunds.count(command.refund_id):
            return []
        return [_event(PaymentRefundFailed, command, currency=payment.currency)]
    left = payment.refundable
    amount = left if command.amount is None else command.amount
    if command.amount is None and not left:
        return []
    if not 0 < amount <= left:
        raise NotAllowed(
            f"cannot record a refund of {amount} {payment.currency}: {left} of {payment.captured} captured are left"
        )
    return [_event(PaymentRefunded, command, amount=amount, currency=payment.currency)]


def _event(kind: type[PaymentEvent], command: PaymentCommand, **more: Any) -> PaymentEvent:
    """The event of this kind. Its fields are those of `more`, and all others are the command's."""
    names = set(kind.__struct_fields__) & set(command.__struct_fields__) - set(more)
    return kind(**{name: getattr(command, name) for name in names}, **more)


PAYMENT = Decider(category="payment", initial=Payment(), decide=decide, evolve=evolve)
