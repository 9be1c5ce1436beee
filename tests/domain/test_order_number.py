"""Order numbers: every one only once, easy to read aloud, and none tells the next."""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.order_number import ALPHABET, HALF, LIMIT, MASK, ROUNDS, order_number

KEY = b"a secret key that only tests use"
INDEXES = st.integers(0, LIMIT - 1)


def scrambled(turn: int, half: int, key: bytes) -> int:
    """25 bits that only somebody with the key can compute."""
    hashed = blake2b((turn << HALF | half).to_bytes(4, "big"), digest_size=4, key=key).digest()
    return int.from_bytes(hashed, "big") & MASK


def index_of(number: str, key: bytes) -> int:
    """The way back: the same rounds from the last to the first."""
    bits = 0
    for character in number.removeprefix("ORD-"):
        bits = bits << 5 | ALPHABET.index(character)
    left, right = bits >> HALF, bits & MASK
    for turn in reversed(range(ROUNDS)):
        left, right = right ^ scrambled(turn, left, key), left
    return left << HALF | right


@given(INDEXES, st.binary(min_size=16, max_size=64))
def test_every_order_number_can_be_turned_back_into_its_index(n: int, key: bytes) -> None:
    assert index_of(order_number(n, key), key) == n


def test_the_first_50_000_numbers_are_all_different() -> None:
    assert len({order_number(n, KEY) for n in range(50_000)}) == 50_000


@given(INDEXES)
def test_an_order_number_is_ord_and_ten_characters_that_are_hard_to_confuse(n: int) -> None:
    assert re.fullmatch(r"ORD-[0-9A-HJKMNP-TV-Z]{10}", order_number(n, KEY))


@pytest.mark.parametrize(
    ("n", "number"),
    [
        (0, "ORD-GRDW8AKBD8"),
        (1, "ORD-8HT2110TM0"),
        (2, "ORD-2QKDQVEW63"),
        (2**25, "ORD-JZVSVYJWYX"),
        (2**50 - 1, "ORD-17Z7E9AF1Y"),
    ],
)
def test_the_order_number_of_an_index_never_changes_with_a_release(n: int, number: str) -> None:
    assert order_number(n, KEY) == number


def test_successive_order_numbers_are_not_in_ascending_order() -> None:
    numbers = [order_number(n, KEY) for n in range(10_000)]
    rising = sum(a < b for a, b in pairwise(numbers))
    assert 4_700 < rising < 5_300  # half of them, as dice would give; the key is fixed, so this is no game of chance


def test_the_next_index_changes_about_half_of_the_bits_of_an_order_number() -> None:
    values = [[ALPHABET.index(c) for c in order_number(n, KEY)[4:]] for n in range(1_000)]
    changed = sum((x ^ y).bit_count() for a, b in pairwise(values) for x, y in zip(a, b, strict=True))
    assert 24 < changed / 999 < 26


def test_another_key_gives_other_order_numbers() -> None:
    assert order_number(7, KEY) != order_number(7, bytes(reversed(KEY)))


@pytest.mark.parametrize("n", [-1, LIMIT, -LIMIT, LIMIT * 32])
def test_an_index_outside_the_50_bits_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="stands for 0 to 1125899906842623, not"):
        order_number(n, KEY)
