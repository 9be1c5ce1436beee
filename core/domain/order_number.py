"""Order number: how a customer names an order.

It encrypts a sequence number, so no two are the same, and nobody can guess the next one.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from string import ascii_lowercase, ascii_uppercase

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32. It has no I, L, O or U, so people who read a number aloud or type it make fewer mistakes."""

LIMIT = 2**50  # 10 characters of 5 bits
HALF = 25
MASK = 2**HALF - 1

_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]

ROUNDS = 6
"""Somebody who knows up to about 2**25 numbers learns nothing about the others from six random rounds: Patarin,
"Security of Random Feistel Schemes with 5 or More Rounds" (CRYPTO 2004). For four rounds, Luby and Rackoff (1988) prove
that only for about 2**12 numbers."""


def order_number(n: int, key: bytes) -> str:
    """The n-th number, 0 <= n < 2**50; `key` is a secret of 16 to 64 bytes.

    Never change the key of a sequence, nor ROUNDS: with other ones a number can come a second time.
    """
    if not 0 <= n < LIMIT:
        raise ValueError(f"an order number stands for 0 to {LIMIT - 1}, not {n}")
    left, right, keyed = n >> HALF, n & MASK, _keyed(key)
    for turn in range(ROUNDS):
        left, right = right, left ^ _scramble(turn, right, keyed)
    bits = left << HALF | right
    return "ORD-" + "".join([_PAIRS[bits >> shift & 1023] for shift in (40, 30, 20, 10, 0)])


def _scramble(turn: int, half: int, keyed: blake2b) -> int:
    """25 bits that only somebody with the key can compute. The Feistel network can be inverted even if this cannot."""
    hasher = keyed.copy()
    hasher.update((turn << HALF | half).to_bytes(4, "big"))
    return int.from_bytes(hasher.digest(), "big") & MASK


@lru_cache(maxsize=4)
def _keyed(key: bytes) -> blake2b:
    """A hasher that knows the key: to copy it costs half of making one."""
    return blake2b(digest_size=4, key=key)


def in_capitals(text: str) -> str:
    """The text as it stands in an order number, whose letters people may write small. Other letters are left alone."""
    return text.translate(_CAPITALS)


_CAPITALS = str.maketrans(ascii_lowercase, ascii_uppercase)
