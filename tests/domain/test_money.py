"""Money: decimal from end to end, with the decimals that ISO 4217 gives each currency."""

from __future__ import annotations

import re
from decimal import Context, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core import codec
from core.domain.item import MAX_QUANTITY
from core.domain.message import Event
from core.domain.money import DECIMALS, WEAK, decimals, exact, largest, smallest, wrong_amount
from core.domain.order import ORDER, OrderCreated
from core.errors import InvalidInput
from tests.support.samples import ITEMS, captured, create
from tests.support.strategies import AMOUNTS, CENTS

MINOR_UNITS = Path(__file__).parents[1] / "data" / "minor_units.txt"
CODES = st.sampled_from(sorted(DECIMALS))


@st.composite
def sums(draw: st.DrawFn) -> tuple[str, int, Decimal]:
    """A currency, and an amount of it, as a number of its smallest unit and as a decimal."""
    code = draw(CODES)
    units = draw(st.integers(1, int(largest(code) / smallest(code))))
    return code, units, Decimal(units).scaleb(-DECIMALS[code])


@given(sums())
def test_every_amount_of_whole_smallest_units_is_accepted_and_unchanged(sum_: tuple[str, int, Decimal]) -> None:
    code, units, amount = sum_
    assert wrong_amount(amount, code) is None
    assert exact(amount, code).as_tuple() == amount.as_tuple()
    assert int(exact(amount, code).scaleb(decimals(code))) == units
    assert Decimal(repr(float(amount))) == amount, "a program that reads it as a binary float loses nothing"


@given(sums(), st.integers(1, 9), st.integers(1, 30))
def test_an_amount_with_a_fraction_of_the_smallest_unit_is_refused(
    sum_: tuple[str, int, Decimal], digit: int, further: int
) -> None:
    code, _, amount = sum_
    finer = Context(prec=60).add(amount, Decimal(digit).scaleb(-DECIMALS[code] - further))
    fraction = f"must have at most {DECIMALS[code]} decimals" if DECIMALS[code] else f"must have no decimals in {code}"
    assert wrong_amount(finer, code) in {fraction, f"must be at most {largest(code)}"}


@given(st.decimals(), CODES)
def test_every_accepted_amount_has_whole_smallest_units(amount: Decimal, code: str) -> None:
    if wrong_amount(amount, code) is None:
        units = int(exact(amount, code).scaleb(DECIMALS[code]))
        assert 1 <= units < 10**14
        assert exact(amount, code) == Decimal(units).scaleb(-DECIMALS[code]) == amount


@pytest.mark.parametrize(
    ("code", "written", "stored"),
    [
        ("USD", "0.01", "0.01"),
        ("USD", "1", "1.00"),
        ("USD", "1.5", "1.50"),
        ("USD", "1E+2", "100.00"),
        ("USD", "9999999999.99", "9999999999.99"),
        ("JPY", "1", "1"),
        ("JPY", "1000.00", "1000"),
        ("JPY", "1E+11", "100000000000"),
        ("KWD", "1.5", "1.500"),
        ("BHD", "0.001", "0.001"),
    ],
)
def test_an_amount_is_stored_with_all_decimals_of_its_currency(code: str, written: str, stored: str) -> None:
    assert wrong_amount(Decimal(written), code) is None
    assert str(exact(Decimal(written), code)) == stored


@pytest.mark.parametrize(
    ("code", "most"),
    [
        ("USD", "9999999999.99"),
        ("EUR", "9999999999.99"),
        ("JPY", "999999999999"),
        ("KRW", "999999999999"),
        ("VND", "999999999999"),
        ("KWD", "999999999.999"),
        ("IRR", "999999999999.99"),
        ("IDR", "999999999999.99"),
        ("IQD", "99999999999.999"),
    ],
)
def test_each_currency_has_a_limit_that_its_worth_makes_sensible(code: str, most: str) -> None:
    assert wrong_amount(Decimal(most), code) is None
    assert wrong_amount(Decimal(most) + smallest(code), code) == f"must be at most {most}"


def captured_amount(event: Event) -> str:
    payload = codec.encode(event).decode()
    [again] = codec.decode("PaymentCaptured", 1, payload)
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


@given(CODES, st.lists(st.tuples(st.integers(1, 5_000), st.integers(1, 5_000)), min_size=1, max_size=20))
def test_a_total_in_any_currency_is_the_sum_in_smallest_units(code: str, lines: list[tuple[int, int]]) -> None:
    items = tuple(
        replace(ITEMS[0], quantity=quantity, unit_price=Decimal(units).scaleb(-DECIMALS[code]))
        for units, quantity in lines
    )
    [event] = ORDER.decide(replace(create, items=items, currency=code.lower()), ORDER.initial)
    assert isinstance(event, OrderCreated)
    assert event.currency == code
    assert event.total_amount.as_tuple().exponent == -DECIMALS[code]
    assert int(event.total_amount.scaleb(DECIMALS[code])) == sum(units * quantity for units, quantity in lines)


def test_the_currencies_and_their_decimals_are_those_that_orders_were_stored_with() -> None:
    """If a new edition of the table changes a currency's decimals, think of the ledgers and events that have it."""
    listed = "".join(
        f"{units}: {' '.join(sorted(code for code in DECIMALS if DECIMALS[code] == units))}\n"
        for units in sorted(set(DECIMALS.values()))
    )
    assert listed == MINOR_UNITS.read_text(), "the table of ISO 4217 has changed"


@pytest.mark.parametrize(
    "code", ["CLF", "UYW", "UYI", "XAD", "XAU", "XDR", "XXX", "XTS", "HRK", "BOV", "USN", "", "EU"]
)
def test_metals_funds_units_of_account_and_currencies_out_of_use_are_not_taken(code: str) -> None:
    assert code not in DECIMALS
    with pytest.raises(InvalidInput) as refused:
        ORDER.decide(replace(create, currency=code), ORDER.initial)
    assert [error.field for error in refused.value.errors] == ["currency"]


@pytest.mark.parametrize("code", ["ANG", "BGN"])
def test_a_currency_that_iso_has_withdrawn_keeps_the_two_decimals_of_its_older_orders(code: str) -> None:
    assert exact(Decimal(10), code) == Decimal("10.00")
    assert str(exact(Decimal(10), code)) == "10.00"


def test_every_currency_is_three_capitals() -> None:
    assert [code for code in DECIMALS if not re.fullmatch("[A-Z]{3}", code)] == []
    assert set(DECIMALS) >= WEAK
