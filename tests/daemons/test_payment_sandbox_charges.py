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
    Charge,
    ChargeRequest,
    Outcome,
    Refund,
    State,
    Void,
    decide,
)
from daemons.payment_sandbox.methods import ACCEPTED

ID = UUID(int=1)
TEN, FOUR = Decimal("10.00"), Decimal("4.00")
NOTHING = Decimal("0.00")
APPROVED, DECLINED, REFUSED, UNAVAILABLE = Outcome


def authorise(method: str = "card") -> Authorise:
    return Authorise(payment_id=ID, order_id="o", amount=TEN, currency="USD", payment_method=method)


def capture(amount: Decimal = TEN) -> Capture:
    return Capture(payment_id=ID, amount=amount)


def void() -> Void:
    return Void(payment_id=ID, reason="changed my mind")


def refund(amount: Decimal = TEN) -> Refund:
    return Refund(payment_id=ID, amount=amount, reason="broken")


def charge(state: State, method: str = "card", *, refunded: Decimal = NOTHING) -> Charge:
    held = NOTHING if state in {State.DECLINED, State.TOMBSTONE} else TEN
    taken = TEN if state in {State.CAPTURED, State.REFUNDED} else NOTHING
    back = TEN if state is State.REFUNDED else refunded
    return Charge(
        payment_id=ID,
        order_id="o",
        state=state,
        currency="USD",
        payment_method=method,
        authorised=held,
        captured=taken,
        refunded=back,
    )


def decided(request: ChargeRequest, before: Charge | None, attempt: int = 1) -> tuple[Outcome, State | None, str]:
    after, answer = decide(request, before, key="key", attempt=attempt)
    return answer.outcome, after and after.state, answer.reason


REQUESTS = {"authorise": authorise(), "capture": capture(), "void": void(), "refund": refund()}
TABLE: dict[tuple[str, State | None], tuple[Outcome, State | None, str]] = {
    ("authorise", None): (APPROVED, State.AUTHORISED, ""),
    ("authorise", State.AUTHORISED): (REFUSED, State.AUTHORISED, "this payment is already authorised"),
    ("authorise", State.DECLINED): (REFUSED, State.DECLINED, "this payment is already declined"),
    ("authorise", State.CAPTURED): (REFUSED, State.CAPTURED, "this payment is already captured"),
    ("authorise", State.VOIDED): (REFUSED, State.VOIDED, "this payment was voided"),
    ("authorise", State.REFUNDED): (REFUSED, State.REFUNDED, "this payment is already refunded"),
    ("authorise", State.TOMBSTONE): (REFUSED, State.TOMBSTONE, "this payment was voided"),
    ("capture", None): (REFUSED, None, "there is no such payment"),
    ("capture", State.AUTHORISED): (APPROVED, State.CAPTURED, ""),
    ("capture", State.DECLINED): (REFUSED, State.DECLINED, "cannot capture a payment that is declined"),
    ("capture", State.CAPTURED): (REFUSED, State.CAPTURED, "cannot capture a payment that is captured"),
    ("capture", State.VOIDED): (REFUSED, State.VOIDED, "cannot capture a payment that is voided"),
    ("capture", State.REFUNDED): (REFUSED, State.REFUNDED, "cannot capture a payment that is refunded"),
    ("capture", State.TOMBSTONE): (REFUSED, State.TOMBSTONE, "cannot capture a payment that is voided"),
    ("void", None): (APPROVED, State.TOMBSTONE, ""),
    ("void", State.AUTHORISED): (APPROVED, State.VOIDED, ""),
    ("void", State.DECLINED): (APPROVED, State.DECLINED, ""),
    ("void", State.CAPTURED): (REFUSED, State.CAPTURED, "cannot void a payment that is captured: refund it"),
    ("void", State.VOIDED): (APPROVED, State.VOIDED, ""),
    ("void", State.REFUNDED): (REFUSED, State.REFUNDED, "cannot void a payment that is refunded: refund it"),
    ("void", State.TOMBSTONE): (APPROVED, State.TOMBSTONE, ""),
    ("refund", None): (REFUSED, None, "there is no such payment"),
    ("refund", State.AUTHORISED): (REFUSED, State.AUTHORISED, "cannot refund a payment that is authorised"),
    ("refund", State.DECLINED): (REFUSED, State.DECLINED, "cannot refund a payment that is declined"),
    ("refund", State.CAPTURED): (APPROVED, State.REFUNDED, ""),
    ("refund", State.VOIDED): (REFUSED, State.VOIDED, "cannot refund a payment that is voided"),
    ("refund", State.REFUNDED): (REFUSED, State.REFUNDED, "cannot refund a payment that is refunded"),
    ("refund", State.TOMBSTONE): (REFUSED, State.TOMBSTONE, "cannot refund a payment that is voided"),
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(product(REQUESTS, [None, *State]))


@pytest.mark.parametrize(("operation", "state"), TABLE, ids=str)
def test_every_request_in_every_state_has_its_outcome(operation: str, state: State | None) -> None:
    before = charge(state) if state else None
    assert decided(REQUESTS[operation], before) == TABLE[operation, state]


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
def test_a_payment_method_decides_the_authorisation(method: str, outcome: Outcome, reason: str) -> None:
    state = State.AUTHORISED if outcome is APPROVED else State.DECLINED
    assert decided(authorise(method), None) == (outcome, state, reason)


@pytest.mark.parametrize(
    ("request_", "method", "unavailable"),
    [
        (authorise("test_card_flaky"), None, 2),
        (void(), "test_card_void_fails", 3),
        (void(), "test_card_flaky", 0),
        (capture(), "test_card_void_fails", 0),
    ],
)
def test_a_flaky_method_answers_not_available_so_many_times(
    request_: ChargeRequest, method: str | None, unavailable: int
) -> None:
    before = charge(State.AUTHORISED, method) if method else None
    outcomes = [decided(request_, before, attempt)[0] for attempt in range(1, unavailable + 3)]
    assert outcomes == [UNAVAILABLE] * unavailable + [APPROVED] * 2


def test_some_voids_never_succeed() -> None:
    before = charge(State.AUTHORISED, "test_card_void_never")
    assert decided(void(), before, attempt=100_000) == (
        UNAVAILABLE,
        State.AUTHORISED,
        "the payment provider is not available",
    )


def test_not_more_than_was_authorised_can_be_captured() -> None:
    outcome, state, reason = decided(capture(Decimal("10.01")), charge(State.AUTHORISED))
    assert (outcome, state) == (REFUSED, State.AUTHORISED)
    assert reason == "cannot capture 10.01: only 10.00 was authorised"


def test_refunds_may_be_in_parts_and_never_exceed_what_was_captured() -> None:
    half, _ = decide(refund(FOUR), charge(State.CAPTURED), key="first", attempt=1)
    assert half == charge(State.CAPTURED, refunded=FOUR)
    assert decided(refund(Decimal("6.01")), half)[0] is REFUSED
    assert decided(refund(Decimal("6.00")), half)[:2] == (APPROVED, State.REFUNDED)


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
def test_no_sequence_of_requests_makes_money(requests: list[ChargeRequest]) -> None:
    current: Charge | None = None
    for number, each in enumerate(requests):
        current, _ = decide(each, current, key=str(number), attempt=1)
    if current is not None:
        assert NOTHING <= current.refunded <= current.captured <= current.authorised <= TEN
        assert current.captured == NOTHING or current.state in {State.CAPTURED, State.REFUNDED}
