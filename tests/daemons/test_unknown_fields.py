"""A field that nobody knows is reported; one that resembles a known field is refused, since it was probably meant."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from daemons.command_api.keys import KeyBody
from daemons.command_api.shapes import CancelBody, CreateOrderBody, ReceiptBody, RefundOrderBody
from daemons.http.bodies import Body, read_body
from daemons.http.problems import RequestRefused
from daemons.payment_sandbox.faults import FaultsBody
from tests.support.command_api import ADDRESS, ITEM, ORDER

ALIKE = [
    ("currencyCode", "currency"), ("currency_code", "currency"), ("Currency", "currency"), ("CURRENCY", "currency"),
    ("curency", "currency"), ("currencycode", "currency"), ("ccy", "currency"), ("isoCurrency", "currency"),
    ("\uff43urrency", "currency"), ("\u0441urrency", "currency"), (" currency", "currency"),
    ("orderCurrency", "currency"),
    ("paymentMethod", "payment_method"), ("payment-method", "payment_method"), ("payment.method", "payment_method"),
    ("payment_methd", "payment_method"), ("method", "payment_method"), ("payment", "payment_method"),
    ("payment_method_id", "payment_method"), ("customerId", "customer_id"), ("shippingAddress", "shipping_address"),
    ("item", "items"), ("Items", "items"), ("items[0].productId", "product_id"),
    ("items[0].item_quantity", "quantity"), ("items[0].unitPrice", "unit_price"), ("items[0].SKU", "sku"),
    ("shipping_address.zipCode", "zip"), ("shipping_address.zip_code", "zip"), ("shipping_address.City", "city"),
    ("shipping_address.country_code", "country"), ("shipping_address.street2", "street"),
]  # fmt: skip
INSTEAD = [  # only where the known field is left out
    ("shipping_address.postal_code", "zip"), ("shipping_address.postcode", "zip"), ("shipping_address.county", "state"),
    ("shipping_address.province", "state"), ("shipping_address.region", "state"), ("items[0].qty", "quantity"),
    ("items[0].price", "unit_price"), ("address", "shipping_address"), ("customer", "customer_id"),
    ("curr", "currency"), ("pay_method", "payment_method"),
]  # fmt: skip
HARMLESS = [
    "memo", "comment", "email", "metadata", "gift_message", "customer_name", "customer_email", "source", "_", "",
    "x" * 999,
    "items[0].tax", "items[0].product_name", "items[0].weight", "shipping_address.phone", "shipping_address.name",
    "shipping_address.county", "shipping_address.postal_code", "total_amount", "created_at", "📦", "备注",
]  # fmt: skip


def order(place: str, value: Any = "EUR", without: str | None = None) -> dict[str, Any]:
    """The sample order with one field more, and one less, at the same depth."""
    body = {**ORDER, "items": [dict(ITEM)], "shipping_address": dict(ADDRESS)}
    target: dict[str, Any] = body
    if place.startswith("items[0]."):
        target = body["items"][0]
    elif place.startswith("shipping_address."):
        target = body["shipping_address"]
    if without is not None:
        target.pop(without, None)
    target[place.removeprefix("items[0].").removeprefix("shipping_address.")] = value
    return body


def read(body: Any, kind: type[msgspec.Struct] = CreateOrderBody, *, strict: bool = False) -> Body[Any]:
    return read_body(kind, json.dumps(body).encode(), "application/json", strict=strict)


def refused(body: Any, kind: type[msgspec.Struct] = CreateOrderBody, *, strict: bool = False) -> dict[str, str]:
    with pytest.raises(RequestRefused) as refusal:
        read(body, kind, strict=strict)
    assert (refusal.value.status, refusal.value.code) == (400, "validation_failed")
    return {error.field: error.message for error in refusal.value.fields}


@pytest.mark.parametrize(("place", "meant"), ALIKE)
def test_a_field_that_is_written_like_a_known_one_is_refused_and_the_known_one_named(place: str, meant: str) -> None:
    assert refused(order(place)) == {place: f"is not known here: did you mean {meant}?"}
    assert refused(order(place, None)) == {place: f"is not known here: did you mean {meant}?"}


@pytest.mark.parametrize(("place", "meant"), INSTEAD)
def test_another_word_for_a_field_that_is_left_out_is_refused(place: str, meant: str) -> None:
    assert refused(order(place, without=meant))[place] == f"is not known here: did you mean {meant}?"


@pytest.mark.parametrize("place", HARMLESS)
def test_a_field_like_no_other_is_ignored_and_reported_and_refused_when_the_caller_is_strict(place: str) -> None:
    for value in ("x", None, {"currencyCode": "EUR"}, [{"qty": 1}]):
        ignored = read(order(place, value)).ignored
        assert len(ignored) == 1
        assert ignored[0][:60] == place[:60]
        assert list(refused(order(place, value), strict=True).values()) == ["is not known here"]


def test_a_right_order_has_nothing_to_report_however_it_is_written() -> None:
    colons = {**ORDER, "customer_id": "a:b:c"}
    assert read(ORDER).ignored == read(ORDER, strict=True).ignored == read(colons, strict=True).ignored == ()


@pytest.mark.parametrize("amount", ["12.50", "1e1", "-3", "1_0", " 5", "5\t", "\u0663", "1\u00a0", "x", ""])
@pytest.mark.parametrize("others", [{}, {"memo": 1}])
def test_an_amount_in_a_text_is_read_or_refused_alike_with_and_without_an_unknown_field(
    amount: str, others: dict[str, Any]
) -> None:
    for items in ([{**ITEM, "unit_price": amount}], [{**ITEM, "unit_price": "1"}, {**ITEM, "unit_price": amount}]):
        for ascii_only in (True, False):
            raw = json.dumps({**ORDER, "items": items, **others}, ensure_ascii=ascii_only).encode()
            if amount in ("12.50", "1e1", "-3"):
                body = read_body(CreateOrderBody, raw, "application/json")
                assert body.value.items[-1].unit_price == Decimal(amount)
                assert body.ignored == tuple(others)
            else:
                with pytest.raises(RequestRefused, match=r"unit_price: must be a number, as in 12\.50"):
                    read_body(CreateOrderBody, raw, "application/json")


@pytest.mark.parametrize("left_out", [["routes"], ["routes", "expires_in"], []])
def test_a_field_that_is_left_out_does_not_hide_an_unknown_or_a_repeated_one(left_out: list[str]) -> None:
    key = {"caller": "shop", "role": "viewer", "expires_in": "90d", "routes": list[str]()}
    body = {name: value for name, value in key.items() if name not in left_out}
    assert read({**body, "memo": 1}, KeyBody).ignored == ("memo",)
    assert read({**body, "memo": 1, "tax": {"of": 2}}, KeyBody).ignored == ("memo", "tax")
    twice = json.dumps(body).replace('"caller"', '"caller": "c", "caller"').encode()
    with pytest.raises(RequestRefused, match="caller: is given twice"):
        read_body(KeyBody, twice, "application/json")


def test_every_unknown_field_of_every_item_is_reported() -> None:
    items = [{**ITEM, "tax": 1}, ITEM, {**ITEM, "memo": "x", "tax": 2}]
    body = {**ORDER, "items": items, "extra": 1}
    assert read(body).ignored == ("items[0].tax", "items[2].memo", "items[2].tax", "extra")


def test_a_misnamed_field_is_named_beside_the_wrong_ones() -> None:
    body = {"customerId": "c", "items": [{**ITEM, "quantity": "x"}], "shipping_address": ADDRESS}
    assert refused(body) == {
        "customer_id": "is required",
        "items[0].quantity": "must be a whole number, not a text",
        "customerId": "is not known here: did you mean customer_id?",
    }


@pytest.mark.parametrize("place", ["items[0].currency", "items[0].currencyCode", "shipping_address.paymentMethod"])
def test_an_optional_field_of_the_whole_body_that_stands_further_down_is_refused(place: str) -> None:
    meant = "currency" if "currency" in place else "payment_method"
    assert refused(order(place)) == {place: f"is not known here: did you mean {meant} at the top of the body?"}
    beside = {**order(place), "currency": "EUR", "payment_method": "card"}
    assert read(beside).ignored == (place,)  # it says nothing new there


def test_the_goods_that_come_back_with_a_refund_keep_the_rule_too() -> None:
    refund = {"amount": "1.00", "reason": "x"}
    goods = {"sku": "A", "quantity": 1}
    assert read({**refund, "restock": [goods, {**goods, "memo": 1}]}, RefundOrderBody).ignored == ("restock[1].memo",)
    assert read({**refund, "restock": True}, RefundOrderBody).ignored == ()
    assert refused({**refund, "restock": [{**goods, "Quantity": 2}]}, RefundOrderBody) == {
        "restock[0].Quantity": "is not known here: did you mean quantity?"
    }
    assert refused({**refund, "restock": [{**goods, "memo": 2}]}, RefundOrderBody, strict=True) == {
        "restock[0].memo": "is not known here"
    }
    assert refused({**refund, "restock": [{"sku": "A", "quantity": "1"}, {"sku": "A"}]}, RefundOrderBody) == {
        "restock[0].quantity": "must be a whole number, not a text",
        "restock[1].quantity": "is required",
    }
    for other in ("items", "return_items", "restockItems", "returned", "return_to_stock"):
        assert refused({**refund, other: [goods]}, RefundOrderBody) == {
            other: "is not known here: did you mean restock?"
        }


def test_other_bodies_keep_the_rule_too() -> None:
    assert refused({"quantity": 1, "productId": "x"}, ReceiptBody) == {
        "productId": "is not known here: did you mean product_id?"
    }
    assert refused({"quantity": 1, "product_name": "x"}, ReceiptBody) == {
        "product_name": "is not known here: did you mean name?"
    }
    assert refused({"reason": "x", "Reason": "y"}, CancelBody) == {"Reason": "is not known here: did you mean reason?"}
    assert refused({"latencyMs": 5}, FaultsBody) == {"latencyMs": "is not known here: did you mean latency_ms?"}
    assert refused({"anything": 5}, FaultsBody, strict=True) == {"anything": "is not known here"}


def test_a_body_with_too_many_unknown_names_is_refused() -> None:
    assert len(read({**ORDER, **{f"{n}": n for n in range(100)}}).ignored) == 100
    assert refused({**ORDER, **{f"{n}": n for n in range(101)}}) == {
        "body": "has more than 100 names that are not known here"
    }
