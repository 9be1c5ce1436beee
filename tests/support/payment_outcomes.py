"""What each command on a payment does in each status: the events it records, nothing (done already), or a refusal."""

from __future__ import annotations

from typing import Any

from core.domain.payment import PaymentStatus
from tests.support.samples import (
    authorize,
    authorize_anew,
    authorized,
    authorized_anew,
    capture,
    capture_failed,
    captured,
    decline,
    fail_capture,
    fail_refund,
    failed,
    part_refunded,
    refund,
    refund_failed,
    refund_part,
    refunded,
    rest_refunded,
    void,
    voided,
)
from tests.support.spec import DONE, Histories, Outcome, Table


def no(verb: str, *statuses: PaymentStatus) -> dict[Any, Outcome]:
    states = {status: status.lower().replace("_", " ") for status in statuses}
    return {status: f"cannot record the {verb} of a payment that is {state}" for status, state in states.items()}


PAYMENTS: Histories = {
    PaymentStatus.ABSENT: [],
    PaymentStatus.AUTHORIZED: [authorized],
    PaymentStatus.FAILED: [failed],
    PaymentStatus.CAPTURED: [authorized, captured],
    PaymentStatus.UNPAID: [authorized, capture_failed],
    PaymentStatus.VOIDED: [authorized, voided],
    PaymentStatus.PARTLY_REFUNDED: [authorized, captured, part_refunded],
    PaymentStatus.REFUNDED: [authorized, captured, refunded],
}
CAPTURED_ONCE: dict[Any, Outcome] = dict.fromkeys(
    (PaymentStatus.CAPTURED, PaymentStatus.PARTLY_REFUNDED, PaymentStatus.REFUNDED), DONE
)
NOT_CAPTURED = (
    PaymentStatus.ABSENT,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.FAILED,
    PaymentStatus.UNPAID,
    PaymentStatus.VOIDED,
)
PAYMENT_OUTCOMES: Table = {
    authorize: {
        **CAPTURED_ONCE,
        PaymentStatus.ABSENT: [authorized],
        PaymentStatus.AUTHORIZED: DONE,
        PaymentStatus.UNPAID: [authorized],
        **no("authorization", PaymentStatus.FAILED, PaymentStatus.VOIDED),
    },
    authorize_anew: {
        **CAPTURED_ONCE,
        PaymentStatus.ABSENT: [authorized_anew],
        PaymentStatus.AUTHORIZED: [authorized_anew],
        PaymentStatus.UNPAID: [authorized_anew],
        **no("authorization", PaymentStatus.FAILED, PaymentStatus.VOIDED),
    },
    decline: {
        PaymentStatus.ABSENT: [failed],
        PaymentStatus.FAILED: DONE,
        **no("decline", PaymentStatus.AUTHORIZED, PaymentStatus.UNPAID, PaymentStatus.VOIDED, *CAPTURED_ONCE),
    },
    capture: {
        **CAPTURED_ONCE,
        PaymentStatus.AUTHORIZED: [captured],
        PaymentStatus.UNPAID: [captured],
        **no("capture", PaymentStatus.ABSENT, PaymentStatus.FAILED, PaymentStatus.VOIDED),
    },
    fail_capture: {
        PaymentStatus.AUTHORIZED: [capture_failed],
        PaymentStatus.UNPAID: DONE,
        **no("capture failure", PaymentStatus.ABSENT, PaymentStatus.FAILED, PaymentStatus.VOIDED, *CAPTURED_ONCE),
    },
    void: {
        PaymentStatus.ABSENT: DONE,
        PaymentStatus.FAILED: DONE,
        PaymentStatus.AUTHORIZED: [voided],
        PaymentStatus.VOIDED: DONE,
        **no("void", PaymentStatus.UNPAID, *CAPTURED_ONCE),
    },
    refund: {
        PaymentStatus.CAPTURED: [refunded],
        PaymentStatus.PARTLY_REFUNDED: [rest_refunded],
        PaymentStatus.REFUNDED: DONE,
        **no("refund", *NOT_CAPTURED),
    },
    refund_part: {
        PaymentStatus.CAPTURED: [part_refunded],
        PaymentStatus.PARTLY_REFUNDED: DONE,
        PaymentStatus.REFUNDED: "cannot record a refund of 0.48 USD: 0.00 of 2001.48 captured are left",
        **no("refund", *NOT_CAPTURED),
    },
    fail_refund: {
        PaymentStatus.CAPTURED: [refund_failed],
        PaymentStatus.PARTLY_REFUNDED: [refund_failed],
        PaymentStatus.REFUNDED: [refund_failed],
        **no("refund failure", *NOT_CAPTURED),
    },
}
