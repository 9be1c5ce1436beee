"""Sealing: encrypts what bears a customer's name in an event, with a key of that customer, and opens it in JSON.

A sealed address has nothing but `sealed`: `v2:` and, in base64, the customer's pseudonym, the ids of the order and of
the event, a nonce and the ciphertext of AES-256-GCM, which is bound to all three ids and to the field, so that it opens
in no other order, event or field. A sealed label of a payment method is `sealed:` and the same. Instead of the
customer's reference there is the pseudonym: `sealed:` and a random UUID.

Addresses that were sealed as `v1:` are bound to no order. They still open, unless the event around them is another one.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from msgspec.structs import replace

from core.domain.address import Address
from core.domain.message import Event
from core.domain.order import OrderCreated
from core.domain.sealed_customer import ERASED, PSEUDONYM, UNREADABLE, customer_of, pseudonym_of

KEY = 32  # bytes
NONCE = 12  # bytes
FORM = "v2:"

_ADDRESS = "OrderCreated.shipping_address"
_LABEL = "OrderCreated.payment_method.label"
_REFERENCE = "customer_id"
_UUID = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TOKEN = rb"v[12]:(?:[A-Za-z0-9+/]{4}){25,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_EMPTY = rb'\s*"(?:street|city|state|zip|country)"\s*:\s*""\s*'

# The id before something sealed, in the same object or around it, says where it stands.
_FOUND = re.compile(
    rb'"(?P<name>order_id|event_id)"\s*:\s*"(?P<id>%(uuid)b)"'
    rb'|\{(?:%(empty)b,)*\s*"sealed"\s*:\s*"(?P<address>%(token)b)"\s*(?:,%(empty)b)*\}'
    rb'|"label"\s*:\s*"sealed:(?P<label>%(token)b)"'
    rb'|"customer_id"\s*:\s*"sealed:(?P<customer>%(uuid)b)"' % {b"empty": _EMPTY, b"token": _TOKEN, b"uuid": _UUID}
)
_PARTS = ("street", "city", "state", "zip", "country")


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The key of one customer, by whose pseudonym events name them. `reference` is the customer's own, sealed."""

    pseudonym: UUID
    key: bytes
    reference: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """Something sealed: of which customer, and where it was sealed. `order_id` is None in the form of before."""

    field: str
    pseudonym: UUID
    order_id: UUID | None
    event_id: UUID
    bound_to: bytes
    ciphertext: bytes

    def open(self, key: SealingKey) -> bytes:
        """Raises ValueError if it was sealed with another key, or changed since."""
        return _decrypt(key.key, self.ciphertext, self.bound_to, self.field)

    def stands_in(self, order_id: UUID | None, event_id: UUID | None) -> bool:
        """Whether it was sealed for this order and event, as far as they are known."""
        of_order = self.order_id is None or self.order_id == order_id
        return of_order and event_id in {None, self.event_id}


def make_key(pseudonym: UUID, customer_id: str) -> SealingKey:
    key = os.urandom(KEY)
    return SealingKey(pseudonym, key, _encrypt(key, customer_id.encode(), pseudonym.bytes, _REFERENCE))


def reference_of(key: SealingKey) -> str:
    """The customer's own reference."""
    return _decrypt(key.key, key.reference, key.pseudonym.bytes, _REFERENCE).decode()


def sealed_event(event: OrderCreated, event_id: UUID, key: SealingKey) -> OrderCreated:
    """The event, with the address, the label of the payment method and the customer's reference sealed."""
    bound_to = key.pseudonym.bytes + event.order_id.bytes + event_id.bytes

    def seal(text: bytes, field: str) -> str:
        return FORM + base64.b64encode(bound_to + _encrypt(key.key, text, bound_to, field)).decode()

    address = Address(street="", country="", sealed=seal(msgspec.json.encode(event.shipping_address), _ADDRESS))
    method = event.payment_method
    if method.label:
        method = replace(method, label=PSEUDONYM + seal(method.label.encode(), _LABEL))
    return replace(event, customer_id=pseudonym_of(key.pseudonym), shipping_address=address, payment_method=method)


