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
_TURNS = [turn << HALF for turn in range(ROUNDS)]


def order_number(n: int, key: bytes) -> str:
    """The n-th number, 0 <= n < 2**50; `key` is a secret of 16 to 64 bytes.

    Never change the key of a sequence, nor ROUNDS: with other ones a number can come a second time.
    """
    if not 0 <= n < LIMIT:
        raise ValueError(f"an order number stands for 0 to {LIMIT - 1}, not {n}")
    left, right, keyed = n >> HALF, n & MASK, _keyed(key)
    for turn in _TURNS:  # a Feistel network: it can be inverted, even if the scrambled half cannot
        hasher = keyed.copy()
        hasher.update((turn | right).to_bytes(4, "big"))
        left, right = right, left ^ int.from_bytes(hasher.digest(), "big") & MASK
    bits = left << HALF | right
    first, second, third = _PAIRS[bits >> 40], _PAIRS[bits >> 30 & 1023], _PAIRS[bits >> 20 & 1023]
    return f"ORD-{first}{second}{third}{_PAIRS[bits >> 10 & 1023]}{_PAIRS[bits & 1023]}"


@lru_cache(maxsize=4)
def _keyed(key: bytes) -> blake2b:
    """A hasher that knows the key: to copy it costs half of making one."""
    return blake2b(digest_size=4, key=key)


def in_capitals(text: str) -> str:
    """The text as it stands in an order number, whose letters people may write small. Other letters are left alone."""
    return text.translate(_CAPITALS)


_CAPITALS = str.maketrans(ascii_lowercase, ascii_uppercase)
