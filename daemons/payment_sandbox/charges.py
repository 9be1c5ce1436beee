"""The rules of charges: what each request does to a charge in each state, and what is answered; pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from core.domain.money import exact, wrong_amount
from daemons.payment_sandbox.methods import decline_reason, unavailable_tries

NOTHING = Decimal("0.00")


class ChargeState(StrEnum):
    AUTHORISED = "AUTHORISED"
    EXPIRED = "EXPIRED"  # it was authorised, and nobody captured or voided it in time: nothing is held any more
    DECLINED = "DECLINED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"  # all of what was captured
    TOMBSTONE = "TOMBSTONE"  # it was voided before it was authorised: a later authorisation is refused


class SandboxCharge(Struct, frozen=True, kw_only=True):
    """One payment in the ledger; amounts have the decimals of the currency.

    `expires_at`: when its authorisation ends; None: never.
    """

    payment_id: UUID
    order_id: str = ""
    state: ChargeState
    currency: str = ""
    payment_method: str = ""
    authorised: Decimal = NOTHING
    captured: Decimal = NOTHING
    refunded: Decimal = NOTHING
    expires_at: datetime | None = None


# --- requests -----------------------------------------------------------------------------------------------
class Authorise(Struct, frozen=True, kw_only=True, tag_field="operation", tag="authorise"):
    payment_id: UUID
    order_id: str
    amount: Decimal
    currency: str
    payment_method: str


class Capture(Struct, frozen=True, kw_only=True, tag_field="operation", tag="capture"):
    payment_id: UUID
    amount: Decimal


class Void(Struct, frozen=True, kw_only=True, tag_field="operation", tag="void"):
    payment_id: UUID
    reason: str


class Refund(Struct, frozen=True, kw_only=True, tag_field="operation", tag="refund"):
    payment_id: UUID
    amount: Decimal
    reason: str


ChargeRequest = Authorise | Capture | Void | Refund


# --- answers ------------------------------------------------------------------------------------------------
class ChargeOutcome(StrEnum):
    APPROVED = "approved"
    DECLINED = "declined"  # the holder's bank said no: final
    REFUSED = "refused"  # not possible in the state of this charge: final
    UNAVAILABLE = "unavailable"  # try again with the same key


class ChargeAnswer(Struct, frozen=True, kw_only=True):
    """`reference` is the authorisation code, transaction id, void id or refund id of what was approved.

    `expires_at`: when an authorisation that was approved ends; None: never.
    """

    operation: str
    payment_id: UUID
    outcome: ChargeOutcome
    amount: Decimal = NOTHING
    currency: str = ""
    reference: str = ""
    reason: str = ""
    expires_at: datetime | None = None


def decide(
    request: ChargeRequest,
    charge: SandboxCharge | None,
    *,
    key: str,
    attempt: int,
    expires_at: datetime | None = None,
) -> tuple[SandboxCharge | None, ChargeAnswer]:
    """The charge as it is after the request, and the answer.

    `attempt` counts the tries with this key, from 1. `expires_at`: when an authorisation that is made now ends.
    """
    operation = str(request.__struct_config__.tag)
    method = request.payment_method if isinstance(request, Authorise) else charge.payment_method if charge else ""
    if attempt <= unavailable_tries(operation, method):
        return charge, _no(request, operation, ChargeOutcome.UNAVAILABLE, "the payment provider is not available")

    def approved(after: SandboxCharge, amount: Decimal) -> tuple[SandboxCharge, ChargeAnswer]:
        return after, ChargeAnswer(
            operation=operation,
            payment_id=request.payment_id,
            outcome=ChargeOutcome.APPROVED,
            amount=amount,
            currency=after.currency,
            reference=_reference(operation, key),
            expires_at=after.expires_at if isinstance(request, Authorise) else None,
        )

    def refused(reason: str) -> tuple[SandboxCharge | None, ChargeAnswer]:
        return charge, _no(request, operation, ChargeOutcome.REFUSED, reason)

    match request:
        case Authorise():
            return _authorise(request, charge, expires_at, approved, refused)
        case Capture():
            return _capture(request, charge, approved, refused)
        case Void():
            return _void(request, charge, approved, refused)
        case Refund():
            return _refund(request, charge, approved, refused)
        case _:
            assert_never(request)


def as_of(charge: SandboxCharge, now: datetime) -> SandboxCharge:
    """The charge as it is at this moment: its authorisation may have ended since it was last written."""
    has_ended = charge.expires_at is not None and charge.expires_at <= now
    return (
        replace(charge, state=ChargeState.EXPIRED) if charge.state is ChargeState.AUTHORISED and has_ended else charge
    )


HAD_ENDED = {ChargeState.EXPIRED, ChargeState.VOIDED}
Decision = tuple[SandboxCharge | None, ChargeAnswer]
Approve = Callable[[SandboxCharge, Decimal], tuple[SandboxCharge, ChargeAnswer]]
Refuse = Callable[[str], Decision]


AUTHORISED_ANEW = {ChargeState.EXPIRED, ChargeState.VOIDED, ChargeState.DECLINED}
"""In these states nothing is held or taken, so another key may authorise the payment anew."""


def _authorise(
    request: Authorise, charge: SandboxCharge | None, expires_at: datetime | None, approved: Approve, refused: Refuse
) -> Decision:
    if charge is not None and charge.state not in AUTHORISED_ANEW:
        tombstone = charge.state is ChargeState.TOMBSTONE
        return refused("this payment was voided" if tombstone else f"this payment is already {charge.state.lower()}")
    fresh = SandboxCharge(
        payment_id=request.payment_id,
        order_id=request.order_id,
        state=ChargeState.AUTHORISED,
        currency=request.currency,
        payment_method=request.payment_method,
        authorised=request.amount,
        captured=request.amount - request.amount,  # zero, with the decimals of the currency
        refunded=request.amount - request.amount,
        expires_at=expires_at,
    )
    if reason := decline_reason(request.payment_method, renews=charge is not None and charge.state in HAD_ENDED):
        declined = replace(fresh, state=ChargeState.DECLINED, authorised=fresh.captured, expires_at=None)
        return declined, _no(request, "authorise", ChargeOutcome.DECLINED, reason)
    return approved(fresh, request.amount)


def _capture(request: Capture, charge: SandboxCharge | None, approved: Approve, refused: Refuse) -> Decision:
    if charge is None:
        return refused("there is no such payment")
    if charge.state is not ChargeState.AUTHORISED:
        return refused(f"cannot capture a payment that is {_word(charge)}")
    if wrong := wrong_amount(request.amount, charge.currency):
        return refused(f"cannot capture {request.amount} {charge.currency}: it {wrong}")
    amount = exact(request.amount, charge.currency)
    if amount > charge.authorised:
        return refused(f"cannot capture {amount}: only {charge.authorised} was authorised")
    return approved(replace(charge, state=ChargeState.CAPTURED, captured=amount), amount)


def _void(request: Void, charge: SandboxCharge | None, approved: Approve, refused: Refuse) -> Decision:
    if charge is None:
        # The caller gave up waiting for an authorisation that has not arrived here. Should it still come, it must fail.
        return approved(SandboxCharge(payment_id=request.payment_id, state=ChargeState.TOMBSTONE), NOTHING)
    match charge.state:
        case ChargeState.AUTHORISED:
            return approved(replace(charge, state=ChargeState.VOIDED), charge.authorised)
        case ChargeState.VOIDED | ChargeState.TOMBSTONE | ChargeState.DECLINED | ChargeState.EXPIRED:
            return approved(charge, NOTHING)  # nothing is held, so there is nothing to release
        case ChargeState.CAPTURED | ChargeState.REFUNDED:
            return refused(f"cannot void a payment that is {_word(charge)}: refund it")


def _refund(request: Refund, charge: SandboxCharge | None, approved: Approve, refused: Refuse) -> Decision:
    if charge is None:
        return refused("there is no such payment")
    if charge.state is not ChargeState.CAPTURED:
        return refused(f"cannot refund a payment that is {_word(charge)}")
    if wrong := wrong_amount(request.amount, charge.currency):
        return refused(f"cannot refund {request.amount} {charge.currency}: it {wrong}")
    amount, left = exact(request.amount, charge.currency), charge.captured - charge.refunded
    if amount > left:
        return refused(f"cannot refund {amount}: only {left} is left of what was captured")
    state = ChargeState.REFUNDED if amount == left else ChargeState.CAPTURED
    return approved(replace(charge, state=state, refunded=charge.refunded + amount), amount)


def _word(charge: SandboxCharge) -> str:
    return "voided" if charge.state is ChargeState.TOMBSTONE else charge.state.lower()


def _no(request: ChargeRequest, operation: str, outcome: ChargeOutcome, reason: str) -> ChargeAnswer:
    return ChargeAnswer(operation=operation, payment_id=request.payment_id, outcome=outcome, reason=reason)


def _reference(operation: str, key: str) -> str:
    """The reference of an approved operation; it follows from the key, so a try after a crash gets the same one."""
    return f"{operation[:4]}_{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}"
