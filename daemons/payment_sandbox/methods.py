"""The payment methods: which are accepted, and how each test method misbehaves. No other module names one."""

from __future__ import annotations

ACCEPTED = frozenset(
    {
        "card",
        "visa",
        "mastercard",
        "amex",
        "debit_card",
        "paypal",
        "apple_pay",
        "google_pay",
        "bank_transfer",
        "sepa_debit",
        "invoice",
        "gift_card",
    }
)

TIMEOUT = "test_card_timeout"  # is charged, and the first answer never comes
SLOW = "test_card_slow"  # is authorised after some seconds

DECLINES = {
    "test_card_fail": "card declined",
    "test_card_insufficient_funds": "insufficient funds",
}

LIVES = {
    "test_card_expires": 5.0,
    "test_card_expires_fail": 5.0,
}
"""For how many seconds an authorisation of these methods lasts."""

DECLINES_RENEWAL = {"test_card_expires_fail": "card declined"}
"""These decline to be authorised anew when their authorisation has ended, and accept the time after that."""

FOR_EVER = 1_000_000_000
UNAVAILABLE_TRIES = {
    ("authorise", "test_card_flaky"): 2,
    ("void", "test_card_void_fails"): 3,
    ("void", "test_card_void_never"): FOR_EVER,
}

TEST_METHODS = frozenset({TIMEOUT, SLOW, *DECLINES, *LIVES, *(method for _, method in UNAVAILABLE_TRIES)})


def decline_reason(method: str, *, renews: bool = False) -> str | None:
    """Why an authorisation is declined, or None. `renews`: it follows one that has ended."""
    if method in DECLINES:
        return DECLINES[method]
    if renews and method in DECLINES_RENEWAL:
        return DECLINES_RENEWAL[method]
    return None if method in ACCEPTED | TEST_METHODS else "unsupported payment method"


def life(method: str, usual: float) -> float:
    """For how many seconds an authorisation of a payment method lasts; `usual`: one of an ordinary method."""
    return min(usual, LIVES.get(method, usual))


def unavailable_tries(operation: str, method: str) -> int:
    """How many tries of an operation are answered 503 before one is executed."""
    return UNAVAILABLE_TRIES.get((operation, method), 0)
