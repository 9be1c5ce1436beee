"""Order number: what a customer quotes; unique because it permutes a sequence, and no guide to the next one."""

from __future__ import annotations

from hashlib import blake2b

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that a number survives being read aloud and typed again."""

LIMIT = 2**50  # 10 characters of 5 bits
HALF = 25
MASK = 2**HALF - 1

ROUNDS = 6
"""Six random rounds hide the order up to about 2**25 numbers seen: Patarin, "Security of Random Feistel Schemes with
5 or More Rounds" (CRYPTO 2004). Four, by Luby and Rackoff (1988), are proven for only some 2**12 of them."""


def order_number(n: int, key: bytes) -> str:
    """The n-th number, 0 <= n < 2**50; `key` is a secret of 16 to 64 bytes.

    One sequence keeps one key for life: under another, or with other ROUNDS, a number can come a second time.
    """
    if not 0 <= n < LIMIT:
        raise ValueError(f"an order number stands for 0 to {LIMIT - 1}, not {n}")
    left, right = n >> HALF, n & MASK
    for turn in range(ROUNDS):
        left, right = right, left ^ _scramble(turn, right, key)
    bits = left << HALF | right
    return "ORD-" + "".join([ALPHABET[bits >> shift & 31] for shift in range(45, -1, -5)])


def _scramble(turn: int, half: int, key: bytes) -> int:
    """25 bits that only the key's holder can tell; it need not be invertible, the Feistel network is."""
    digest = blake2b((turn << HALF | half).to_bytes(4, "big"), digest_size=4, key=key).digest()
    return int.from_bytes(digest, "big") & MASK
