"""The rules of charges, as tables: every request in every state has a stated outcome."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.payment_sandbox.charges import (
    Authorise,
    Capture,
    ChargeOutcome,
    ChargeRequest,
    ChargeState,
    Refund,
    SandboxCharge,
    Void,
    decide,
)
from daemons.payment_sandbox.methods import ACCEPTED

ID = UUID(int=1)
TEN, FOUR = Decimal("10.00"), Decimal("4.00")
NOTHING = Decimal("0.00")
APPROVED, DECLINED, REFUSED, UNAVAILABLE = ChargeOutcome


def authorise(method: str = "card") -> Authorise:
    return Authorise(payment_id=ID, order_id="o", amount=TEN, currency="USD", payment_method=method)


def capture(amount: Decimal = TEN) -> Capture:
    return Capture(payment_id=ID, amount=amount)


def void() -> Void:
    return Void(payment_id=ID, reason="changed my mind")


def refund(amount: Decimal = TEN) -> Refund:
    return Refund(payment_id=ID, amount=amount, reason="broken")


def charge(state: ChargeState, method: str = "card", *, refunded: Decimal = NOTHING) -> SandboxCharge:
    held = NOTHING if state in {ChargeState.DECLINED, ChargeState.TOMBSTONE} else TEN
    taken = TEN if state in {ChargeState.CAPTURED, ChargeState.REFUNDED} else NOTHING
    back = TEN if state is ChargeState.REFUNDED else refunded
    return SandboxCharge(
        payment_id=ID,
        order_id="o",
        state=state,
        currency="USD",
        payment_method=method,
        authorised=held,
        captured=taken,
        refunded=back,
    )


def outcome_of(
    request: ChargeRequest, before: SandboxCharge | None, attempt: int = 1
) -> tuple[ChargeOutcome, ChargeState | None, str]:
    after, answer = decide(request, before, key="key", attempt=attempt)
    return answer.outcome, after and after.state, answer.reason


REQUESTS = {"authorise": authorise(), "capture": capture(), "void": void(), "refund": refund()}
TABLE: dict[tuple[str, ChargeState | None], tuple[ChargeOutcome, ChargeState | None, str]] = {
    ("authorise", None): (APPROVED, ChargeState.AUTHORISED, ""),
    ("authorise", ChargeState.AUTHORISED): (REFUSED, ChargeState.AUTHORISED, "this payment is already authorised"),
    ("authorise", ChargeState.EXPIRED): (APPROVED, ChargeState.AUTHORISED, ""),
    ("authorise", ChargeState.DECLINED): (APPROVED, ChargeState.AUTHORISED, ""),
    ("authorise", ChargeState.CAPTURED): (REFUSED, ChargeState.CAPTURED, "this payment is already captured"),
    ("authorise", ChargeState.VOIDED): (APPROVED, ChargeState.AUTHORISED, ""),
    ("authorise", ChargeState.REFUNDED): (REFUSED, ChargeState.REFUNDED, "this payment is already refunded"),
    ("authorise", ChargeState.TOMBSTONE): (REFUSED, ChargeState.TOMBSTONE, "this payment was voided"),
    ("capture", None): (REFUSED, None, "there is no such payment"),
    ("capture", ChargeState.AUTHORISED): (APPROVED, ChargeState.CAPTURED, ""),
    ("capture", ChargeState.EXPIRED): (REFUSED, ChargeState.EXPIRED, "cannot capture a payment that is expired"),
    ("capture", ChargeState.DECLINED): (REFUSED, ChargeState.DECLINED, "cannot capture a payment that is declined"),
    ("capture", ChargeState.CAPTURED): (REFUSED, ChargeState.CAPTURED, "cannot capture a payment that is captured"),
    ("capture", ChargeState.VOIDED): (REFUSED, ChargeState.VOIDED, "cannot capture a payment that is voided"),
    ("capture", ChargeState.REFUNDED): (REFUSED, ChargeState.REFUNDED, "cannot capture a payment that is refunded"),
    ("capture", ChargeState.TOMBSTONE): (REFUSED, ChargeState.TOMBSTONE, "cannot capture a payment that is voided"),
    ("void", None): (APPROVED, ChargeState.TOMBSTONE, ""),
    ("void", ChargeState.AUTHORISED): (APPROVED, ChargeState.VOIDED, ""),
    ("void", ChargeState.EXPIRED): (APPROVED, ChargeState.EXPIRED, ""),
    ("void", ChargeState.DECLINED): (APPROVED, ChargeState.DECLINED, ""),
    ("void", ChargeState.CAPTURED): (
        REFUSED,
        ChargeState.CAPTURED,
        "cannot void a payment that is captured: refund it",
    ),
    ("void", ChargeState.VOIDED): (APPROVED, ChargeState.VOIDED, ""),
    ("void", ChargeState.REFUNDED): (
        REFUSED,
        ChargeState.REFUNDED,
        "cannot void a payment that is refunded: refund it",
    ),
    ("void", ChargeState.TOMBSTONE): (APPROVED, ChargeState.TOMBSTONE, ""),
    ("refund", None): (REFUSED, None, "there is no such payment"),
    ("refund", ChargeState.AUTHORISED): (REFUSED, ChargeState.AUTHORISED, "cannot refund a payment that is authorised"),
    ("refund", ChargeState.EXPIRED): (REFUSED, ChargeState.EXPIRED, "cannot refund a payment that is expired"),
    ("refund", ChargeState.DECLINED): (REFUSED, ChargeState.DECLINED, "cannot refund a payment that is declined"),
    ("refund", ChargeState.CAPTURED): (APPROVED, ChargeState.REFUNDED, ""),
    ("refund", ChargeState.VOIDED): (REFUSED, ChargeState.VOIDED, "cannot refund a payment that is voided"),
    ("refund", ChargeState.REFUNDED): (REFUSED, ChargeState.REFUNDED, "cannot refund a payment that is refunded"),
    ("refund", ChargeState.TOMBSTONE): (REFUSED, ChargeState.TOMBSTONE, "cannot refund a payment that is voided"),
}


def test_the_table_of_charges_has_every_request_in_every_state() -> None:
    assert set(TABLE) == set(product(REQUESTS, [None, *ChargeState]))


@pytest.mark.parametrize(("operation", "state"), TABLE, ids=str)
def test_every_request_in_every_state_of_a_charge_has_the_outcome_of_the_table(
    operation: str, state: ChargeState | None
) -> None:
    before = charge(state) if state else None
    assert outcome_of(REQUESTS[operation], before) == TABLE[operation, state]


@pytest.mark.parametrize(
    ("method", "outcome", "reason"),
    [
        *((method, APPROVED, "") for method in sorted(ACCEPTED)),
        ("test_card_timeout", APPROVED, ""),
        ("test_card_slow", APPROVED, ""),
        ("test_card_void_fails", APPROVED, ""),
        ("test_card_void_never", APPROVED, ""),
        ("test_card_fail", DECLINED, "card declined"),
        ("test_card_insufficient_funds", DECLINED, "insufficient funds"),
        ("test_card_unheard_of", DECLINED, "unsupported payment method"),
        ("seashells", DECLINED, "unsupported payment method"),
    ],
)
def test_a_payment_method_decides_the_authorisation(method: str, outcome: ChargeOutcome, reason: str) -> None:
    state = ChargeState.AUTHORISED if outcome is APPROVED else ChargeState.DECLINED
    assert outcome_of(authorise(method), None) == (outcome, state, reason)


@pytest.mark.parametrize(
    ("request_", "method", "unavailable"),
    [
        (authorise("test_card_flaky"), None, 2),
        (void(), "test_card_void_fails", 3),
        (void(), "test_card_flaky", 0),
        (capture(), "test_card_void_fails", 0),
    ],
)
def test_a_flaky_payment_method_answers_not_available_a_fixed_number_of_times(
    request_: ChargeRequest, method: str | None, unavailable: int
) -> None:
    before = charge(ChargeState.AUTHORISED, method) if method else None
    outcomes = [outcome_of(request_, before, attempt)[0] for attempt in range(1, unavailable + 3)]
    assert outcomes == [UNAVAILABLE] * unavailable + [APPROVED] * 2


def test_some_voids_never_succeed() -> None:
    before = charge(ChargeState.AUTHORISED, "test_card_void_never")
    assert outcome_of(void(), before, attempt=100_000) == (
        UNAVAILABLE,
        ChargeState.AUTHORISED,
        "the payment provider is not available",
    )


def test_the_sandbox_refuses_to_capture_more_than_was_authorised() -> None:
    outcome, state, reason = outcome_of(capture(Decimal("10.01")), charge(ChargeState.AUTHORISED))
    assert (outcome, state) == (REFUSED, ChargeState.AUTHORISED)
    assert reason == "cannot capture 10.01: only 10.00 was authorised"


def test_refunds_may_be_in_parts_and_never_exceed_what_was_captured() -> None:
    half, _ = decide(refund(FOUR), charge(ChargeState.CAPTURED), key="first", attempt=1)
    assert half == charge(ChargeState.CAPTURED, refunded=FOUR)
    assert outcome_of(refund(Decimal("6.01")), half)[0] is REFUSED
    assert outcome_of(refund(Decimal("6.00")), half)[:2] == (APPROVED, ChargeState.REFUNDED)


@given(
    st.lists(
        st.one_of(
            st.just(authorise()),
            st.just(void()),
            st.decimals("0.01", "20", places=2).map(capture),
            st.decimals("0.01", "20", places=2).map(refund),
        )
    )
)
def test_no_requests_capture_more_than_was_authorised_or_refund_more_than_was_captured(
    requests: list[ChargeRequest],
) -> None:
    current: SandboxCharge | None = None
    for number, each in enumerate(requests):
        current, _ = decide(each, current, key=str(number), attempt=1)
    if current is not None:
        assert NOTHING <= current.refunded <= current.captured <= current.authorised <= TEN
        assert current.captured == NOTHING or current.state in {ChargeState.CAPTURED, ChargeState.REFUNDED}
