"""Requests that no command API may accept: a table of what is wrong with each, and what names it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.command_api import ITEM, ORDER, SHIPMENT

JSON = {"Content-Type": "application/json"}
HOLE = '"<here>"'
RECEIPT = {"quantity": 1, "product_id": "p-1", "name": "A thing"}
REASON = {"reason": "changed my mind"}
CREATE, CANCEL, SHIP, RECEIVE = (
    ("POST", "/api/v1/orders"),
    ("PUT", "/api/v1/orders/{created}/cancel"),
    ("PUT", "/api/v1/orders/{fulfilled}/ship"),
    ("POST", "/api/v1/inventory/SKU-1/receipts"),
)
WITH_BODY = {CREATE: ORDER, CANCEL: REASON, SHIP: SHIPMENT, RECEIVE: RECEIPT}


@dataclass(frozen=True)
class Wrong:
    """`path` may hold {created} and {fulfilled}: an order each. `chunked`: sent without a length."""

    name: str
    to: tuple[str, str]
    content: bytes = b""
    headers: dict[Any, Any] = field(default_factory=lambda: dict(JSON))
    status: int = 400
    code: str = "validation_failed"
    fields: tuple[str, ...] = ()
    chunked: bool = False

    def __str__(self) -> str:
        return f"{self.to[0]} {self.to[1].rsplit('/', 1)[1]} {self.name}"[:100]


# --- one wrong field in an otherwise right body -------------------------------------------------------------
NO_TEXT = ["null", "1", "true", "1.5", "[]", "{}", '["x"]', "NaN"]
UNREADABLE = [
    '""',
    '" "',
    r'"\u200b"',
    r'"a\u0000b"',
    r'"\u001f"',
    r'"\u2028"',
    r'"\u0085"',
    r'"a\u202eb"',
    r'"a\ufeff"',
    r'"\ue000"',
    r'"a\udb40\udc41"',
]
NO_JSON_TEXT = [r'"\ud800"', r'"\udc00x"', r'"\ud800\ud800"', '"a\tb"', r'"\x"', r'"\u12"', '"']
NO_UTF8 = [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc3"', b'"\xc0\x80"', b'"\xf5\x80\x80\x80"', b'"\xe2\x82"']
NO_QUANTITY = [
    "null", "true", '"1"', "[1]", "{}", "0", "-1", "-0", "1.5", "1e2", "1e400", "-1e400", "1e999999999",
    "1e99999999999999999999", "2147483648", "9223372036854775808", "18446744073709551616", "1" + "0" * 30,
]  # fmt: skip
NO_PRICE = [
    '"1_0"', '" 5"', '"\u0663"',
    "null", "true", '"abc"', '""', '"1,00"', '"0x10"', '"$1"', "[1]", "{}", "0", "-1", "-0", "-0.0", "0.009", "1.001",
    '"0.001"', "1e400", "-1e400", "1e-400", "1e999999999", "1e-999999999", "1e99999999999999999999",
    "1e-99999999999999999999", "10000000000", "9" * 40, "9" * 5_000 + ".5", '"NaN"', '"sNaN"', '"Infinity"',
    '"-Infinity"', '"1e400"', '"1e99999999999999999999"', "1." + "0" * 400 + "1",
]  # fmt: skip
NO_NUMBER = ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1_0", "1e", "--1", "1" + "0" * 5_000]
TEXTS = {
    CREATE: {
        "customer_id": 101, "items[0].product_id": 101, "items[0].sku": 41_000, "shipping_address.street": 201,
        "shipping_address.city": 101, "shipping_address.state": 101, "shipping_address.zip": 21,
        "shipping_address.country": 3, "payment_method": 41, "currency": 4,
    },
    CANCEL: {"reason": 501},
    SHIP: {"tracking_number": 101, "carrier": 101},
    RECEIVE: {"product_id": 101, "name": 201},
}  # fmt: skip
OPTIONAL = {"payment_method", "currency", "product_id", "name"}
OWN_KINDS = [  # texts that are more than texts
    ("items[0].sku", '"-A"'), ("items[0].sku", '"A B"'), ("items[0].sku", '"A/B"'),
    ("items[0].sku", '"\U0001f4bb"'), ("items[0].sku", '"\u0301a"'),
    ("shipping_address.country", '"U1"'), ("shipping_address.country", '"U"'),
    ("shipping_address.country", '"\u00dcS"'), ("shipping_address.country", '"ZZ"'),
    ("shipping_address.country", '"UK"'), ("shipping_address.country", '"USA"'),
    ("payment_method", '"Card"'), ("payment_method", '"a-b"'), ("currency", '"us"'), ("currency", '"XAU"'),
    ("currency", '"XXX"'), ("items", "[]"), ("items", "null"), ("items", "{}"), ("items", '"x"'),
    ("items[0]", "null"), ("items[0]", "[]"), ("items[0]", '"x"'), ("shipping_address", "null"),
    ("shipping_address", "[]"), ("shipping_address", '"1 Market St"'), ("items", json.dumps([ITEM] * 201)),
    ("items", json.dumps([{**ITEM, "quantity": 1_000_000, "unit_price": "9999999999.99"}])),
]  # fmt: skip


def fields() -> Iterator[Wrong]:
    for to, texts in TEXTS.items():
        for place, limit in texts.items():
            bad = [*NO_TEXT[:-1], *UNREADABLE, json.dumps("x" * limit)]
            for value in bad if place not in {"product_id", "name"} else bad[1:]:
                named = "payment_method.type" if (place, value) == ("payment_method", "{}") else place
                yield Wrong(f"{place}={shown(value)}", to, at(to, place, value), fields=(named,))
            if place not in OPTIONAL:
                yield Wrong(f"no {place}", to, without(to, place), fields=(place,))
        place = next(iter(texts))
        for value in [*NO_JSON_TEXT, *NO_UTF8]:
            yield Wrong(f"{place}={shown(value)}", to, at(to, place, value), fields=("body",))
    for to, place, values in (
        (CREATE, "items[0].quantity", [*NO_QUANTITY, "1000001"]),
        (CREATE, "items[0].unit_price", NO_PRICE),
        (RECEIVE, "quantity", [*NO_QUANTITY, "1000000001"]),
    ):
        for value in values:
            yield Wrong(f"{place}={shown(value)}", to, at(to, place, value), fields=(place,))
        for value in NO_NUMBER:
            yield Wrong(f"{place}={shown(value)}", to, at(to, place, value), fields=("body",))
        yield Wrong(f"no {place}", to, without(to, place), fields=(place,))
    for place, value in OWN_KINDS:
        yield Wrong(f"{place}={shown(value)}", CREATE, at(CREATE, place, value), fields=(place,))


def at(to: tuple[str, str], place: str, value: str | bytes) -> bytes:
    """The right body but for one place, where there is this text."""
    value = value.encode() if isinstance(value, str) else value
    return json.dumps(_with(WITH_BODY[to], place)).encode().replace(HOLE.encode(), value)


def without(to: tuple[str, str], place: str) -> bytes:
    name = place.rpartition(".")[2]
    return json.dumps(_with(WITH_BODY[to], place)).encode().replace(f'"{name}": {HOLE}'.encode(), b'"_": 0')


def _with(value: Any, place: str) -> Any:
    if not place:
        return json.loads(HOLE)
    if isinstance(value, list):
        return [_with(value[0], place.removeprefix("[0]").removeprefix(".")), *value[1:]]
    name, dot, rest = place.partition(".")
    if name.endswith("[0]"):
        name, rest = name.removesuffix("[0]"), f"[0]{dot}{rest}"
    return {**value, name: _with(value.get(name), rest)}


def shown(value: str | bytes) -> str:
    text = value if isinstance(value, str) else repr(value)[1:]
    return text if len(text) < 30 else f"{text[:12]}… {len(text)} characters"


# --- whole bodies -------------------------------------------------------------------------------------------
def deep(opening: str, closing: str, around: str = "%s") -> bytes:
    return (around % (opening * 10_000 + "1" + closing * 10_000)).encode()


NO_DOCUMENT = {
    "nothing": b"", "blank": b"  \n", "open": b"{", "close": b"}", "name only": b'{"a"}', "single quotes": b"{'a':1}",
    "comma": b'{"a":1,}', "comment": b"{}//", "two": b"{}{}", "BOM": b"\xef\xbb\xbf{}", "NUL": b"{}\x00",
    "UTF-16": '{"a":1}'.encode("utf-16"), "UTF-32": '{"a":1}'.encode("utf-32"), "gzip": b"\x1f\x8b\x08\x00\x00",
    "NaN": b"NaN", "deep lists": deep("[", "]"), "deep objects": deep('{"a":', "}"), "open lists": b"[" * 100_000,
    "deep and unknown": deep("[", "]", '{"a":%s}'), "form": b"reason=x&quantity=1",
    "a number of 5000 digits": b'{"a":1' + b"0" * 5_000 + b"}",
}  # fmt: skip
NO_OBJECT = {"null": b"null", "list": b"[]", "number": b"1", "text": b'"x"', "true": b"true", "lists": b"[[],[]]"}
NO_JSON_TYPES = ["", "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded",
                 "multipart/form-data; boundary=x", "application/json-seq", "application", "*/*",
                 "application/json, application/json", "application/json; charset=latin1",
                 "application/json;Charset=utf-16", "application/json; charset=utf-8; charset=us-ascii",
                 "application/json; charset*=utf-8''latin1", "application/json; charset"]  # fmt: skip
TOO_LARGE = {"status": 413, "code": "request_entity_too_large"}
NO_TYPE = {"status": 415, "code": "unsupported_media_type"}


def documents() -> Iterator[Wrong]:
    for to, body in WITH_BODY.items():
        right = json.dumps(body).encode()
        for name, content in {**NO_DOCUMENT, **NO_OBJECT}.items():
            yield Wrong(name, to, content, fields=("body",))
        yield Wrong("chunks of no JSON", to, b"{" * 1_000, fields=("body",), chunked=True)
        yield Wrong("2 MiB", to, right + b" " * (2 << 20), **TOO_LARGE)
        yield Wrong("2 MiB in chunks", to, right + b" " * (2 << 20), chunked=True, **TOO_LARGE)
        yield Wrong("no type", to, right, headers={}, **NO_TYPE)
        for kind in NO_JSON_TYPES:
            yield Wrong(f"type {kind}", to, right, headers={"Content-Type": kind}, **NO_TYPE)
    deep_place = at(CREATE, "items", deep("[", "]"))
    yield Wrong("deep items", CREATE, deep_place, fields=("body",))


# --- paths and headers --------------------------------------------------------------------------------------
UUID_ = "018f0000-0000-7000-8000-000000000001"
NO_UUIDS = ["17", "x" * 36, UUID_[:-1], UUID_ + "1", UUID_.replace("-", ""), "{{" + UUID_ + "}}", "urn:uuid:" + UUID_,
            UUID_ + "%00", UUID_ + "%0a", "%20" + UUID_, "%D9%A1" + UUID_[1:], "null", "-1", "x" * 4_100,
            "%EF%BB%BF" + UUID_, "0" * 36, UUID_ + "%2F", "a%2F" + UUID_]  # fmt: skip
NO_SKUS = ["%00", "A%00", "%20", "-A", "A%20B", "%F0%9F%92%BB", "x" * 65, "x" * 4_100, "A%0d%0aB",
           "A%0a", "A%2FB", "%2f", "%25", "A%3Fb"]  # fmt: skip
NO_UTF8_PATHS = ["%ff", "%ff%fe", "%C0%AF", "%ED%A0%80", "A%e2%82"]
NO_PLACES = [
    ("PUT", "/api/v1/orders//confirm"),
    ("POST", "/api/v1/inventory//receipts"), ("PUT", f"/api/v1/orders/{UUID_}/return"), ("POST", "/api/v2/orders"),
    ("POST", "/API/V1/ORDERS"),
]  # fmt: skip
NO_KEYS = [
    b"",
    b'""',
    b"a b",
    b"k" * 256,
    b'"' + b"k" * 256 + b'"',
    "k\u00fc".encode(),
    b"k\xfc",
    b"\x80",
    b"k" * 9_000,
]
NO_VERSIONS = [b"", b"1", b'"1', b'W/"1"', b'"1", "2"', b'"-1"', b'"1.0"', b'"1e3"', b'"99999999999999999999"', b'"x"',
               b'""', b'"*"', b"**", "\u0661".encode(), b'"\xb2"', b'"' + b"1" * 9_000 + b'"']  # fmt: skip
NO_NAMES = [b"x" * 201, "a\u0085b".encode(), "\u200b".encode(), "\u2028".encode(), b"x" * 9_000]


def places() -> Iterator[Wrong]:
    for verb, body in (("confirm", None), ("cancel", REASON), ("ship", SHIPMENT), ("deliver", None)):
        content = json.dumps(body).encode() if body else b""
        for wrong in NO_UUIDS:
            yield Wrong(shown(wrong), ("PUT", f"/api/v1/orders/{wrong}/{verb}"), content, fields=("order_id",))
    for wrong in NO_SKUS:
        to = ("POST", f"/api/v1/inventory/{wrong}/receipts")
        yield Wrong(shown(wrong), to, json.dumps(RECEIPT).encode(), fields=("sku",))
    for wrong in NO_UTF8_PATHS:
        for method, path in (
            ("PUT", f"/api/v1/orders/{wrong}/confirm"),
            ("POST", f"/api/v1/inventory/{wrong}/receipts"),
        ):
            yield Wrong(wrong, (method, path), json.dumps(RECEIPT).encode(), fields=("path",))
    for to in NO_PLACES:
        yield Wrong(to[1], to, json.dumps(ORDER).encode(), status=404, code="not_found")
    for method in ("GET", "POST", "PATCH", "DELETE"):
        to = (method, "/api/v1/orders/{created}/confirm")
        yield Wrong(method, to, status=405, code="method_not_allowed")


def terms() -> Iterator[Wrong]:
    for to in (*WITH_BODY, ("PUT", "/api/v1/orders/{created}/confirm")):
        content = json.dumps(WITH_BODY.get(to, {})).encode()
        for name, values in (
            ("Idempotency-Key", NO_KEYS), ("If-Match", NO_VERSIONS),
            ("Orderdeck-Actor", NO_NAMES), ("X-Request-Id", NO_NAMES),
        ):  # fmt: skip
            for value in values:
                headers = {b"Content-Type": b"application/json", name.encode(): value}
                yield Wrong(f"{name}: {shown(value)}", to, content, headers, fields=(name,))
        for query, place in (("dryrun=true", "dryrun"), ("dry_run=maybe", "dry_run"), ("a%00=1", "a\x00")):
            yield Wrong(query, (to[0], f"{to[1]}?{query}"), content, fields=(place,))


def everything() -> Iterable[Wrong]:
    yield from fields()
    yield from documents()
    yield from places()
    yield from terms()
