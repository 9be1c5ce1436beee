"""Order: the rules of its life that a table of commands and statuses does not show."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from core.domain.order import ORDER, OrderCreated, ShipOrder
from tests.support.samples import (
    ADDRESS,
    ITEMS,
    cancel,
    cancelled,
    confirm,
    confirmed,
    create,
    created,
    deliver,
    delivered,
    ship,
    ship_otherwise,
    shipped,
)
from tests.support.spec import spec

RE_CARRIED = replace(ship, carrier="DHL")


def test_the_total_is_the_sum_of_price_times_quantity_of_every_line() -> None:
    items = (replace(ITEMS[0], quantity=7, unit_price=Decimal("0.07")), replace(ITEMS[1], quantity=1))
    command = replace(create, items=items)
    spec(ORDER).when(command).then(replace(created, items=items, total_amount=Decimal("0.99")))


def test_a_price_is_stored_with_two_decimals_however_it_was_written() -> None:
    command = replace(create, items=(replace(ITEMS[0], quantity=1, unit_price=Decimal("1E+2")),))
    [event] = ORDER.decide(command, ORDER.initial)
    assert isinstance(event, OrderCreated)
    assert (str(event.items[0].unit_price), str(event.total_amount)) == ("100.00", "100.00")


def test_a_country_is_stored_in_capitals() -> None:
    command = replace(create, shipping_address=replace(ADDRESS, country="us"))
    spec(ORDER).when(command).then(created)


def test_the_same_sku_may_stand_on_several_lines() -> None:
    items = (ITEMS[0], ITEMS[0])
    command = replace(create, items=items)
    spec(ORDER).when(command).then(replace(created, items=items, total_amount=Decimal("3999.96")))


def test_a_cancelled_order_stays_cancelled_for_the_first_reason() -> None:
    spec(ORDER).given(created, cancelled).when(replace(cancel, reason="another")).nothing()


def test_cancelling_a_cancelled_order_again_still_needs_a_reason() -> None:
    sentence = "reason: must not be blank"
    spec(ORDER).given(created, cancelled).when(replace(cancel, reason=" ")).rejected(sentence)


def test_a_shipped_order_refuses_another_tracking_number() -> None:
    sentence = "the order was shipped already, with UPS 1Z999"
    spec(ORDER).given(created, confirmed, shipped).when(ship_otherwise).rejected(sentence)


def test_a_shipped_order_refuses_another_carrier() -> None:
    sentence = "the order was shipped already, with UPS 1Z999"
    spec(ORDER).given(created, confirmed, shipped).when(RE_CARRIED).rejected(sentence)


@pytest.mark.parametrize("command", [ship_otherwise, RE_CARRIED])
def test_a_delivered_order_refuses_another_shipment(command: ShipOrder) -> None:
    history = (created, confirmed, shipped, delivered)
    spec(ORDER).given(*history).when(command).rejected("cannot ship a delivered order")


def test_an_order_can_be_cancelled_before_it_is_confirmed() -> None:
    spec(ORDER).given(created).when(cancel).then(cancelled)


def test_an_order_goes_from_placed_to_delivered() -> None:
    spec(ORDER).when(create).then(created)
    spec(ORDER).given(created).when(confirm).then(confirmed)
    spec(ORDER).given(created, confirmed).when(ship).then(shipped)
    spec(ORDER).given(created, confirmed, shipped).when(deliver).then(delivered)
