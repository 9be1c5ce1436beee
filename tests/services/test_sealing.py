"""What is sealed can be read with its key alone, for its own event and field, and a text cannot pass for it."""

from __future__ import annotations

import base64
from uuid import UUID, uuid4

import msgspec
import pytest
from uuid_utils.compat import uuid7

from core import codec
from core.domain.order import OrderCreated
from core.sealing import has_sealed, make_key, opened, pseudonyms_in, reference_of, sealed_event
from tests.support.samples import created

EVENT_ID = UUID(bytes=uuid7().bytes)
KEY = make_key(uuid4(), created.customer_id)
SEALED = codec.encode(sealed_event(created, EVENT_ID, KEY))


def read(payload: bytes) -> OrderCreated:
    [event] = codec.decode("OrderCreated", OrderCreated.schema_version, payload)
    assert isinstance(event, OrderCreated)
    return event


@pytest.mark.parametrize("indent", [-1, 0, 2])
def test_what_is_sealed_is_opened_however_its_json_is_written(indent: int) -> None:
    body = msgspec.json.format(SEALED, indent=indent)
    assert has_sealed(body)
    assert pseudonyms_in(body) == {KEY.pseudonym}
    assert read(opened(body, {KEY.pseudonym: KEY})) == created
    for part in (created.customer_id, created.shipping_address.street, created.shipping_address.city):
        assert part.encode() not in body


def test_without_its_key_it_is_erased_and_with_another_one_unreadable() -> None:
    erased = read(opened(SEALED, {}))
    assert {erased.customer_id, erased.shipping_address.street, erased.shipping_address.country} == {"erased"}
    other = read(opened(SEALED, {KEY.pseudonym: make_key(KEY.pseudonym, "another")}))
    assert other.shipping_address.street == "unreadable"


def test_what_is_moved_to_another_event_or_changed_is_unreadable() -> None:
    token = read(SEALED).shipping_address.sealed
    raw = bytearray(base64.b64decode(token.removeprefix("v1:")))
    for place in (16, 40, len(raw) - 1):  # the event's id, the nonce, the tag
        changed = bytearray(raw)
        changed[place] ^= 1
        body = SEALED.replace(token.encode(), b"v1:" + base64.b64encode(changed))
        assert read(opened(body, {KEY.pseudonym: KEY})).shipping_address.street == "unreadable"


def test_a_text_of_a_caller_is_never_taken_for_something_sealed() -> None:
    text = SEALED.decode()
    body = codec.json({"reason": text, "tracking_number": f"sealed:{KEY.pseudonym}", "sealed": "v1:AAAA"})
    assert opened(body, {KEY.pseudonym: KEY}) == body
    assert pseudonyms_in(body) == set()


def test_each_sealing_differs_and_the_reference_is_sealed_with_the_key() -> None:
    again = sealed_event(created, EVENT_ID, KEY)
    assert again.shipping_address != read(SEALED).shipping_address
    assert reference_of(KEY) == created.customer_id
    assert created.customer_id.encode() not in KEY.reference
