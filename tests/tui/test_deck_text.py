from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from core.printable import LONGEST, clean
from core.terminal_text import fit, money, span
from tui.viewmodels.text import MOST_LINES, age, money_within, pretty

NOW = datetime(2026, 3, 14, tzinfo=UTC)


@given(st.text(max_size=200), st.integers(0, 60), st.booleans())
def test_a_text_fills_exactly_the_cells_it_is_given(text: str, width: int, right: bool) -> None:  # noqa: FBT001
    assert cell_len(fit(clean(text), width, right=right)) == width


@given(st.text(st.characters(), max_size=100))
def test_control_codes_are_removed_from_every_text(text: str) -> None:
    assert not {unicodedata.category(character) for character in clean(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert clean("a\x1b[2J\u202eb\nc") == "a·[2Jb·c"


def test_wide_text_is_cut_by_cells() -> None:
    assert fit("日本語テキスト", 7) == "日本語…"
    assert fit("ab", 4, right=True) == "  ab"


def test_a_line_of_ninety_thousand_characters_is_cut() -> None:
    assert len(clean("x" * 90_000)) == LONGEST


def test_a_payload_of_a_megabyte_is_shown_in_part_and_says_so() -> None:
    raw = json.dumps({"rows": list(range(200_000))}).encode()
    lines = pretty(raw)
    assert len(lines) == MOST_LINES + 1
    assert lines[-1].startswith("… 198,")
    assert "bytes in all" in lines[-1]


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"{", b"[" * 100_000, b'"\\u001b[2J"', "\u202e".encode()])
def test_a_payload_that_is_no_json_is_shown_without_control_codes(raw: bytes) -> None:
    assert all("\x1b" not in line for line in pretty(raw))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0ms"), (0.04, "40ms"), (2.14, "2.1s"), (185, "3m 05s"), (7_800, "2h 10m"), (442_800, "5d 03h")],
)
def test_a_duration_is_shown_in_the_units_that_fit_its_size(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_an_age_is_shown_in_whole_seconds_and_is_never_negative() -> None:
    assert age(NOW - timedelta(seconds=2.9), NOW) == "2s"
    assert age(NOW - timedelta(minutes=61), NOW) == "1h"
    assert age(NOW + timedelta(hours=1), NOW) == "0s"


def test_money_has_two_decimals() -> None:
    assert money("1999.9", "USD") == "1,999.90 USD"


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("9999999.99", "USD", "9,999,999.99 USD"),
        ("9999999999.99", "USD", "9999999999.99 USD"),
        ("999999999999", "JPY", "999999999999 JPY"),
        ("999999999.999", "KWD", "999999999.999 KWD"),
        ("999999999999.99", "IRR", "≈999999999999 IRR"),
    ],
)
def test_the_largest_amount_of_each_currency_fits_into_the_list(amount: str, currency: str, shown: str) -> None:
    assert money_within(17, Decimal(amount), currency) == shown
    assert len(money_within(17, Decimal("1E+999999999"), currency)) < 50
