"""Every command in every status has a stated outcome: the events it records, nothing (done already), or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import pytest

from core.domain.decider import Decider
from core.domain.inventory import INVENTORY, InventoryCommand, InventoryReservationFailed, StockReplenished
from core.domain.message import Command, Event
from core.domain.order import ORDER, OrderCommand, Status
from core.domain.payment import PAYMENT, PaymentCommand, PaymentStatus
from core.errors import Rejected
from tests.support.payment_outcomes import PAYMENT_OUTCOMES, PAYMENTS
from tests.support.samples import (
    LAPTOP,
    ORDER_ID,
    adjust,
    adjusted,
    cancel,
    cancelled,
    confirm,
    confirmed,
    create,
    created,
    deliver,
    delivered,
    receive,
    refund_order,
    refund_requested,
    release,
    released,
    replenished,
    reserve,
    reserved,
    ship,
    ship_stock,
    shipped,
    stock_shipped,
    take_back,
    taken_back,
)
from tests.support.spec import DONE, Histories, Outcome, Table, leaves, spec

# --- order --------------------------------------------------------------------------------------------------
NO_ORDER = f"there is no order {ORDER_ID}"
EXISTS = f"order {ORDER_ID} exists already"

ORDERS: Histories = {
    Status.ABSENT: [],
    Status.CREATED: [created],
    Status.CONFIRMED: [created, confirmed],
    Status.CANCELLED: [created, confirmed, cancelled],
    Status.SHIPPED: [created, confirmed, shipped],
    Status.DELIVERED: [created, confirmed, shipped, delivered],
}
ORDER_OUTCOMES: Table = {
    create: {
        Status.ABSENT: [created],
        Status.CREATED: EXISTS,
        Status.CONFIRMED: EXISTS,
        Status.CANCELLED: EXISTS,
        Status.SHIPPED: EXISTS,
        Status.DELIVERED: EXISTS,
    },
    confirm: {
        Status.ABSENT: NO_ORDER,
        Status.CREATED: [confirmed],
        Status.CONFIRMED: DONE,
        Status.CANCELLED: "cannot confirm a cancelled order",
        Status.SHIPPED: "cannot confirm a shipped order",
        Status.DELIVERED: "cannot confirm a delivered order",
    },
    cancel: {
        Status.ABSENT: NO_ORDER,
        Status.CREATED: [cancelled],
        Status.CONFIRMED: [cancelled],
        Status.CANCELLED: DONE,
        Status.SHIPPED: "cannot cancel a shipped order",
        Status.DELIVERED: "cannot cancel a delivered order",
    },
    ship: {
        Status.ABSENT: NO_ORDER,
        Status.CREATED: "cannot ship a created order",
        Status.CONFIRMED: [shipped],
        Status.CANCELLED: "cannot ship a cancelled order",
        Status.SHIPPED: DONE,
        Status.DELIVERED: DONE,
    },
    deliver: {
        Status.ABSENT: NO_ORDER,
        Status.CREATED: "cannot deliver a created order",
        Status.CONFIRMED: "cannot deliver a confirmed order",
        Status.CANCELLED: "cannot deliver a cancelled order",
        Status.SHIPPED: [delivered],
        Status.DELIVERED: DONE,
    },
    refund_order: {
        Status.ABSENT: NO_ORDER,
        Status.CREATED: "cannot refund a created order",
        Status.CONFIRMED: "cannot refund a confirmed order",
        Status.CANCELLED: "cannot refund a cancelled order",
        Status.SHIPPED: [refund_requested],
        Status.DELIVERED: [refund_requested],
    },
}


# --- inventory: no status field, but six situations a command can meet -----------------------------------------
class Shelf(StrEnum):
    UNKNOWN = "UNKNOWN"
    ENOUGH = "ENOUGH"
    SHORT = "SHORT"
    HELD = "HELD"
    RELEASED = "RELEASED"
    SHIPPED = "SHIPPED"


def out_of(available: int, reason: str) -> list[Event]:
    return [
        InventoryReservationFailed(sku=LAPTOP, order_id=ORDER_ID, requested=4, available=available, reason=reason),
    ]


SHELVES: Histories = {
    Shelf.UNKNOWN: [],
    Shelf.ENOUGH: [replenished],
    Shelf.SHORT: [StockReplenished(sku=LAPTOP, quantity=3)],
    Shelf.HELD: [replenished, reserved],
    Shelf.RELEASED: [replenished, reserved, released],
    Shelf.SHIPPED: [replenished, reserved, stock_shipped],
}
NOTHING_TO_DO: dict[Shelf, Outcome] = dict.fromkeys(Shelf, DONE)
INVENTORY_OUTCOMES: Table = {
    receive: {shelf: [replenished] for shelf in Shelf},
    adjust: {**{shelf: [adjusted] for shelf in Shelf}, Shelf.UNKNOWN: f"there is no SKU {LAPTOP}"},
    take_back: {shelf: [taken_back] for shelf in Shelf},  # that each return comes once is the saga's to keep
    reserve: {
        Shelf.UNKNOWN: out_of(0, "unknown SKU"),
        Shelf.ENOUGH: [reserved],
        Shelf.SHORT: out_of(3, "out of stock"),
        Shelf.HELD: DONE,
        Shelf.RELEASED: [reserved],  # only open reservations are remembered: that it comes once is the saga's to keep
        Shelf.SHIPPED: [reserved],
    },
    release: {**NOTHING_TO_DO, Shelf.HELD: [released]},
    ship_stock: {**NOTHING_TO_DO, Shelf.HELD: [stock_shipped]},
}


# --- the tables, as tests -----------------------------------------------------------------------------------
TABLES: list[tuple[Decider[Any, Any, Any], type[Command], type[StrEnum], Histories, Table]] = [
    (ORDER, OrderCommand, Status, ORDERS, ORDER_OUTCOMES),
    (INVENTORY, InventoryCommand, Shelf, SHELVES, INVENTORY_OUTCOMES),
    (PAYMENT, PaymentCommand, PaymentStatus, PAYMENTS, PAYMENT_OUTCOMES),
]
CASES = [
    pytest.param(decider, histories[status], command, outcome, id=f"{type(command).__name__}-{status}")
    for decider, _, _, histories, table in TABLES
    for command, row in table.items()
    for status, outcome in row.items()
]


@pytest.mark.parametrize(("decider", "history", "command", "outcome"), CASES)
def test_a_command_has_the_outcome_that_the_table_states(
    decider: Decider[Any, Any, Any], history: Sequence[Event], command: Command, outcome: Outcome
) -> None:
    when = spec(decider).given(*history).when(command)
    if isinstance(outcome, str):
        when.rejected(outcome)
    else:
        when.then(*outcome)


ACCEPTED = [case for case in CASES if case.values[0] is not INVENTORY and isinstance(case.values[3], list)]
"""Of orders and payments; stock that is received twice counts twice."""


@pytest.mark.parametrize(("decider", "history", "command", "outcome"), ACCEPTED)
def test_a_command_that_was_accepted_records_nothing_the_second_time(
    decider: Decider[Any, Any, Any], history: Sequence[Event], command: Command, outcome: list[Event]
) -> None:
    state = decider.fold([*history, *outcome])
    try:
        assert list(decider.decide(command, state)) == []
    except Rejected as refusal:
        assert str(refusal) == EXISTS  # noqa: PT017 - an order is created once, and every other command is accepted


@pytest.mark.parametrize(("kind", "statuses", "table"), [(t[1], t[2], t[4]) for t in TABLES])
def test_the_table_states_every_command_in_every_status(
    kind: type[Command], statuses: type[StrEnum], table: Table
) -> None:
    stated = {(type(command), status) for command, row in table.items() for status in row}
    assert stated == {(command, status) for command in leaves(kind) for status in statuses}


@pytest.mark.parametrize(("decider", "histories"), [(ORDER, ORDERS), (PAYMENT, PAYMENTS)])
def test_the_history_of_a_status_leads_to_that_status(decider: Decider[Any, Any, Any], histories: Histories) -> None:
    assert {decider.fold(events).status: events for events in histories.values()} == histories
