"""What msgspec found wrong is told in words that callers know."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

import pytest

from daemons.command_api.rebuilds import RebuildBody
from daemons.command_api.shapes import AdjustmentBody, CreateOrderBody, ReceiptBody, RefundOrderBody, ShipBody
from daemons.http.bodies import read_body
from daemons.http.problems import RequestRefused
from daemons.http.wording import in_words

DECODER_WORDS = re.compile(r"`|\bgot\b|\b[Ee]xpected|\b(str|int|bool|array|decimal)\b|\$\.")
ITEM = {"product_id": "p", "sku": "S", "quantity": 1, "unit_price": "1.00"}
ADDRESS = {"street": "s", "city": "c", "state": "CA", "zip": "1", "country": "US"}
BODIES: dict[type[Any], dict[str, Any]] = {
    CreateOrderBody: {
        "customer_id": "c", "items": [ITEM], "shipping_address": ADDRESS, "payment_method": "card", "currency": "USD",
    },
    ShipBody: {"tracking_number": "t", "carrier": "c"},
    RefundOrderBody: {"amount": "1", "reason": "r", "currency": "USD", "restock": [{"sku": "S", "quantity": 1}]},
    ReceiptBody: {"quantity": 1, "product_id": "p", "name": "n"},
    AdjustmentBody: {"quantity": 1, "reason": "r"},
}  # fmt: skip
VALUES = (
    "null",
    "true",
    "1",
    "1.5",
    '"x"',
    "[]",
    "{}",
    "-1",
    "1e999",
    '"1e5"',
    "NaN",
    '""',
    "[1]",
    '"\\ud800"',
    "9" * 50,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, each in inside for place in places(each, (*path, name)))]


def with_value(body: Any, path: tuple[Any, ...], raw: str) -> bytes:
    copied = {"all": json.loads(json.dumps(body))}
    parent, *rest = copied, *("all", *path)
    for name in rest[:-1]:
        parent = parent[name]
    parent[rest[-1]] = "@@@"
    return json.dumps(copied["all"]).replace('"@@@"', raw).encode()


def told(kind: type[Any], raw: bytes) -> list[str]:
    try:
        read_body(kind, raw, "application/json")
    except RequestRefused as refused:
        return [str(refused), *(wrong.message for wrong in refused.fields)]
    return []


def test_a_value_that_is_none_of_those_allowed_is_answered_with_all_of_them() -> None:
    wrong = told(RebuildBody, b'{"group": "orders", "check": "ALL"}')
    assert "must be one of sample, all" in wrong


def test_no_value_in_any_field_of_any_body_is_answered_in_the_words_of_the_decoder() -> None:
    sentences = [
        sentence
        for kind, body in BODIES.items()
        for path, raw in product(places(body), VALUES)
        for sentence in told(kind, with_value(body, path, raw))
    ]
    sentences += [s for raw in (b"", b"{", b"{'a':1}", b"\xff", b'{"a":1,}', b"[" * 9) for s in told(ShipBody, raw)]
    assert len(sentences) > 300
    assert [sentence for sentence in sentences if DECODER_WORDS.search(sentence)] == []


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\xef\xbb\xbf{}", "it begins with a byte-order mark"),
        ("{}".encode("utf-16"), "it is UTF-16 or UTF-32, and has to be UTF-8"),
        ("{}".encode("utf-16-be"), "it is UTF-16 or UTF-32, and has to be UTF-8"),
        ("{}".encode("utf-32"), "it is UTF-16 or UTF-32, and has to be UTF-8"),
        (b'{"carrier": "\xff\xfe"}', "it is not UTF-8 (byte 13)"),
        (b'{"carrier": "\xed\xa0\x80"}', "it is not UTF-8 (byte 13)"),
        (rb'{"a": "\ud83d\ude00 \ud800"}', r"\ud800 is half of a character, and its other half is missing (byte 20)"),
        (rb'{"a": "\\ud800 \udc00\ud800"}', r"\udc00 is half of a character, and its other half is missing (byte 15)"),
        (rb'{"\ud800": 1}', r"\ud800 is half of a character, and its other half is missing (byte 2)"),
        (b'{"a": "', "it ends too early"),
        (b"{}\0", "trailing characters (byte 3)"),
    ],
)
def test_a_body_in_another_encoding_or_with_half_a_character_is_told_what_is_wrong_and_where(
    raw: bytes, why: str
) -> None:
    assert told(ShipBody, raw)[1:] == [f"is not valid JSON: {why}"]


@pytest.mark.parametrize(
    "type_", ["application/json;charset=UTF-8", 'Application/JSON ; Charset="utf-8"; x="a;charset=b"']
)
def test_a_content_type_may_say_that_json_is_utf_8(type_: str) -> None:
    assert read_body(ShipBody, b'{"tracking_number": "t", "carrier": "c"}', type_).value.carrier == "c"


@pytest.mark.parametrize("charset", ["latin1", '"utf-16"', "utf-8; charset=us-ascii", "", "utf-8" + " " * 200])
def test_a_content_type_with_another_charset_is_refused(charset: str) -> None:
    with pytest.raises(RequestRefused, match=r"^the Content-Type must ") as refused:
        read_body(ShipBody, b'{"tracking_number": "t", "carrier": "c"}', f"application/json; charset={charset}")
    assert refused.value.status == 415


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("Expected `int`, got `str`", "must be a whole number, not a text"),
        ("Expected `int`, got `decimal`", "must be a whole number"),
        ("Expected `str | null`, got `array`", "must be a text or null, not a list"),
        ("Expected `int` >= 1", "must be at least 1"),
        ("Expected `str` of length <= 5", "must be at most 5 long"),
        ("Invalid decimal string", "must be a number, as in 12.50"),
        ("Object missing required field `a`", "is required"),
        ("JSON is malformed: trailing comma in object (byte 3)", "trailing comma in object (byte 3)"),
        ("Something new", "something new"),
    ],
)
def test_a_message_of_the_decoder_becomes_a_sentence(message: str, sentence: str) -> None:
    assert in_words(message) == sentence


def test_a_value_in_a_url_is_not_told_that_it_is_a_text() -> None:
    assert in_words("Expected `int`, got `str`", of_text=True) == "must be a whole number"
