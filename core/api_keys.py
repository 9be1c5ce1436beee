"""How API keys are written, and what each role may do: viewers look, operators give commands, admins do all."""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import StrEnum
from typing import NamedTuple

SECRET_BYTES = 32  # 256 bits, which nobody can guess, so one round of SHA-256 is enough of a hash
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH = 10
KEY = re.compile(rb"od_([a-z2-7]{10})_[0-9a-f]{64}")
SIGNER = re.compile(r"od_([a-z2-7]{10})")
"""How a key without a secret is written, whose caller signs each request."""


class Role(StrEnum):
    """Each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        return _RANK[self] >= _RANK[needed]


_RANK = {role: rank for rank, role in enumerate(Role)}


class MadeKey(NamedTuple):
    """A fresh key. `text` is a secret, and is shown once; `hash` is all that is stored of it.

    For a caller who signs requests, `text` is no secret but the `keyid` of its signatures, and there is no hash.
    """

    id: str
    text: str
    hash: bytes | None


def make_signer() -> MadeKey:
    """A key for a caller who signs requests."""
    id_ = _make_id()
    return MadeKey(id_, f"od_{id_}", None)


def make_key_text() -> MadeKey:
    id_ = _make_id()
    text = f"od_{id_}_{secrets.token_hex(SECRET_BYTES)}"
    return MadeKey(id_, text, hash_of(text.encode()))


def _make_id() -> str:
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


def hash_of(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def id_in(key: bytes) -> str | None:
    """The id that a key names; None when it is not written as a key is."""
    found = KEY.fullmatch(key)
    return None if found is None else found[1].decode()


def signer_in(text: str) -> str | None:
    """The id of a key without a secret; None when it is not written as one is."""
    found = SIGNER.fullmatch(text)
    return None if found is None else found[1]
