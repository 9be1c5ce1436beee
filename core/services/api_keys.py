"""Makes, replaces and revokes the keys of callers, for the command and for the admin API alike."""

# ruff: noqa: PLC0415 - cryptography is imported by those who have keys that sign
from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from msgspec.structs import replace

from core.api_keys import make_key_text, make_signer
from core.errors import FieldError, InvalidInput, NotAllowed, NotFound
from core.filters.times import read_span
from core.ports.api_keys import ApiKey, ApiKeys, KeyTerms
from core.ports.audit import AuditNote

CALLER = re.compile(r"[a-z0-9][a-z0-9._@-]{0,59}")
RESERVED = frozenset({"home", "daemon"})  # who the audit names for the key of the home itself, and for our own programs
ROUTE = re.compile(r"(\*|GET|POST|PUT) /[A-Za-z0-9_{}./-]{0,199}\*?")
MOST_ROUTES = 50
LONGEST_PEM = 2_000  # characters; that of an Ed25519 key has 113
LONGEST = timedelta(days=3650)
OVERLAP = "24h"
"""For how long a key stays valid beside the one that replaces it, unless the operator says otherwise."""
NOTICED_WITHIN = 0.6  # seconds in which every service that reaches the database has seen that a key is new or revoked


@dataclass(frozen=True)
class ShownOnce:
    """A key that was just made, with its text, which nobody can find out later."""

    key: ApiKey
    text: str


async def create_key(keys: ApiKeys, terms: KeyTerms, note: AuditNote, *, lasts: timedelta | None, by: str) -> ShownOnce:
    """Make a key, and return when the services know it. Raises InvalidInput, and NotAllowed for a third valid key."""
    wrong = _what_is_wrong(terms, lasts)
    if wrong:
        raise InvalidInput(wrong)
    if terms.public_key is not None:
        terms = replace(terms, public_key=public_key_of(terms.public_key))
    made = make_key_text() if terms.public_key is None else make_signer()
    note.target = f"{terms.caller} {made.id}"
    note.detail = "; ".join(
        part for part in (f"a key of {terms.role}", _terms_in_words(terms, lasts), note.detail) if part
    )
    key = await keys.add(terms, made, note.entry(), lasts=lasts, by=by)
    if key is None:
        theirs = [each.id for each in await keys.all() if each.caller == terms.caller and each.state == "valid"]
        raise NotAllowed(f"{terms.caller} has two valid keys, {' and '.join(theirs)}: revoke one first")
    note.kept = True
    await asyncio.sleep(NOTICED_WITHIN)
    return ShownOnce(key, made.text)


async def rotate_key(
    keys: ApiKeys,
    id_: str,
    note: AuditNote,
    *,
    overlap: timedelta,
    by: str,
    public_key: str | None = None,
    hand_over: Callable[[ShownOnce], Awaitable[None]] | None = None,
) -> ShownOnce:
    """Make a key with the terms of this one, which stays valid beside it for a while, and then expires.

    With a `public_key` the caller signs its requests from then on. If `hand_over` raises, this key stays as it was.
    """
    old = await _found(keys, id_)
    if old.state != "valid":
        raise NotAllowed(f"key {id_} is {old.state}: make a new one")
    if not timedelta(0) <= overlap <= LONGEST:
        raise InvalidInput([FieldError("overlap", "must be a time from 0 to 10 years")])
    if old.public_key is not None and public_key is None:
        raise InvalidInput([FieldError("public_key", f"must be the new one: {old.caller} signs its requests")])
    terms = KeyTerms(
        caller=old.caller,
        role=old.role,
        speaks_for_others=old.speaks_for_others,
        routes=tuple(old.routes),
        public_key=public_key,
    )
    lasts = None if old.expires_at is None else old.expires_at - old.created_at
    note.detail = f"in the place of {id_}, which ends after {overlap}"
    new = await create_key(keys, terms, note, lasts=lasts, by=by)
    if hand_over is not None:
        await hand_over(new)
    await keys.end_within(id_, overlap)
    return new


async def revoke_key(keys: ApiKeys, id_: str, note: AuditNote, *, by: str) -> ApiKey:
    """Revoke a key, and return when the services refuse it. Raises NotFound; to revoke it again does nothing."""
    note.target = f"{(await _found(keys, id_)).caller} {id_}"
    note.kept = await keys.revoke(id_, note.entry(), by=by)
    await asyncio.sleep(NOTICED_WITHIN)
    return await _found(keys, id_)


def public_key_of(text: str) -> str:
    """A public key (Ed25519, PEM) as it is stored. Raises InvalidInput, which does not repeat what was sent."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    if "PRIVATE KEY" in text:
        sentence = "must be the public key, and this is a private one, which nobody else should have"
        raise InvalidInput([FieldError("public_key", sentence)])
    try:
        key = load_pem_public_key(text.encode()) if len(text) <= LONGEST_PEM else None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        sentence = "must be an Ed25519 public key, as `openssl pkey -pubout` writes it"
        raise InvalidInput([FieldError("public_key", sentence)])
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _terms_in_words(terms: KeyTerms, lasts: timedelta | None) -> str:
    parts = [f"for {', '.join(terms.routes)}"] if terms.routes else []
    parts += [f"ends after {lasts}"] if lasts is not None else []
    parts += ["signs its requests"] if terms.public_key is not None else []
    return "; ".join([*parts, *(["speaks for others"] if terms.speaks_for_others else [])])


def span_of(field: str, text: str) -> timedelta:
    """A span of time as operators write it, such as 90d. Raises InvalidInput."""
    try:
        return read_span(text)
    except ValueError as error:
        raise InvalidInput([FieldError(field, f"must be {error}")]) from None
    except OverflowError:
        raise InvalidInput([FieldError(field, "must be at most 10 years")]) from None


async def _found(keys: ApiKeys, id_: str) -> ApiKey:
    key = await keys.one(id_)
    if key is None:
        raise NotFound("key", id_)
    return key


def _what_is_wrong(terms: KeyTerms, lasts: timedelta | None) -> list[FieldError]:
    wrong: list[FieldError] = []
    if not CALLER.fullmatch(terms.caller) or terms.caller in RESERVED:
        form = "1 to 60 small letters, digits and . _ @ -, beginning with a letter or digit"
        sentence = f"must be {form}, and not `home` or `daemon`"
        wrong.append(FieldError("caller", sentence))
    if lasts is not None and not timedelta(seconds=1) <= lasts <= LONGEST:
        wrong.append(FieldError("expires_in", "must be from a second to 10 years"))
    wrong += _wrong_routes(terms.routes)
    return wrong


def _wrong_routes(routes: Sequence[str]) -> list[FieldError]:
    if len(routes) > MOST_ROUTES:
        return [FieldError("routes", f"must be at most {MOST_ROUTES}")]
    return [
        FieldError(f"routes[{number}]", "must be a method and a path as in `GET /api/v1/orders*` or `* /api/v1/orders`")
        for number, route in enumerate(routes)
        if not ROUTE.fullmatch(route)
    ]
