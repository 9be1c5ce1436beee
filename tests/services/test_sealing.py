"""What is sealed can be read with its key alone, for its own event and field, and a text cannot pass for it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec.structs import replace
from uuid_utils.compat import uuid7

from core import codec
from core.domain.address import Address
from core.domain.message import OrderId
from core.domain.order import OrderCreated
from core.domain.payment_method import PaymentMethod
from core.sealing import SealingKey, _encrypt, find_sealed, has_sealed, make_key, opened, reference_of, sealed_event
from tests.support.samples import created as plain

EVENT_ID = UUID(bytes=uuid7().bytes)
LABEL = 'Visa of "Mila" ending in 4242'
created = replace(plain, payment_method=PaymentMethod(type="card", label=LABEL))
KEY = make_key(uuid4(), created.customer_id)
SEALED = codec.encode(sealed_event(created, EVENT_ID, KEY))


def read_with(body: bytes, keys: Mapping[UUID, SealingKey]) -> bytes:
    return opened(body, find_sealed(body), keys)


def read(payload: bytes) -> OrderCreated:
    [event] = codec.decode("OrderCreated", OrderCreated.schema_version, payload)
    assert isinstance(event, OrderCreated)
    return event


@pytest.mark.parametrize("indent", [-1, 0, 2])
def test_what_is_sealed_is_opened_however_its_json_is_written(indent: int) -> None:
    body = msgspec.json.format(SEALED, indent=indent)
    assert has_sealed(body)
    assert {one.pseudonym for one in find_sealed(body)} == {KEY.pseudonym}
    assert read(read_with(body, {KEY.pseudonym: KEY})) == created
    for part in (created.customer_id, created.shipping_address.street, created.shipping_address.city, "Mila"):
        assert part.encode() not in body


def test_without_its_key_it_is_erased_and_with_another_one_unreadable() -> None:
    erased = read(read_with(SEALED, {}))
    assert {erased.customer_id, erased.shipping_address.street, erased.shipping_address.country} == {"erased"}
    assert erased.payment_method == PaymentMethod(type="card", label="erased")
    other = read(read_with(SEALED, {KEY.pseudonym: make_key(KEY.pseudonym, "another")}))
    assert (other.shipping_address.street, other.payment_method.label) == ("unreadable", "unreadable")


@pytest.mark.parametrize("place", [16, 32, 50, -1])  # the ids of the order and the event, the nonce, the tag
def test_what_is_changed_is_unreadable(place: int) -> None:
    sealed = read(SEALED)
    for token in (sealed.shipping_address.sealed, sealed.payment_method.label.removeprefix("sealed:")):
        raw = bytearray(base64.b64decode(token.removeprefix("v2:")))
        raw[place] ^= 1
        body = SEALED.replace(token.encode(), b"v2:" + base64.b64encode(raw))
        event = read(read_with(body, {KEY.pseudonym: KEY}))
        assert (event.shipping_address.street, event.payment_method.label).count("unreadable") == 1


def test_what_is_copied_whole_into_another_order_event_or_field_does_not_open_there() -> None:
    """The key is the right one each time, as when an order of the same customer gets the address of an earlier one."""
    keys, sealed = {KEY.pseudonym: KEY}, read(SEALED)
    other_order = codec.encode(replace(sealed, order_id=OrderId(uuid4())))
    beside_it = b"[%b,%b,%b]" % (SEALED, other_order, SEALED)
    streets = [one["shipping_address"]["street"] for one in codec.parse(read_with(beside_it, keys))]
    assert streets == [created.shipping_address.street, "unreadable", created.shipping_address.street]
    for event_id, street in ((EVENT_ID, created.shipping_address.street), (uuid4(), "unreadable")):
        envelope = b'{"event_id":"%b","payload":%b}' % (str(event_id).encode(), SEALED)
        assert codec.parse(read_with(envelope, keys))["payload"]["shipping_address"]["street"] == street
    token = sealed.shipping_address.sealed
    moved = codec.encode(replace(sealed, payment_method=PaymentMethod(type="card", label=f"sealed:{token}")))
    assert read(read_with(moved, keys)).payment_method.label == "unreadable"
    without_order = msgspec.json.encode(sealed.shipping_address)
    assert codec.parse(read_with(without_order, keys))["street"] == "unreadable"


def test_an_address_that_was_sealed_by_its_event_alone_is_still_read() -> None:
    """As releases did that sealed as v1."""
    bound_to = KEY.pseudonym.bytes + EVENT_ID.bytes
    text = msgspec.json.encode(created.shipping_address)
    sealed = _encrypt(KEY.key, text, bound_to, "OrderCreated.shipping_address")
    address = Address(street="", country="", sealed="v1:" + base64.b64encode(bound_to + sealed).decode())
    body = codec.encode(replace(created, shipping_address=address))
    assert {one.pseudonym for one in find_sealed(body)} == {KEY.pseudonym}
    assert read(read_with(body, {KEY.pseudonym: KEY})) == created
    elsewhere = b'{"event_id":"%b","payload":%b}' % (str(uuid4()).encode(), body)
    assert b'"street":"unreadable"' in read_with(elsewhere, {KEY.pseudonym: KEY})


def test_a_text_of_a_caller_is_never_taken_for_something_sealed() -> None:
    text = SEALED.decode()
    body = codec.json({"reason": text, "tracking_number": f"sealed:{KEY.pseudonym}", "sealed": "v2:AAAA"})
    assert read_with(body, {KEY.pseudonym: KEY}) == body
    assert find_sealed(body) == []


def test_each_sealing_differs_and_the_reference_is_sealed_with_the_key() -> None:
    again = sealed_event(created, EVENT_ID, KEY)
    assert again.shipping_address != read(SEALED).shipping_address
    assert again.payment_method != read(SEALED).payment_method
    assert sealed_event(plain, EVENT_ID, KEY).payment_method == plain.payment_method
    assert reference_of(KEY) == created.customer_id
    assert created.customer_id.encode() not in KEY.reference
