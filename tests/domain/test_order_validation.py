"""What an order may hold: every field's limits, hostile values, and all that is wrong named at once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from core.domain.order import CARD, ORDER, Address, Item, OrderCommand
from core.errors import InvalidInput
from tests.support.samples import ADDRESS, ITEMS, cancel, confirmed, create, created, ship

BLANK = "must not be blank"
CONTROLS = "must not contain control characters"
SKU = "must be 1 to 64 letters, digits, or . _ : - (the first one a letter or digit)"
QUANTITY = "must be 1 to 1000000"
COUNTRY = "must be a country code of ISO 3166-1, two letters such as US"
IN_US = "is required in US"
METHOD = "must be 1 to 40 characters of a-z, 0-9 and _"
CURRENCY = "must be the ISO 4217 code of a means of payment, such as USD"
LEAST = "must be at least 0.01"
MOST = "must be at most 9999999999.99"
DECIMALS = "must have at most 2 decimals"
KB41 = "A" * 41 * 1024


def longer(most: int) -> str:
    return f"must be at most {most} characters"


def order_with(field: str, value: Any) -> OrderCommand:
    """The sample order with one field changed, by the name an error gives it."""
    if field.startswith("items[0]."):
        return replace(create, items=(replace(ITEMS[0], **{field.removeprefix("items[0]."): value}),))
    if field.startswith("payment_method"):
        name = field.removeprefix("payment_method").removeprefix(".") or "type"
        return replace(create, payment_method=replace(CARD, **{name: value}))
    if field.startswith("shipping_address."):
        return replace(create, shipping_address=replace(ADDRESS, **{field.removeprefix("shipping_address."): value}))
    return replace(create, **{field: value})


def wrong(command: OrderCommand, *history: Any) -> Mapping[str, str]:
    """What the refusal says, by field; empty when the command is accepted."""
    try:
        ORDER.decide(command, ORDER.fold(history))
    except InvalidInput as refusal:
        return {e.field: e.message for e in refusal.errors}
    return {}


TEXTS = {
    "customer_id": 100,
    "items[0].product_id": 100,
    "shipping_address.street": 200,
    "shipping_address.city": 100,
    "shipping_address.state": 100,
    "shipping_address.zip": 20,
    "payment_method.label": 60,
}
BLANKS = {
    "empty": "",
    "space": " ",
    "spaces": "   ",
    "whitespace": "\t\r\n",
    "no-break space": "\u00a0",
    "ideographic space": "\u3000",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "a mix": " \u200b\u00a0\u200e ",
}
CONTROL_CHARACTERS = {
    "NUL": "a\x00b",
    "newline": "a\nb",
    "escape": "a\x1b[2Jb",
    "delete": "a\x7f",
    "C1": "a\x9bb",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "lone surrogate": "a\ud800b",
}


@pytest.mark.parametrize(("field", "most"), TEXTS.items())
def test_a_text_may_be_as_long_as_its_limit_and_no_longer(field: str, most: int) -> None:
    assert wrong(order_with(field, "é" * most)) == {}
    assert wrong(order_with(field, "é\u00a0" * (most // 2))) == {}
    assert wrong(order_with(field, "é" * (most + 1))) == {field: longer(most)}
    assert wrong(order_with(field, KB41)) == {field: longer(most)}


@pytest.mark.parametrize("blank", BLANKS.values(), ids=BLANKS.keys())
@pytest.mark.parametrize("field", TEXTS)
def test_a_text_without_visible_characters_is_refused_as_blank(field: str, blank: str) -> None:
    if not blank and field == "payment_method.label":
        return
    left_out = not blank and field in {"shipping_address.state", "shipping_address.zip"}
    assert wrong(order_with(field, blank)) == {field: IN_US if left_out else BLANK}


@pytest.mark.parametrize(
    ("label", "right"),
    [
        ("Visa ending in 4242", True), ("Visa •••• •••• •••• 4242", True), ("invoice 2026-11-27, 30 days", True),
        ("4242424242424242", False), ("Visa 4242 4242 4242 4242", False), ("4242-4242-4242", False),
        ("card 5018/0000/0009", False), ("\uff14\uff12" * 8, False), ("12345678901", True),
    ],
)  # fmt: skip
def test_the_label_of_a_payment_method_is_no_card_number(label: str, right: bool) -> None:  # noqa: FBT001 - a table
    no_number = "must not be a card number: give its last four digits at most"
    assert wrong(order_with("payment_method.label", label)) == ({} if right else {"payment_method.label": no_number})


@pytest.mark.parametrize("text", CONTROL_CHARACTERS.values(), ids=CONTROL_CHARACTERS.keys())
@pytest.mark.parametrize("field", TEXTS)
def test_a_text_holds_no_control_characters(field: str, text: str) -> None:
    assert wrong(order_with(field, text)) == {field: CONTROLS}


@pytest.mark.parametrize("text", ["東京", "O'Brien & Søn", "नमस्ते", "👩\u200d👧", "x\u00a0y", " padded "])
def test_a_text_may_be_in_any_script(text: str) -> None:
    assert wrong(order_with("customer_id", text)) == {}


ACCEPTED = [
    ("items[0].sku", "A"),
    ("items[0].sku", "a" * 64),
    ("items[0].sku", "0._:-z"),
    ("items[0].sku", "É1"),
    ("items[0].sku", "\u0661"),  # an Arabic digit
    ("items[0].sku", "ผ้าไหม-1"),
    ("items[0].sku", "日本"),
    ("items[0].quantity", 1),
    ("items[0].quantity", 1_000_000),
    ("items[0].unit_price", Decimal("0.01")),
    ("items[0].unit_price", Decimal("1.5")),
    ("items[0].unit_price", Decimal("1.500000")),
    ("items[0].unit_price", Decimal("1E+3")),
    ("shipping_address.country", "US"),
    ("shipping_address.country", "de"),
    ("shipping_address.country", "Fr"),
    ("payment_method.type", "c"),
    ("payment_method.type", "test_card_3d"),
    ("payment_method.type", "x" * 40),
    ("currency", "EUR"),
]
REFUSED = [
    ("items[0].sku", "", SKU),
    ("items[0].sku", "a" * 65, SKU),
    ("items[0].sku", KB41, SKU),
    ("items[0].sku", "-A", SKU),
    ("items[0].sku", "A B", SKU),
    ("items[0].sku", "A/B", SKU),
    ("items[0].sku", "A\n", SKU),
    ("items[0].sku", "\u0301a", SKU),
    ("items[0].sku", "👩", SKU),
    ("items[0].sku", "A\u200dB", SKU),
    ("items[0].sku", "A\u200b", SKU),
    ("items[0].sku", "\x00", SKU),
    ("items[0].quantity", 0, QUANTITY),
    ("items[0].quantity", -1, QUANTITY),
    ("items[0].quantity", 1_000_001, QUANTITY),
    ("items[0].quantity", 2**63, QUANTITY),
    ("items[0].unit_price", Decimal("NaN"), "must be a number"),
    ("items[0].unit_price", Decimal("sNaN"), "must be a number"),
    ("items[0].unit_price", Decimal("Infinity"), "must be a number"),
    ("items[0].unit_price", Decimal("-Infinity"), "must be a number"),
    ("items[0].unit_price", Decimal(0), LEAST),
    ("items[0].unit_price", Decimal("-0"), LEAST),
    ("items[0].unit_price", Decimal("0.001"), LEAST),
    ("items[0].unit_price", Decimal("0.009999"), LEAST),
    ("items[0].unit_price", Decimal("-1.00"), LEAST),
    ("items[0].unit_price", Decimal("1E-999999999"), LEAST),
    ("items[0].unit_price", Decimal("-1E+999999999"), LEAST),
    ("items[0].unit_price", Decimal("0.011"), DECIMALS),
    ("items[0].unit_price", Decimal("1.005"), DECIMALS),
    ("items[0].unit_price", Decimal("1." + "0" * 50 + "1"), DECIMALS),
    ("items[0].unit_price", Decimal("10000000000.00"), MOST),
    ("items[0].unit_price", Decimal("9999999999.991"), MOST),
    ("items[0].unit_price", Decimal("1E+400"), MOST),
    ("items[0].unit_price", Decimal("1E+999999999"), MOST),
    ("shipping_address.country", "", COUNTRY),
    ("shipping_address.country", "U", COUNTRY),
    ("shipping_address.country", "USA", COUNTRY),
    ("shipping_address.country", "U1", COUNTRY),
    ("shipping_address.country", "US\n", COUNTRY),
    ("shipping_address.country", "ßa", COUNTRY),
    ("shipping_address.country", KB41, COUNTRY),
    ("payment_method.type", "", METHOD),
    ("payment_method.type", "x" * 41, METHOD),
    ("payment_method.type", "Card", METHOD),
    ("payment_method.type", "test-card", METHOD),
    ("payment_method.type", "card\n", METHOD),
    ("currency", "", CURRENCY),
    ("currency", "XYZ", CURRENCY),
    ("currency", "US", CURRENCY),
    ("currency", "USD\n", CURRENCY),
    ("currency", "CLF", CURRENCY),  # 4 decimals
    ("currency", KB41, CURRENCY),
    ("items", (), "must have 1 to 200 entries"),
    ("items", ITEMS[:1] * 201, "must have 1 to 200 entries"),
]


def named(case: tuple[Any, ...]) -> str:
    return f"{case[0]}={str(case[1])[:24]!r}"


@pytest.mark.parametrize(("field", "value"), ACCEPTED, ids=map(named, ACCEPTED))
def test_a_value_within_its_limits_is_accepted(field: str, value: Any) -> None:
    assert wrong(order_with(field, value)) == {}


@pytest.mark.parametrize(("field", "value", "message"), REFUSED, ids=map(named, REFUSED))
def test_a_value_beyond_its_limits_is_refused_and_its_field_named(field: str, value: Any, message: str) -> None:
    assert wrong(order_with(field, value)) == {field: message}


def test_an_order_with_200_lines_is_accepted() -> None:
    assert wrong(order_with("items", ITEMS[:1] * 200)) == {}


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((replace(ITEMS[0], quantity=1, unit_price=Decimal("9999999999.99")),), None),
        (
            (
                replace(ITEMS[0], quantity=1, unit_price=Decimal("9999999999.98")),
                replace(ITEMS[0], quantity=2, unit_price=Decimal("0.01")),
            ),
            "come to more than 9999999999.99 in total",
        ),
        (
            (replace(ITEMS[0], quantity=1_000_000, unit_price=Decimal("9999999999.99")),) * 200,
            "come to more than 9999999999.99 in total",
        ),
    ],
)
def test_a_total_may_reach_the_largest_amount_and_not_a_cent_more(items: tuple[Item, ...], message: str | None) -> None:
    assert wrong(order_with("items", items)) == ({"items": message} if message else {})


def test_all_wrong_fields_are_named_at_once() -> None:
    command = replace(
        create,
        customer_id=" ",
        items=(
            replace(ITEMS[0], sku="", quantity=0),
            ITEMS[1],
            replace(ITEMS[0], product_id="\x07", unit_price=Decimal("0.0001")),
        ),
        shipping_address=Address(street="", city=KB41, state="\u200b", zip="1" * 21, country="USA"),
        payment_method=replace(CARD, type=""),
        currency="XTS",
    )
    assert list(wrong(command)) == [
        "customer_id",
        "items[0].sku",
        "items[0].quantity",
        "items[2].product_id",
        "items[2].unit_price",
        "shipping_address.street",
        "shipping_address.city",
        "shipping_address.state",
        "shipping_address.zip",
        "shipping_address.country",
        "payment_method.type",
        "currency",
    ]


REMARKS = [(cancel, "reason", 500), (ship, "tracking_number", 100), (ship, "carrier", 100)]


@pytest.mark.parametrize(("command", "field", "most"), REMARKS)
def test_a_reason_a_tracking_number_and_a_carrier_are_texts_within_their_limits(
    command: OrderCommand, field: str, most: int
) -> None:
    history = (created, confirmed)
    assert wrong(replace(command, **{field: "x" * most}), *history) == {}
    assert wrong(replace(command, **{field: "x" * (most + 1)}), *history) == {field: longer(most)}
    assert wrong(replace(command, **{field: "\u200b"}), *history) == {field: BLANK}
    assert wrong(replace(command, **{field: "a\x00"}), *history) == {field: CONTROLS}


def test_tracking_number_and_carrier_are_both_named() -> None:
    command = replace(ship, tracking_number="", carrier="")
    assert wrong(command, created, confirmed) == {"tracking_number": BLANK, "carrier": BLANK}
