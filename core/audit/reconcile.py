"""Reconcile: compares the payment of an order in our log with the provider's own ledger. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from core.audit.case import Case
from core.domain.message import payment_of
from core.domain.payment import PaymentStatus
from core.domain.provider import Charge
from core.ports.evidence import Finding

LIVE = {"AUTHORISED", "CAPTURED"}
NOTHING_HELD = {"DECLINED", "TOMBSTONE", "VOIDED", "EXPIRED"}
LEDGER: Mapping[PaymentStatus, set[str]] = {
    PaymentStatus.AUTHORIZED: {
        "AUTHORISED",
        "EXPIRED",
    },  # the provider does not tell us that an authorisation has ended
    PaymentStatus.CAPTURED: {"CAPTURED"},
    PaymentStatus.PARTLY_REFUNDED: {"CAPTURED"},
    PaymentStatus.VOIDED: {"VOIDED", "EXPIRED"},
    PaymentStatus.REFUNDED: {"REFUNDED"},
}


def reconcile(case: Case, charge: Charge | None) -> Finding | None:
    """The difference between our log and the provider's ledger, or None. The order's sagas must have ended."""
    payment, state = case.payment, charge.state if charge else "nothing"
    expected = LEDGER.get(payment.status)
    agrees = charge is None or state in NOTHING_HELD if expected is None else charge is not None and state in expected
    if agrees and charge is not None and expected is not None:
        ours = (payment.amount, payment.captured, payment.refunded)
        agrees = (charge.authorised, charge.captured, charge.refunded) == ours
    if agrees:
        return None
    theirs = f"{state} {charge.authorised}, {charge.captured} captured, {charge.refunded} refunded" if charge else state
    ours = f"{payment.status} {payment.amount}, {payment.captured} captured, {payment.refunded} refunded"
    what = f"the provider's ledger has {theirs} for order {case.order_id}, our log {ours}"
    return Finding("I4", what, payment_of(case.order_id), case.last)
