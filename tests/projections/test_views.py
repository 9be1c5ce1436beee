"""Orders and stock as they read: given events, then one view."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from core import codec
from core.domain.inventory import InventoryReservationFailed
from core.domain.message import Event, Sku
from core.domain.order import Status
from core.domain.payment import PaymentStatus
from core.errors import EventNotApplied
from core.projections import GROUPS, ORDERS, STOCK
from core.projections.inventory_level import INVENTORY_LEVEL, InventoryLevel
from core.projections.order_view import ORDER_VIEW, OrderView
from core.projections.projection import At
from core.services.fold_events import fold, read
from tests.support.samples import (
    ADDRESS,
    ITEMS,
    LAPTOP,
    NOW,
    ORDER_ID,
    authorized,
    cancelled,
    capture_failed,
    captured,
    confirmed,
    created,
    delivered,
    failed,
    part_refunded,
    refund_failed,
    refunded,
    released,
    replenished,
    reserved,
    rest_refunded,
    shipped,
    stock_shipped,
    voided,
)
from tests.support.stored_events import at, fold_views, stored_events

placed = OrderView(
    order_id=ORDER_ID,
    customer_id="cust-1",
    order_number="ORD-0123456789",
    status=Status.CREATED,
    payment_status=PaymentStatus.ABSENT,
    total_amount=Decimal("2001.48"),
    authorized_amount=Decimal("0.00"),
    captured_amount=Decimal("0.00"),
    refunded_amount=Decimal("0.00"),
    currency="USD",
    items=ITEMS,
    shipping_address=ADDRESS,
    tracking_number=None,
    carrier=None,
    payment_expires_at=None,
    created_at=NOW,
    updated_at=at(1),
    version=1,
    payment_version=0,
)


def test_the_view_of_a_new_order_has_everything_it_was_placed_with() -> None:
    assert fold_views(ORDER_VIEW, [created]) == [placed]


@pytest.mark.parametrize(
    ("events", "status", "tracking"),
    [
        ([confirmed], Status.CONFIRMED, None),
        ([cancelled], Status.CANCELLED, None),
        ([confirmed, cancelled], Status.CANCELLED, None),
        ([confirmed, shipped], Status.SHIPPED, "1Z999"),
        ([confirmed, shipped, delivered], Status.DELIVERED, "1Z999"),
    ],
)
def test_the_view_of_an_order_has_the_status_version_and_shipment_of_its_events(
    events: list[object], status: Status, tracking: str | None
) -> None:
    [view] = fold_views(ORDER_VIEW, [created, *events])  # type: ignore[list-item]
    moved = {"status": status, "version": 1 + len(events), "updated_at": at(1 + len(events))}
    assert view == replace(placed, **moved, tracking_number=tracking, carrier="UPS" if tracking else None)


def test_the_stored_document_of_a_view_is_read_back_as_the_same_view() -> None:
    document = codec.json(placed)
    assert b'"total_amount":2001.48' in document
    assert msgspec.json.decode(document, type=OrderView) == placed


PAID = Decimal("2001.48")


@pytest.mark.parametrize(
    ("events", "status", "authorized_amount", "captured_amount", "refunded_amount"),
    [
        ([authorized], PaymentStatus.AUTHORIZED, PAID, 0, 0),
        ([failed], PaymentStatus.FAILED, 0, 0, 0),
        ([authorized, voided], PaymentStatus.VOIDED, PAID, 0, 0),
        ([authorized, captured], PaymentStatus.CAPTURED, PAID, PAID, 0),
        ([authorized, captured, part_refunded], PaymentStatus.PARTLY_REFUNDED, PAID, PAID, Decimal("0.48")),
        ([authorized, captured, refunded], PaymentStatus.REFUNDED, PAID, PAID, PAID),
        ([authorized, captured, part_refunded, rest_refunded], PaymentStatus.REFUNDED, PAID, PAID, PAID),
        ([authorized, captured, refund_failed], PaymentStatus.CAPTURED, PAID, PAID, 0),
        ([authorized, capture_failed], PaymentStatus.UNPAID, PAID, 0, 0),
        ([authorized, capture_failed, captured], PaymentStatus.CAPTURED, PAID, PAID, 0),
    ],
)
def test_the_view_of_an_order_has_the_state_of_its_payment_and_how_much_of_it_was_moved(
    events: list[Event],
    status: PaymentStatus,
    authorized_amount: Decimal,
    captured_amount: Decimal,
    refunded_amount: Decimal,
) -> None:
    [view] = fold_views(ORDER_VIEW, [created, *events])
    assert view == replace(
        placed,
        payment_status=status,
        authorized_amount=authorized_amount,
        captured_amount=captured_amount,
        refunded_amount=refunded_amount,
        payment_version=len(events),
        updated_at=at(1 + len(events)),
    )


def test_an_order_that_is_refunded_can_be_delivered_and_shows_both() -> None:
    [view] = fold_views(ORDER_VIEW, [created, confirmed, authorized, shipped, captured, refunded, delivered])
    assert (view.status, view.payment_status) == (Status.DELIVERED, PaymentStatus.REFUNDED)
    assert (view.version, view.payment_version) == (4, 3)


def test_events_of_an_order_and_of_its_payment_give_the_same_view_in_whatever_order_they_are_folded() -> None:
    log = stored_events([created, authorized, confirmed, shipped, captured, part_refunded, delivered])
    order, payment = ([e for e in log if e.category == category] for category in ("order", "payment"))
    [expected] = fold(ORDER_VIEW, {}, read(ORDER_VIEW, log)).values()
    [first] = fold(ORDER_VIEW, {}, read(ORDER_VIEW, order)).values()
    assert first.payment_status is PaymentStatus.ABSENT
    for again in ([*order, *payment], [order[0], *payment, *order[1:]], [*order, *payment, *order, *payment]):
        assert list(fold(ORDER_VIEW, {}, read(ORDER_VIEW, again)).values()) == [expected]


def test_a_payment_without_an_order_has_no_view() -> None:
    assert fold_views(ORDER_VIEW, [authorized, captured]) == []


def test_events_of_other_categories_do_not_change_a_view() -> None:
    events = stored_events([created, reserved, authorized, replenished])
    assert [stored for _, _, stored, _ in read(ORDER_VIEW, events)] == [events[0], events[2]]


def test_an_event_that_a_view_does_not_declare_changes_only_its_version() -> None:
    [first, second] = stored_events([created, confirmed])
    later = replace(second, event_type="OrderFrozen", schema_version=9, payload="not even JSON")
    [view] = fold(ORDER_VIEW, {}, read(ORDER_VIEW, [first, later])).values()
    assert view == replace(placed, version=2, updated_at=at(2))
    stock = [replace(event, event_type="StockCounted") for event in stored_events([replenished, reserved])[1:]]
    [level] = fold(INVENTORY_LEVEL, {stock[0].stream: full}, read(INVENTORY_LEVEL, stock)).values()
    assert level == replace(full, version=2, updated_at=at(2))
    log = stored_events([created, authorized])
    log = [log[0], replace(log[1], event_type="PaymentFrozen", payload="not even JSON")]
    [view] = fold(ORDER_VIEW, {}, read(ORDER_VIEW, log)).values()
    assert view == replace(placed, payment_version=1, updated_at=at(2))


def test_a_stream_that_begins_with_an_event_the_view_does_not_declare_has_no_view() -> None:
    [event] = stored_events([created])
    assert fold(ORDER_VIEW, {}, read(ORDER_VIEW, [replace(event, event_type="OrderFrozen")])) == {}


def test_folding_an_event_into_a_view_twice_changes_nothing_the_second_time() -> None:
    events = stored_events([created, confirmed, authorized, shipped, captured, part_refunded])
    before = fold(ORDER_VIEW, {}, read(ORDER_VIEW, events))
    assert fold(ORDER_VIEW, before, read(ORDER_VIEW, events)) == {}


def test_an_order_whose_beginning_is_missing_has_no_view() -> None:
    assert fold_views(ORDER_VIEW, [confirmed]) == []


def test_an_event_of_no_order_leaves_the_view_of_an_order_as_it_is() -> None:
    assert ORDER_VIEW.evolve(placed, reserved, At(2, at(2))) == placed


def test_the_error_of_a_fold_names_an_event_that_cannot_be_read() -> None:
    [event] = stored_events([created])
    with pytest.raises(EventNotApplied) as stopped:
        fold(ORDER_VIEW, {}, read(ORDER_VIEW, [replace(event, position=7, payload="{}")]))
    assert (stopped.value.position, stopped.value.event_type) == (7, "OrderCreated")


def test_the_error_of_a_fold_names_the_event_it_fails_on() -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    events = read(ORDER_VIEW, stored_events([created]))
    with pytest.raises(EventNotApplied, match="OrderCreated at position 1"):
        fold(dataclasses.replace(ORDER_VIEW, evolve=broken), {}, events)


full = InventoryLevel(
    sku=LAPTOP, product_id="prod-1", name="Laptop", on_hand=10, available=10, updated_at=at(1), version=1
)
refused = InventoryReservationFailed(sku=LAPTOP, order_id=ORDER_ID, requested=4, available=0, reason="out of stock")


@pytest.mark.parametrize(
    ("events", "on_hand", "held", "available"),
    [
        ([], 10, 0, 10),
        ([reserved], 10, 4, 6),
        ([reserved, released], 10, 0, 10),
        ([reserved, stock_shipped], 6, 0, 6),
        ([refused], 10, 0, 10),
        ([replace(replenished, product_id=None, name=None)], 20, 0, 20),
    ],
)
def test_the_view_of_stock_has_what_is_on_hand_reserved_and_available(
    events: list[object], on_hand: int, held: int, available: int
) -> None:
    [level] = fold_views(INVENTORY_LEVEL, [replenished, *events])  # type: ignore[list-item]
    version = 1 + len(events)
    assert level == replace(
        full, on_hand=on_hand, reserved=held, available=available, version=version, updated_at=at(version)
    )


def test_a_sku_that_was_never_received_is_listed_empty_once_an_order_asks_for_it() -> None:
    [level] = fold_views(INVENTORY_LEVEL, [replace(refused, sku=Sku("GHOST"))])
    assert (level.sku, level.on_hand, level.available, level.version) == ("GHOST", 0, 0, 1)


def test_a_view_has_the_id_of_the_stream_it_is_folded_from() -> None:
    assert ORDER_VIEW.stream(placed) == stored_events([created])[0].stream
    assert INVENTORY_LEVEL.stream(full) == stored_events([replenished])[0].stream


def test_the_revision_of_a_group_names_its_own_read_models_only() -> None:
    assert ORDERS.revision == "order_views:2 customer_summaries:2 product_demand:2 daily_sales:2"
    assert STOCK.revision == "inventory_levels:2"


def test_every_read_model_is_in_one_group() -> None:
    names = [model.name for group in GROUPS for model in group.models]
    assert len(set(names)) == len(names)
    assert len({group.reader for group in GROUPS}) == len(GROUPS)
