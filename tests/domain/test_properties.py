"""What holds for any commands and any history: folds, stock, idempotence, and how an order or a payment can go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.codec import EVENTS
from core.domain import saga
from core.domain.decider import Decider
from core.domain.inventory import (
    INVENTORY,
    MAX_RECEIPT,
    AdjustStock,
    InventoryReleased,
    InventoryReservationFailed,
    InventoryReserved,
    InventoryShipped,
    ReceiveStock,
    ReleaseInventory,
    ReserveInventory,
    ReturnStock,
    ShipInventory,
    StockAdjusted,
    StockReplenished,
    StockReturned,
)
from core.domain.message import Command, Event
from core.domain.order import (
    ORDER,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderDelivered,
    OrderShipped,
)
from core.domain.payment import (
    PAYMENT,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentEvent,
    PaymentFailed,
    PaymentRefunded,
    PaymentStatus,
    PaymentVoided,
)
from core.errors import Rejected
from tests.support.samples import (
    LAPTOP,
    NOW,
    ORDER_ID,
    authorize,
    cancel,
    capture,
    confirm,
    create,
    decline,
    deliver,
    fail_capture,
    fail_refund,
    receive,
    refund,
    refund_part,
    reserve,
    ship,
    ship_otherwise,
    void,
)
from tests.support.strategies import values

DECIDERS: list[Decider[Any, Any, Any]] = [ORDER, INVENTORY, PAYMENT]
ANY_EVENTS = st.lists(st.one_of(*map(values, EVENTS)), max_size=12)


def run(decider: Decider[Any, Any, Any], commands: Iterable[Command]) -> Iterator[tuple[Command, Sequence[Event], Any]]:
    """Every accepted command with its events and the state after them; a refused one leaves no trace."""
    state = decider.initial
    for command in commands:
        try:
            events = decider.decide(command, state)
        except Rejected:
            continue
        state = decider.fold(events, state)
        yield command, events, state


def stream(decider: Decider[Any, Any, Any], commands: Iterable[Command]) -> list[Event]:
    return [event for _, events, _ in run(decider, commands) for event in events]


def recorded(decider: Decider[Any, Any, Any], command: Command, state: Any) -> Sequence[Event]:
    try:
        return decider.decide(command, state)
    except Rejected:
        return []


# --- folds --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("decider", DECIDERS, ids=lambda d: d.category)
@given(ANY_EVENTS, ANY_EVENTS)
def test_a_fold_that_stops_anywhere_and_goes_on_gives_the_same_state(
    decider: Decider[Any, Any, Any], first: list[Any], rest: list[Any]
) -> None:
    assert decider.fold(rest, decider.fold(first)) == decider.fold(first + rest)


@pytest.mark.parametrize("decider", DECIDERS, ids=lambda d: d.category)
@given(ANY_EVENTS, st.one_of(*map(values, saga.EVENTS)))
def test_an_event_of_another_stream_does_not_change_a_state(
    decider: Decider[Any, Any, Any], past: list[Any], foreign: Event
) -> None:
    assert decider.fold([*past, foreign]) == decider.fold(past)


# --- stock --------------------------------------------------------------------------------------------------
RESERVATIONS = st.integers(1, 4).map(lambda n: UUID(int=n))
ABOUT = {"now": st.just(NOW), "sku": st.just(LAPTOP)}
FOR = {**ABOUT, "reservation_id": RESERVATIONS, "order_id": st.just(ORDER_ID)}
STOCK_COMMANDS = st.lists(
    st.builds(ReceiveStock, **ABOUT, quantity=st.integers(-1, 20) | st.just(MAX_RECEIPT))
    | st.builds(ReserveInventory, **FOR, quantity=st.integers(-5, 20) | st.just(MAX_RECEIPT))
    | st.builds(AdjustStock, **ABOUT, quantity=st.integers(-20, 20), reason=st.just("counted"))
    | st.builds(ReturnStock, **ABOUT, order_id=st.just(ORDER_ID), refund_id=st.just("r"), quantity=st.integers(-1, 5))
    | st.builds(ReleaseInventory, **FOR, reason=st.just("cancelled"))
    | st.builds(ShipInventory, **FOR),
    max_size=40,
)


StockEvent = StockReplenished | StockAdjusted | StockReturned | InventoryReserved | InventoryReleased | InventoryShipped


def total(
    events: Iterable[Event],
    kind: type[StockEvent],
) -> int:
    return sum(event.quantity for event in events if isinstance(event, kind))


@given(STOCK_COMMANDS)
def test_stock_is_never_negative_and_equals_what_came_in_less_what_was_shipped(commands: list[Command]) -> None:
    past: list[Event] = []
    for _, events, stock in run(INVENTORY, commands):
        past += events
        assert stock.available >= 0
        assert all(quantity > 0 for quantity in stock.held.values())
        came_in = total(past, StockReplenished) + total(past, StockAdjusted) + total(past, StockReturned)
        assert came_in == (stock.available + sum(stock.held.values()) + total(past, InventoryShipped))
        assert total(past, InventoryReserved) == (
            sum(stock.held.values()) + total(past, InventoryReleased) + total(past, InventoryShipped)
        )


@given(STOCK_COMMANDS)
def test_a_release_or_a_shipment_is_of_exactly_what_was_reserved(commands: list[Command]) -> None:
    held: dict[UUID, int] = {}
    for event in stream(INVENTORY, commands):
        match event:
            case InventoryReserved():
                assert event.reservation_id not in held
                held[event.reservation_id] = event.quantity
            case InventoryReleased() | InventoryShipped():
                assert held.pop(event.reservation_id) == event.quantity
            case InventoryReservationFailed():
                assert event.requested > event.available
            case _:
                assert isinstance(event, StockReplenished | StockAdjusted | StockReturned)


# --- the same command twice ---------------------------------------------------------------------------------
ORDER_COMMANDS = (create, confirm, cancel, ship, ship_otherwise, deliver)
PAYMENT_COMMANDS = (authorize, decline, capture, fail_capture, void, refund, refund_part, fail_refund)


@pytest.mark.parametrize(("decider", "commands"), [(ORDER, ORDER_COMMANDS), (PAYMENT, PAYMENT_COMMANDS)])
def test_the_same_command_right_after_its_events_records_nothing(
    decider: Decider[Any, Any, Any], commands: Sequence[Command]
) -> None:
    for some in product(commands, repeat=4):
        for command, _, state in run(decider, some):
            assert not recorded(decider, command, state)


@given(STOCK_COMMANDS)
def test_reserving_releasing_and_shipping_twice_records_nothing_the_second_time(commands: list[Command]) -> None:
    for command, events, stock in run(INVENTORY, commands):
        no_stock = any(isinstance(event, InventoryReservationFailed) for event in events)
        if not isinstance(command, ReceiveStock | AdjustStock | ReturnStock) and not no_stock:
            assert not recorded(INVENTORY, command, stock)


def test_a_repeated_receipt_counts_twice_and_a_repeated_reservation_of_missing_stock_fails_again() -> None:
    """The two exceptions: a receipt has no id of its own (its idempotency key has), and a refusal is decided anew."""
    assert total(stream(INVENTORY, [receive, receive]), StockReplenished) == 2 * receive.quantity
    too_many = replace(reserve, quantity=11)
    assert len(stream(INVENTORY, [receive, too_many, too_many])) == 3


# --- lives: no sequence of commands leads anywhere else -------------------------------------------------------
def lives(decider: Decider[Any, Any, Any], commands: Sequence[Command], length: int) -> set[tuple[type[Event], ...]]:
    return {tuple(map(type, stream(decider, some))) for some in product(commands, repeat=length)}


def test_an_order_follows_one_of_six_sequences_of_events_and_is_never_both_shipped_and_cancelled() -> None:
    assert lives(ORDER, ORDER_COMMANDS, 5) == {
        (),
        (OrderCreated,),
        (OrderCreated, OrderConfirmed),
        (OrderCreated, OrderCancelled),
        (OrderCreated, OrderConfirmed, OrderCancelled),
        (OrderCreated, OrderConfirmed, OrderShipped),
        (OrderCreated, OrderConfirmed, OrderShipped, OrderDelivered),
    }


def test_a_payment_follows_one_of_these_sequences_of_events_and_is_captured_at_most_once() -> None:
    paid = (PaymentAuthorized, PaymentCaptured)
    unpaid = (PaymentAuthorized, PaymentCaptureFailed)
    assert lives(PAYMENT, (authorize, decline, capture, fail_capture, void, refund, refund_part), 5) == {
        (),
        (PaymentAuthorized,),
        (PaymentFailed,),
        (PaymentAuthorized, PaymentVoided),
        paid,
        (*paid, PaymentRefunded),
        (*paid, PaymentRefunded, PaymentRefunded),
        unpaid,
        (*unpaid, PaymentCaptured),
        (*unpaid, PaymentCaptured, PaymentRefunded),
        (*unpaid, PaymentCaptured, PaymentRefunded, PaymentRefunded),
        (*unpaid, PaymentAuthorized),
        (*unpaid, PaymentAuthorized, PaymentVoided),
        (*unpaid, PaymentAuthorized, PaymentCaptureFailed),
        (*unpaid, PaymentAuthorized, PaymentCaptureFailed, PaymentAuthorized),
        (*unpaid, PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured),
        (*unpaid, *paid),
        (*unpaid, *paid, PaymentRefunded),
    }


def test_a_capture_and_a_refund_have_the_authorized_amount() -> None:
    money = [
        (event.amount, event.currency)
        for event in stream(PAYMENT, [authorize, capture, refund])
        if isinstance(event, PaymentAuthorized | PaymentCaptured | PaymentRefunded)
    ]
    assert money == [(authorize.amount, authorize.currency)] * 3


AMOUNTS = st.integers(-100, 200_200).map(lambda cents: Decimal(cents).scaleb(-2)) | st.none()
REFUND_IDS = st.integers(1, 5).map(str)
REFUNDS = st.lists(
    st.builds(replace, st.just(refund), refund_id=REFUND_IDS, amount=AMOUNTS)
    | st.builds(replace, st.just(fail_refund), refund_id=REFUND_IDS),
    max_size=12,
)


@given(REFUNDS)
def test_refunds_never_exceed_what_was_captured_and_each_is_recorded_once(refunds: list[Command]) -> None:
    past: list[PaymentEvent] = []
    for _, events, payment in run(PAYMENT, [authorize, capture, *refunds]):
        past += events  # type: ignore[arg-type]
        done = [event for event in past if isinstance(event, PaymentRefunded)]
        assert payment.refunded == sum(event.amount for event in done) <= authorize.amount
        assert all(event.amount > 0 for event in done)
        assert payment.refunds == {event.refund_id for event in done}
        assert len(done) == len(payment.refunds)
        assert not payment.refunds & set(payment.refused_refunds)
        assert (payment.status is PaymentStatus.REFUNDED) == (payment.captured != 0 == payment.refundable)
        assert (payment.status is PaymentStatus.PARTLY_REFUNDED) == (payment.refundable > 0 != payment.refunded)