def to_seal(event: Event) -> OrderCreated | None:
    """The event, if it bears a customer's name."""
    return event if isinstance(event, OrderCreated) and customer_of(event.customer_id) is None else None


def seals_of(event: OrderCreated) -> Iterator[Seal]:
    """All that is sealed in an event, but for the customer's reference. Raises ValueError for what cannot be sealed."""
    if event.shipping_address.sealed:
        yield _seal(_ADDRESS, event.shipping_address.sealed.encode())
    if event.payment_method.label.startswith(PSEUDONYM) and customer_of(event.customer_id):
        yield _seal(_LABEL, event.payment_method.label.removeprefix(PSEUDONYM).encode())


# --- opening ------------------------------------------------------------------------------------------------
def has_sealed(body: bytes) -> bool:
    """Whether there may be something sealed in a JSON text. It is quick, since it is asked for every answer."""
    return b'"sealed' in body


def pseudonyms_in(body: bytes) -> set[UUID]:
    """The pseudonyms of the customers of whom something is sealed in a JSON text."""
    pseudonyms: set[UUID] = set()
    for found in _FOUND.finditer(body):
        if found["customer"]:
            pseudonyms.add(UUID(found["customer"].decode()))
        elif not found["id"]:
            pseudonyms.add(_seal_in(found).pseudonym)
    return pseudonyms


def opened(body: bytes, keys: Mapping[UUID, SealingKey]) -> bytes:
    """The JSON text with everything opened.

    Of a customer whose key is not there it says `erased`, and `unreadable` where the key does not fit, or where
    something stands that was sealed for another order or event.
    """
    return _FOUND.sub(_Opening(keys).replacement, body)


class _Opening:
    """Opens one JSON text from its beginning to its end, and remembers which order and event it is in."""

    def __init__(self, keys: Mapping[UUID, SealingKey]) -> None:
        self._keys = keys
        self._at: dict[str, UUID] = {}

    def replacement(self, found: re.Match[bytes]) -> bytes:
        if found["id"]:
            self._at[found["name"].decode()] = UUID(found["id"].decode())
            return found[0]
        if found["customer"]:
            return b'"customer_id":' + self._reference(UUID(found["customer"].decode()))
        seal = _seal_in(found)
        key = self._keys.get(seal.pseudonym)
        text = self._text(seal, key)
        if found["label"]:
            return b'"label":' + msgspec.json.encode(text.decode() if text else _word(key))
        return text or msgspec.json.encode(dict.fromkeys(_PARTS, _word(key)))

    def _reference(self, pseudonym: UUID) -> bytes:
        key = self._keys.get(pseudonym)
        try:
            return msgspec.json.encode(reference_of(key) if key else ERASED)
        except ValueError:
            return msgspec.json.encode(UNREADABLE)

    def _text(self, seal: Seal, key: SealingKey | None) -> bytes | None:
        if key is None or not seal.stands_in(self._at.get("order_id"), self._at.get("event_id")):
            return None
        try:
            return seal.open(key)
        except ValueError:
            return None


def _word(key: SealingKey | None) -> str:
    """What is shown instead of something sealed."""
    return ERASED if key is None else UNREADABLE


def _seal_in(found: re.Match[bytes]) -> Seal:
    return _seal(_LABEL, found["label"]) if found["label"] else _seal(_ADDRESS, found["address"])


def _seal(field: str, token: bytes) -> Seal:
    """Raises ValueError for what has no seal's form."""
    raw = base64.b64decode(token[len(FORM) :], validate=True)
    ids = {b"v1:": 2, b"v2:": 3}.get(token[: len(FORM)], 0)
    bound_to, ciphertext = raw[: 16 * ids], raw[16 * ids :]
    if not ids or len(ciphertext) <= NONCE:
        raise ValueError(f"{field} has not the form of something sealed")
    pseudonym, *order_id, event_id = (UUID(bytes=bound_to[at : at + 16]) for at in range(0, 16 * ids, 16))
    return Seal(field, pseudonym, order_id[0] if order_id else None, event_id, bound_to, ciphertext)


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
