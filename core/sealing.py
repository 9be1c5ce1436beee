"""Sealing: encrypts what bears a customer's name in an event, with a key of that customer, and opens it in JSON.

A sealed address has nothing but `sealed`: `v1:` and, in base64, the customer's pseudonym, the id of the event, a nonce
and the ciphertext of AES-256-GCM, which is bound to both ids and to the field. Instead of the customer's reference
there is the pseudonym: `sealed:` and a random UUID.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from msgspec.structs import replace

from core.domain.address import Address
from core.domain.message import Event
from core.domain.order import OrderCreated
from core.domain.sealed_customer import ERASED, UNREADABLE, customer_of, pseudonym_of

KEY = 32  # bytes
NONCE = 12  # bytes
FORM = "v1:"

_ADDRESS = "OrderCreated.shipping_address"
_REFERENCE = "customer_id"
_EMPTY = r'\s*"(?:street|city|state|zip|country)"\s*:\s*""\s*'
_SEALED = re.compile(
    rb'\{(?:%(empty)s,)*\s*"sealed"\s*:\s*"v1:((?:[A-Za-z0-9+/]{4}){15,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)"\s*(?:,%(empty)s)*\}'
    rb'|"customer_id"\s*:\s*"sealed:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"' % {b"empty": _EMPTY.encode()}
)
_PARTS = ("street", "city", "state", "zip", "country")


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The key of one customer, by whose pseudonym events name them. `reference` is the customer's own, sealed."""

    pseudonym: UUID
    key: bytes
    reference: bytes


def make_key(pseudonym: UUID, customer_id: str) -> SealingKey:
    key = os.urandom(KEY)
    return SealingKey(pseudonym, key, _encrypt(key, customer_id.encode(), pseudonym.bytes, _REFERENCE))


def reference_of(key: SealingKey) -> str:
    """The customer's own reference."""
    return _decrypt(key.key, key.reference, key.pseudonym.bytes, _REFERENCE).decode()


def sealed_event(event: OrderCreated, event_id: UUID, key: SealingKey) -> OrderCreated:
    """The event, with the address and the customer's reference sealed."""
    about = key.pseudonym.bytes + event_id.bytes
    text = msgspec.json.encode(event.shipping_address)
    sealed = base64.b64encode(about + _encrypt(key.key, text, about, _ADDRESS)).decode()
    address = Address(street="", country="", sealed=FORM + sealed)
    return replace(event, customer_id=pseudonym_of(key.pseudonym), shipping_address=address)


def to_seal(event: Event) -> OrderCreated | None:
    """The event, if it bears a customer's name."""
    return event if isinstance(event, OrderCreated) and customer_of(event.customer_id) is None else None


# --- opening ------------------------------------------------------------------------------------------------
def has_sealed(body: bytes) -> bool:
    """Whether there may be something sealed in a JSON text. It is quick, since it is asked for every answer."""
    return b'"sealed' in body


def pseudonyms_in(body: bytes) -> set[UUID]:
    """The pseudonyms of the customers of whom something is sealed in a JSON text."""
    return {_about(found)[0] for found in _SEALED.finditer(body)}


def opened(body: bytes, keys: Mapping[UUID, SealingKey]) -> bytes:
    """The JSON text with everything opened.

    Of a customer whose key is not there it says `erased`, and `unreadable` where the key does not fit.
    """
    return _SEALED.sub(lambda found: _open(found, keys), body)


def _open(found: re.Match[bytes], keys: Mapping[UUID, SealingKey]) -> bytes:
    pseudonym, about, ciphertext = _about(found)
    key, reference = keys.get(pseudonym), found[2] is not None
    word = ERASED if key is None else UNREADABLE
    if key is not None:
        try:
            if reference:
                return b'"customer_id":' + msgspec.json.encode(reference_of(key))
            return _decrypt(key.key, ciphertext, about, _ADDRESS)
        except ValueError:
            pass
    return b'"customer_id":"%b"' % word.encode() if reference else msgspec.json.encode(dict.fromkeys(_PARTS, word))


def _about(found: re.Match[bytes]) -> tuple[UUID, bytes, bytes]:
    """The pseudonym, what the ciphertext is bound to, and the ciphertext."""
    if found[2]:
        return UUID(found[2].decode()), b"", b""
    raw = base64.b64decode(found[1])
    return UUID(bytes=raw[:16]), raw[:32], raw[32:]


# --- the cipher: it is imported only where something is sealed or opened, which most installations never do ----
def _encrypt(key: bytes, text: bytes, about: bytes, field: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as the line above says

    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, text, about + field.encode())


def _decrypt(key: bytes, sealed: bytes, about: bytes, field: str) -> bytes:
    """Raises ValueError if it was sealed with another key, for another event or field, or changed since."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    try:
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], about + field.encode())
    except InvalidTag:
        raise ValueError(f"{field} does not fit its key") from None
