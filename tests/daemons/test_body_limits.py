"""A body that is refused makes work and an answer that are bounded by its size, whatever is in it."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.errors import FieldError, InvalidInput
from daemons.command_api.shapes import (
    AdjustmentBody,
    CancelBody,
    CreateOrderBody,
    ReasonBody,
    ReceiptBody,
    RefundOrderBody,
    ShipBody,
)
from daemons.http.bodies import read_body
from daemons.http.limits import MOST_LEVELS, MOST_VALUES, TOO_DEEP, TOO_MANY, excess, receive_body
from daemons.http.problems import MOST_ERRORS, RequestRefused, problem_response, wrong_fields
from daemons.payment_sandbox.faults import FaultsBody
from daemons.payment_sandbox.shapes import AuthoriseBody, CaptureBody, RefundBody, VoidBody

BODIES: tuple[type[msgspec.Struct], ...] = (
    CreateOrderBody,
    CancelBody,
    ShipBody,
    ReceiptBody,
    ReasonBody,
    RefundOrderBody,
    AdjustmentBody,
    AuthoriseBody,
    CaptureBody,
    VoidBody,
    RefundBody,
    FaultsBody,
)
JSON = "application/json"
SIZE = 60_000  # bytes, and four times as much
SMALL_WORK = 2_000_000  # bytes of memory that any refusal may take, however small the body is
LARGEST_ANSWER = 16_000  # bytes

HOSTILE: dict[str, Callable[[int], bytes]] = {
    "empty items": lambda n: b'{"items":[' + b"{}," * (n // 3) + b"{}]}",
    "items that are numbers": lambda n: b'{"items":[' + b"1," * (n // 2) + b"1]}",
    "empty objects in an unknown field": lambda n: b'{"x":[' + b"{}," * (n // 3) + b"{}]}",
    "lists within an unknown field": lambda n: b'{"x":{"y":[' + b"[]," * (n // 3) + b"[]]}}",
    "many names": lambda n: b"{" + b",".join(b'"%x":0' % k for k in range(n // 10)) + b"}",
    "many names in an item": lambda n: b'{"items":[{' + b",".join(b'"%x":0' % k for k in range(n // 10)) + b"}]}",
    "names within an unknown field": lambda n: b'{"x":{' + b",".join(b'"%x":0' % k for k in range(n // 10)) + b"}}",
    "one name over and over": lambda n: b"{" + b'"a":0,' * (n // 6) + b'"a":0}',
    "one long name": lambda n: b'{"' + b"n" * n + b'":0}',
    "hundreds of long names": lambda n: (
        b"{" + b",".join(b'"%03d%s":0' % (k, b"n" * (n // 400)) for k in range(400)) + b"}"
    ),
    "long names that are alike": lambda n: b"{" + b",".join(b'"currenc%057d":0' % k for k in range(n // 70)) + b"}",
    "one long text": lambda n: b'{"customer_id":"' + b"x" * n + b'","reason":"' + b"x" * n + b'"}',
    "a text of marks": lambda n: b'{"reason":"e' + "\u0301\u0323".encode() * (n // 4) + b'"}',
    "a text of escapes": lambda n: b'{"reason":"' + b"\\u0301" * (n // 6) + b'"}',
    "a text of quotes": lambda n: b'{"reason":"' + b'\\",{[' * (n // 5) + b'"}',
    "quotes alone": lambda n: b'"' * n,
    "quotes and commas": lambda n: b'",' * (n // 2),
    "backslashes": lambda n: b'{"a":"' + b"\\" * n + b',"}' + b"," * n,
    "deep lists": lambda n: b"[" * n,
    "deep lists that end": lambda n: b'{"x":' + b"[" * (n // 2) + b"]" * (n // 2) + b"}",
    "deep objects": lambda n: b'{"a":' * (n // 5),
    "colons": lambda n: b'{"a":"' + b":" * n + b'"}',
    "a long number": lambda n: b'{"quantity":' + b"9" * n + b"}",
    "a long fraction": lambda n: b'{"amount":0.' + b"9" * n + b',"items":[{"unit_price":0.' + b"9" * n + b"}]}",
    "a long amount as text": lambda n: b'{"amount":"' + b"9" * n + b'"}',
    "an exponent": lambda n: b'{"amount":1e' + b"9" * n + b"}",
    "blanks": lambda n: b" " * n,
    "items of an order, each wrong": lambda n: (
        b'{"customer_id":"","items":[' + b",".join([b'{"sku":"","qty":1}'] * min(n // 20, 900)) + b"]}"
    ),
}  # fmt: skip


def refusal(kind: type[msgspec.Struct], raw: bytes) -> RequestRefused | None:
    try:
        checked: Any = read_body(kind, raw, JSON).value
    except RequestRefused as refused:
        return refused
    return checked and None


def seconds(raw: bytes) -> float:
    """The shortest of two runs over every body type: what else the machine does makes a run longer, never shorter."""

    def run() -> float:
        began = time.process_time()
        for kind in BODIES:
            refusal(kind, raw)
        return time.process_time() - began

    return min(run() for _ in range(2))


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_four_times_the_body_takes_about_four_times_the_work_and_a_small_answer(make: Callable[[int], bytes]) -> None:
    small, large = make(SIZE), make(4 * SIZE)
    assert seconds(large) < 10 * seconds(small) + 0.05  # with quadratic work it would be 16 times as much
    for kind in BODIES:
        tracemalloc.start()
        refused = refusal(kind, large)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < max(12 * len(large), SMALL_WORK), f"{kind.__name__} took {peak / len(large):.0f} times the body"
        if refused is not None:
            assert len(problem_response(refused).content) < LARGEST_ANSWER
            assert len(str(refused)) < 3 * len(large)


def test_an_order_of_the_most_items_with_commas_and_brackets_in_its_texts_has_not_too_many_values() -> None:
    item = {"product_id": '{["\\,"]}' * 12, "sku": "SKU", "quantity": 1, "unit_price": "1.00", "tax": [1, 2, 3]}
    address = {"street": "[" * 200, "city": "{,}" * 30, "state": "CA", "zip": "9", "country": "US"}
    raw = msgspec.json.encode({"customer_id": "\\" * 100, "items": [item] * 200, "shipping_address": address})
    body = read_body(CreateOrderBody, raw, JSON)
    assert len(body.value.items) == 200
    assert len(body.ignored) == 200


def test_one_value_too_many_is_too_many() -> None:
    assert excess(b'{"x":[' + b"0," * (MOST_VALUES - 2) + b"0]}") is None
    assert excess(b'{"x":[' + b"0," * (MOST_VALUES - 1) + b"0]}") == TOO_MANY


DEEP: dict[str, Callable[[int], bytes]] = {
    "lists": lambda n: b"[" * n + b"]" * n,
    "objects": lambda n: b'{"a":' * n + b"0" + b"}" * n,
    "lists in a field": lambda n: b'{"reason":' + b"[" * (n - 1) + b"]" * (n - 1) + b"}",
    "lists in an unknown field": lambda n: b'{"reason":"r","x":' + b"[" * (n - 1) + b"]" * (n - 1) + b"}",
    "lists in the list of items": lambda n: b'{"items":' + b"[" * (n - 1) + b"]" * (n - 1) + b"}",
    "lists and objects by turns": lambda n: b'[{"a":' * (n // 2) + b"[" * (n % 2) + b"]" * (n % 2) + b"}]" * (n // 2),
    "lists after texts with brackets": lambda n: b'["]]]]\\"]]","}\\\\",' + b"[" * (n - 1) + b"]" * n,
    "lists after a colon within a text": lambda n: b'{"a":":","x":' + b"[" * (n - 1) + b"]" * (n - 1) + b"}",
    "a name twice, and lists": lambda n: b'{"a":0,"a":' + b"[" * (n - 1) + b"]" * (n - 1) + b"}",
    "lists that do not end": lambda n: b"[" * n,
}  # fmt: skip


@pytest.mark.parametrize("make", DEEP.values(), ids=DEEP.keys())
def test_a_body_is_refused_at_any_depth_beyond_the_limit_and_only_there_for_its_depth(
    make: Callable[[int], bytes],
) -> None:
    for depth in (MOST_LEVELS + 1, 300, 500, 700, 900, 980, 1_000, 1_100, 2_400):
        for kind in BODIES:
            refused = refusal(kind, make(depth))
            assert refused is not None, (kind, depth)
            assert (refused.status, str(refused)) == (400, f"body: {TOO_DEEP}"), (kind, depth)
    for kind in BODIES:
        assert TOO_DEEP not in str(refusal(kind, make(MOST_LEVELS)))


def test_at_most_20_errors_are_listed_and_the_sentence_says_how_many_more_there_are() -> None:
    for refused in (
        wrong_fields(*(FieldError(f"items[{n}].sku", "is required") for n in range(50))),
        InvalidInput([FieldError(f"items[{n}].sku", "is required") for n in range(50)]),
    ):
        assert str(refused).startswith("items[0].sku: is required; items[1].sku: is required; ")
        assert str(refused).endswith("; and 47 more")
    answer = msgspec.json.decode(
        problem_response(wrong_fields(*(FieldError("x" * 999, "y" * 9_999) for _ in "z" * 50))).content
    )
    assert len(answer["errors"]) == MOST_ERRORS == 20
    assert len(msgspec.json.encode(answer)) < 30_000


async def test_a_body_in_a_million_chunks_is_read_in_a_time_that_grows_with_its_size() -> None:
    async def read(size: int) -> float:
        left = size

        async def receive() -> dict[str, Any]:
            nonlocal left
            left -= 1
            return {"type": "http.request", "body": b"x", "more_body": left > 0}

        began = time.process_time()
        assert await receive_body(receive, 1 << 20) == b"x" * size
        return time.process_time() - began

    assert await read(200_000) < 10 * await read(50_000) + 0.05
    with pytest.raises(RequestRefused) as too_large:
        await read((1 << 20) + 1)
    assert too_large.value.status == 413
