"""Stock: the rules that a table of commands and situations does not show, and what a receipt may hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from core.domain.inventory import (
    INVENTORY,
    MAX_RECEIPT,
    MAX_STOCK,
    InventoryReservationFailed,
    InventoryReserved,
    StockAdjusted,
    StockReplenished,
)
from core.domain.message import OrderId, ReservationId
from core.errors import InvalidInput
from tests.support.samples import (
    LAPTOP,
    adjust,
    adjusted,
    receive,
    release,
    released,
    replenished,
    reserve,
    reserved,
    ship_stock,
    stock_shipped,
    take_back,
    taken_back,
)
from tests.support.spec import spec

OTHER_ORDER = OrderId(UUID(int=2))
OTHER = ReservationId(UUID(int=3))
OTHER_RESERVE = replace(reserve, reservation_id=OTHER, order_id=OTHER_ORDER)
FULL = StockReplenished(sku=LAPTOP, quantity=MAX_STOCK)


def others(quantity: int) -> InventoryReserved:
    return InventoryReserved(sku=LAPTOP, reservation_id=OTHER, order_id=OTHER_ORDER, quantity=quantity)


def out_of_stock(requested: int, available: int) -> InventoryReservationFailed:
    return InventoryReservationFailed(
        sku=LAPTOP, order_id=OTHER_ORDER, requested=requested, available=available, reason="out of stock"
    )


# --- reserving ----------------------------------------------------------------------------------------------
def test_an_order_can_reserve_all_stock_that_is_left() -> None:
    spec(INVENTORY).given(replenished, reserved).when(replace(OTHER_RESERVE, quantity=6)).then(others(6))


def test_an_order_cannot_reserve_one_more_than_is_left() -> None:
    spec(INVENTORY).given(replenished, reserved).when(replace(OTHER_RESERVE, quantity=7)).then(out_of_stock(7, 6))


def test_another_order_can_reserve_released_stock() -> None:
    command = replace(OTHER_RESERVE, quantity=10)
    spec(INVENTORY).given(replenished, reserved, released).when(command).then(others(10))


def test_shipped_stock_cannot_be_reserved() -> None:
    command = replace(OTHER_RESERVE, quantity=7)
    spec(INVENTORY).given(replenished, reserved, stock_shipped).when(command).then(out_of_stock(7, 6))


def test_a_sku_that_sold_out_is_out_of_stock_and_not_unknown() -> None:
    history = (StockReplenished(sku=LAPTOP, quantity=4), reserved, stock_shipped)
    spec(INVENTORY).given(*history).when(replace(OTHER_RESERVE, quantity=1)).then(out_of_stock(1, 0))


@pytest.mark.parametrize("quantity", [0, -1, -(2**63)])
def test_a_reservation_of_nothing_or_less_is_refused(quantity: int) -> None:
    spec(INVENTORY).given(replenished).when(replace(reserve, quantity=quantity)).rejected("cannot reserve less than 1")


def test_a_reservation_that_is_held_keeps_its_quantity() -> None:
    spec(INVENTORY).given(replenished, reserved).when(replace(reserve, quantity=1)).nothing()


# --- releasing and shipping -----------------------------------------------------------------------------------
@pytest.mark.parametrize("command", [release, ship_stock])
def test_a_reservation_of_another_order_is_left_alone(command: Any) -> None:
    spec(INVENTORY).given(replenished, reserved).when(replace(command, reservation_id=OTHER)).nothing()


def test_a_release_gives_back_only_the_orders_own_reservation() -> None:
    spec(INVENTORY).given(replenished, others(5), reserved).when(release).then(released)


# --- receiving ----------------------------------------------------------------------------------------------
def test_stock_may_be_received_up_to_the_limit_of_a_sku() -> None:
    command = replace(receive, quantity=1, product_id=None, name=None)
    nearly = StockReplenished(sku=LAPTOP, quantity=MAX_STOCK - 1)
    spec(INVENTORY).given(nearly).when(command).then(StockReplenished(sku=LAPTOP, quantity=1))


def test_stock_beyond_the_limit_of_a_sku_is_refused() -> None:
    sentence = "SKU LAPTOP-001 would hold more than 1000000000000"
    spec(INVENTORY).given(FULL).when(replace(receive, quantity=1)).rejected(sentence)


def test_reserved_stock_counts_towards_the_limit_of_a_sku() -> None:
    sentence = "SKU LAPTOP-001 would hold more than 1000000000000"
    spec(INVENTORY).given(FULL, reserved).when(replace(receive, quantity=1)).rejected(sentence)


def test_shipped_stock_does_not_count_towards_the_limit_of_a_sku() -> None:
    command = replace(receive, quantity=4)
    spec(INVENTORY).given(FULL, reserved, stock_shipped).when(command).then(replace(replenished, quantity=4))


ACCEPTED = [
    ("quantity", 1),
    ("quantity", MAX_RECEIPT),
    ("product_id", None),
    ("product_id", "é" * 100),
    ("name", None),
    ("name", "é" * 200),
    ("sku", "a" * 64),
]
SKU = "must be 1 to 64 letters, digits, or . _ : - (the first one a letter or digit)"
REFUSED = [
    ("quantity", 0, "must be 1 to 1000000000"),
    ("quantity", -1, "must be 1 to 1000000000"),
    ("quantity", MAX_RECEIPT + 1, "must be 1 to 1000000000"),
    ("quantity", 10**400, "must be 1 to 1000000000"),
    ("product_id", "", "must not be blank"),
    ("product_id", "x" * 101, "must be at most 100 characters"),
    ("name", "\u200b", "must not be blank"),
    ("name", "x" * 201, "must be at most 200 characters"),
    ("name", "a\x00", "must not contain control characters"),
    ("sku", "", SKU),
    ("sku", "A" * 41 * 1024, SKU),
    ("sku", "A B", SKU),
]


def named(case: tuple[Any, ...]) -> str:
    return f"{case[0]}={str(case[1])[:24]!r}"


@pytest.mark.parametrize(("field", "value"), ACCEPTED, ids=map(named, ACCEPTED))
def test_a_receipt_within_its_limits_is_recorded(field: str, value: Any) -> None:
    spec(INVENTORY).when(replace(receive, **{field: value})).then(replace(replenished, **{field: value}))


@pytest.mark.parametrize(("field", "value", "message"), REFUSED, ids=map(named, REFUSED))
def test_a_receipt_beyond_its_limits_is_refused_and_its_field_named(field: str, value: Any, message: str) -> None:
    spec(INVENTORY).when(replace(receive, **{field: value})).rejected(f"{field}: {message}")


def test_all_wrong_fields_of_a_receipt_are_named_at_once() -> None:
    command = replace(receive, sku="", quantity=0, product_id="", name="")
    with pytest.raises(InvalidInput) as refusal:
        INVENTORY.decide(command, INVENTORY.initial)
    assert [e.field for e in refusal.value.errors] == ["sku", "quantity", "product_id", "name"]


# --- correcting after a count ---------------------------------------------------------------------------------
def test_a_correction_may_take_away_all_that_is_available_and_leaves_what_is_reserved() -> None:
    all_of_it = StockAdjusted(sku=LAPTOP, quantity=-6, reason="counted")
    spec(INVENTORY).given(replenished, reserved).when(replace(adjust, quantity=-6)).then(all_of_it)
    sentence = "cannot take 7 off the stock of LAPTOP-001: 6 are available and 4 reserved"
    spec(INVENTORY).given(replenished, reserved).when(replace(adjust, quantity=-7)).rejected(sentence)
    sentence = "cannot take 1 off the stock of LAPTOP-001: 0 are available"
    spec(INVENTORY).given(replenished, reserved, stock_shipped, all_of_it).when(replace(adjust, quantity=-1)).rejected(
        sentence
    )


def test_what_a_correction_took_away_cannot_be_reserved_and_what_it_added_can() -> None:
    less = StockAdjusted(sku=LAPTOP, quantity=-5, reason="counted")
    spec(INVENTORY).given(replenished, less).when(replace(OTHER_RESERVE, quantity=6)).then(out_of_stock(6, 5))
    more = StockAdjusted(sku=LAPTOP, quantity=5, reason="found behind the shelf")
    spec(INVENTORY).given(replenished, more).when(replace(OTHER_RESERVE, quantity=15)).then(others(15))


def test_the_same_correction_twice_counts_twice() -> None:
    spec(INVENTORY).given(replenished, adjusted).when(adjust).then(adjusted)


def test_a_correction_beyond_the_limit_of_a_sku_is_refused() -> None:
    sentence = "SKU LAPTOP-001 would hold more than 1000000000000"
    spec(INVENTORY).given(FULL).when(replace(adjust, quantity=1)).rejected(sentence)


WRONG = [
    ("quantity", 0),
    ("quantity", MAX_RECEIPT + 1),
    ("quantity", -MAX_RECEIPT - 1),
    ("quantity", -(10**400)),
    ("reason", ""),
    ("reason", " "),
    ("reason", "x" * 501),
    ("reason", "a\x1b[2J"),
    ("sku", "A B"),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=map(named, WRONG))
def test_a_correction_with_a_wrong_field_is_refused_and_its_field_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        INVENTORY.decide(replace(adjust, **{field: value}), INVENTORY.fold([replenished]))
    assert [error.field for error in refusal.value.errors] == [field]


@pytest.mark.parametrize("quantity", [0, -1])
def test_nothing_or_less_cannot_come_back(quantity: int) -> None:
    spec(INVENTORY).given(replenished).when(replace(take_back, quantity=quantity)).rejected(
        "cannot take back less than 1"
    )


def test_what_came_back_can_be_sold_again() -> None:
    history = (StockReplenished(sku=LAPTOP, quantity=4), reserved, stock_shipped, taken_back)
    spec(INVENTORY).given(*history).when(replace(OTHER_RESERVE, quantity=2)).then(others(2))
