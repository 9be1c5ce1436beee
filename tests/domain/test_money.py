"""Money: decimal from end to end, two decimals, and currencies that have two."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core import codec
from core.domain.message import Event
from core.domain.money import CURRENCIES, MAX_AMOUNT, exact, wrong_amount
from core.domain.order import MAX_QUANTITY, ORDER, OrderCreated
from tests.support.samples import ITEMS, captured, create
from tests.support.strategies import AMOUNTS, CENTS


@given(AMOUNTS)
def test_every_amount_of_whole_cents_is_accepted_and_unchanged(amount: Decimal) -> None:
    assert wrong_amount(amount) is None
    assert exact(amount) == amount
    assert Decimal(str(exact(amount))).as_tuple() == amount.as_tuple()


@given(AMOUNTS, st.integers(1, 9), st.integers(3, 30))
def test_an_amount_with_a_fraction_of_a_cent_is_refused(amount: Decimal, digit: int, decimals: int) -> None:
    finer = Decimal(f"{amount}{'0' * (decimals - 3)}{digit}")
    assert wrong_amount(finer) in {"must have at most 2 decimals", f"must be at most {MAX_AMOUNT}"}


@given(st.decimals())
def test_every_accepted_amount_has_whole_cents(amount: Decimal) -> None:
    if wrong_amount(amount) is None:
        cents = int(exact(amount).scaleb(2))
        assert 1 <= cents <= 999_999_999_999
        assert exact(amount) == Decimal(cents).scaleb(-2) == amount


@pytest.mark.parametrize(
    ("written", "stored"),
    [("0.01", "0.01"), ("1", "1.00"), ("1.5", "1.50"), ("1E+2", "100.00"), ("9999999999.99", "9999999999.99")],
)
def test_an_amount_is_stored_with_two_decimals(written: str, stored: str) -> None:
    assert str(exact(Decimal(written))) == stored


def captured_amount(event: Event) -> str:
    payload = codec.encode(event).decode()
    again = codec.decode("PaymentCaptured", 1, payload)
    assert again == event
    return payload.split('"amount":')[1].split(",")[0]


@given(AMOUNTS)
def test_an_amount_is_a_json_number_of_exactly_its_digits(amount: Decimal) -> None:
    assert captured_amount(replace(captured, amount=amount)) == str(amount)


def test_an_amount_that_a_float_cannot_hold_is_kept_exactly() -> None:
    assert captured_amount(replace(captured, amount=Decimal("9007199254740993.01"))) == "9007199254740993.01"


@given(st.lists(st.tuples(CENTS, st.integers(1, MAX_QUANTITY)), min_size=1, max_size=200))
def test_a_total_is_the_sum_in_cents(lines: list[tuple[int, int]]) -> None:
    lines = [(cents % 10_000 + 1, quantity % 5_000 + 1) for cents, quantity in lines]  # stays below the limit
    items = tuple(
        replace(ITEMS[0], quantity=quantity, unit_price=Decimal(cents).scaleb(-2)) for cents, quantity in lines
    )
    [event] = ORDER.decide(replace(create, items=items), ORDER.initial)
    assert isinstance(event, OrderCreated)
    assert int(event.total_amount.scaleb(2)) == sum(cents * quantity for cents, quantity in lines)


@pytest.mark.parametrize("code", ["USD", "EUR", "GBP", "CHF", "CNY", "INR", "BRL", "SEK", "MXN", "ZAR"])
def test_currencies_with_cents_are_known(code: str) -> None:
    assert code in CURRENCIES


@pytest.mark.parametrize("code", ["JPY", "KRW", "VND", "CLP", "ISK", "KWD", "BHD", "TND", "CLF", "XAU", "XXX", "HRK"])
def test_currencies_without_two_decimals_or_out_of_use_are_unknown(code: str) -> None:
    assert code not in CURRENCIES


def test_every_currency_is_three_capitals() -> None:
    assert [code for code in CURRENCIES if not re.fullmatch("[A-Z]{3}", code)] == []
