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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from core.domain.address import Address
from core.domain.message import Event
from core.domain.order import OrderCreated
from core.domain.sealed_customer import ERASED, PSEUDONYM, UNREADABLE, customer_of, pseudonym_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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


class Seal(NamedTuple):
    """Something sealed, and what it is bound to: the customer's pseudonym, the order's id, and that of the event."""

    field: str
    bound_to: bytes
    ciphertext: bytes

    @property
    def pseudonym(self) -> UUID:
        return UUID(bytes=self.bound_to[:16])

    @property
    def order_id(self) -> UUID | None:
        """None in the form of before, which is bound to no order."""
        return UUID(bytes=self.bound_to[16:32]) if len(self.bound_to) == 48 else None

    @property
    def event_id(self) -> UUID:
        return UUID(bytes=self.bound_to[-16:])

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


class SealedText(NamedTuple):
    """Something sealed in a JSON text, from where to where, and of which customer.

    `seal` is None for a customer's reference. `misplaced`: it was sealed for another order or event.
    """

    start: int
    end: int
    pseudonym: UUID
    seal: Seal | None = None
    misplaced: bool = False


def find_sealed(body: bytes) -> Sequence[SealedText]:
    """Everything that is sealed in a JSON text, in its order."""
    all_found: list[SealedText] = []
    order_id: bytes | None = None
    event_id: bytes | None = None
    for found in _FOUND.finditer(body):
        kind = found.lastgroup
        if kind == "id":
            if found["name"] == b"order_id":
                order_id = _bytes_of(found["id"])
            else:
                event_id = _bytes_of(found["id"])
        elif kind == "customer":
            all_found.append(SealedText(*found.span(), UUID(bytes=_bytes_of(found["customer"]))))
        else:
            seal = _seal(_LABEL, found["label"]) if kind == "label" else _seal(_ADDRESS, found["address"])
            bound_to = seal.bound_to
            elsewhere = len(bound_to) == 48 and bound_to[16:32] != order_id
            misplaced = elsewhere or event_id not in {None, bound_to[-16:]}
            all_found.append(SealedText(*found.span(), seal.pseudonym, seal, misplaced))
    return all_found


def opened(body: bytes, all_found: Sequence[SealedText], keys: Mapping[UUID, SealingKey]) -> bytes:
    """The JSON text with everything opened that was found in it.

    Of a customer whose key is not there it says `erased`, and `unreadable` where the key does not fit, or where
    something stands that was sealed for another order or event.
    """
    parts: list[bytes] = []
    end = 0
    for found in all_found:
        parts += (body[end : found.start], _instead(found, keys.get(found.pseudonym)))
        end = found.end
    return b"".join((*parts, body[end:]))


def _instead(found: SealedText, key: SealingKey | None) -> bytes:
    """The JSON text that stands in the place of what was found."""
    seal = found.seal
    if seal is None:
        return b'"customer_id":' + msgspec.json.encode(_reference(key))
    text = None
    if key is not None and not found.misplaced:
        with suppress(ValueError):
            text = seal.open(key)
    if seal.field == _LABEL:
        return b'"label":' + msgspec.json.encode(text.decode() if text else _word(key))
    return text or msgspec.json.encode(dict.fromkeys(_PARTS, _word(key)))


def _reference(key: SealingKey | None) -> str:
    try:
        return reference_of(key) if key else ERASED
    except ValueError:
        return UNREADABLE


def _bytes_of(id_: bytes) -> bytes:
    return bytes.fromhex(id_.replace(b"-", b"").decode())


def _word(key: SealingKey | None) -> str:
    """What is shown instead of something sealed."""
    return ERASED if key is None else UNREADABLE


def _seal(field: str, token: bytes) -> Seal:
    """Raises ValueError for what has no seal's form."""
    raw = base64.b64decode(token[len(FORM) :], validate=True)
    ids = {b"v1:": 2, b"v2:": 3}.get(token[: len(FORM)], 0)
    bound_to, ciphertext = raw[: 16 * ids], raw[16 * ids :]
    if not ids or len(ciphertext) <= NONCE:
        raise ValueError(f"{field} has not the form of something sealed")
    return Seal(field, bound_to, ciphertext)


# --- the cipher: it is imported only where something is sealed or opened, which most installations never do ----
@cache
def _cipher() -> tuple[type[AESGCM], type[Exception]]:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as the line above says
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    return AESGCM, InvalidTag


def _encrypt(key: bytes, text: bytes, about: bytes, field: str) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + _cipher()[0](key).encrypt(nonce, text, about + field.encode())


def _decrypt(key: bytes, sealed: bytes, about: bytes, field: str) -> bytes:
    """Raises ValueError if it was sealed with another key, for another event or field, or changed since."""
    aesgcm, invalid = _cipher()
    try:
        return aesgcm(key).decrypt(sealed[:NONCE], sealed[NONCE:], about + field.encode())
    except invalid:
        raise ValueError(f"{field} does not fit its key") from None
