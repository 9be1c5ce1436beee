"""Sums: what is added as an order goes on comes to the same as counting the orders as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.domain.message import Event, OrderId, Sku, payment_of
from core.domain.order import Item, Status
from core.domain.payment import PaymentEvent
from core.projections.customer_summary import CUSTOMER_SUMMARY
from core.projections.daily_sales import DAILY_SALES
from core.projections.inventory_level import INVENTORY_LEVEL
from core.projections.order_view import ORDER_VIEW, OrderView
from core.projections.product_demand import PRODUCT_DEMAND, shares
from core.projections.projection import RowKey, Sum, plus, total
from core.services.fold_events import fold, read
from tests.support.samples import (
    LAPTOP,
    NOW,
    authorized,
    cancelled,
    capture_failed,
    captured,
    confirmed,
    created,
    delivered,
    failed,
    part_refunded,
    refunded,
    released,
    replenished,
    reserved,
    rest_refunded,
    shipped,
    voided,
)
from tests.support.stored_events import fold_views, stored_events

PATHS: tuple[tuple[Any, ...], ...] = (
    (created,),
    (created, confirmed),
    (created, cancelled),
    (created, failed, cancelled),
    (created, authorized, confirmed, cancelled, voided),
    (created, authorized, confirmed, shipped),
    (created, authorized, confirmed, shipped, capture_failed, delivered),
    (created, authorized, confirmed, shipped, capture_failed, captured),
    (created, authorized, confirmed, shipped, captured, delivered),
    (created, authorized, confirmed, shipped, captured, part_refunded, delivered),
    (created, authorized, confirmed, shipped, captured, part_refunded, rest_refunded),
    (created, authorized, confirmed, shipped, delivered, captured, refunded),
)
CONFIRMED = (Status.CONFIRMED, Status.SHIPPED, Status.DELIVERED)


def added(one: Sum[Any, Any, Any], *path: Any) -> list[tuple[RowKey, tuple[Any, ...]]]:
    """What an order adds with each of its events."""
    changes: list[tuple[RowKey, tuple[Any, ...]]] = []
    before = None
    for n in range(1, len(path) + 1):
        [view] = fold_views(ORDER_VIEW, path[:n])
        changes += one.change(before, view)
        before = view
    return changes


PAID = Decimal("2001.48")
PART = Decimal("0.48")
TO_CAPTURE = (created, authorized, confirmed, shipped, captured)


def test_money_is_spent_when_it_is_captured_and_given_back_when_it_is_refunded() -> None:
    key = ("cust-1", "USD")
    assert added(CUSTOMER_SUMMARY, created, authorized, confirmed, shipped) == [(key, (1, 0, NOW))]
    assert added(CUSTOMER_SUMMARY, *TO_CAPTURE)[1:] == [(key, (0, PAID, NOW))]
    assert added(CUSTOMER_SUMMARY, *TO_CAPTURE, part_refunded)[2:] == [(key, (0, -PART, NOW))]
    assert added(CUSTOMER_SUMMARY, *TO_CAPTURE, part_refunded, rest_refunded)[3:] == [(key, (0, PART - PAID, NOW))]
    assert added(CUSTOMER_SUMMARY, *TO_CAPTURE, refunded)[2:] == [(key, (0, -PAID, NOW))]


def test_an_order_that_is_shipped_and_not_paid_has_brought_in_nothing() -> None:
    unpaid = (created, authorized, confirmed, shipped, capture_failed, delivered)
    assert total(added(CUSTOMER_SUMMARY, *unpaid)) == {("cust-1", "USD"): (1, 0, NOW)}
    assert total(added(DAILY_SALES, *unpaid)) == {(date(2026, 3, 14), "USD"): (1, 1, 0, 0)}
    assert total(added(PRODUCT_DEMAND, *unpaid))[LAPTOP, "USD"] == (2, 2, 0)


def test_the_demand_for_a_sku_counts_its_units_and_their_revenue() -> None:
    assert added(PRODUCT_DEMAND, created) == [((LAPTOP, "USD"), (2, 2, 0)), (("SKU-007", "USD"), (3, 3, 0))]
    assert added(PRODUCT_DEMAND, *TO_CAPTURE)[2] == ((LAPTOP, "USD"), (0, 0, Decimal("1999.98")))
    assert added(PRODUCT_DEMAND, *TO_CAPTURE, refunded)[4] == ((LAPTOP, "USD"), (0, 0, Decimal("-1999.98")))
    assert added(PRODUCT_DEMAND, created, cancelled)[2] == ((LAPTOP, "USD"), (0, -2, 0))
    assert added(PRODUCT_DEMAND, created, authorized, confirmed, shipped)[2:] == []


@pytest.mark.parametrize(
    ("paid", "prices", "expected"),
    [
        ("10.00", ["3.33", "3.33", "3.34"], ["3.33", "3.33", "3.34"]),
        ("5.00", ["3.33", "3.33", "3.34"], ["1.66", "1.67", "1.67"]),
        ("0.01", ["5.00", "5.00"], ["0.00", "0.01"]),
        ("0.02", ["0.01", "9999999999.98"], ["0.00", "0.02"]),
        ("0.00", ["5.00", "5.00"], ["0.00", "0.00"]),
        ("100", ["33", "33", "34"], ["33", "33", "34"]),  # yen, which have no decimals
        ("99", ["1", "1", "1"], ["33", "33", "33"]),
        ("1.000", ["0.333", "0.667"], ["0.333", "0.667"]),  # dinars, which have three
        ("0.005", ["0.333", "0.667"], ["0.001", "0.004"]),
        ("5", ["3.33", "3.33", "3.34"], ["1.66", "1.67", "1.67"]),
    ],
)
def test_what_is_paid_for_an_order_is_split_among_its_lines_to_the_last_unit_of_the_currency(
    paid: str, prices: list[str], expected: list[str]
) -> None:
    found = shares(Decimal(paid), [Decimal(price) for price in prices])
    assert found == [Decimal(share) for share in expected]
    assert sum(found) == Decimal(paid)


@given(
    prices=st.lists(st.integers(1, 10**13), min_size=1, max_size=200),
    part=st.fractions(0, 1),
    decimals=st.sampled_from([0, 2, 3]),
)
def test_the_shares_of_an_orders_lines_always_come_to_what_is_paid(
    prices: list[int], part: Fraction, decimals: int
) -> None:
    paid = Decimal(int(sum(prices) * part)).scaleb(-decimals)
    lines = [Decimal(price).scaleb(-decimals) for price in prices]
    found = shares(paid, lines)
    assert sum(found) == paid
    assert all(0 <= share <= line for share, line in zip(found, lines, strict=True))
    assert shares(sum(lines, Decimal(0)), lines) == lines


def test_the_daily_sales_count_the_orders_placed_on_each_day_and_what_they_brought_in() -> None:
    key = (date(2026, 3, 14), "USD")
    assert added(DAILY_SALES, created, authorized, confirmed, cancelled, voided) == [
        (key, (1, 0, 0, 0)),
        (key, (0, 1, 0, 0)),
        (key, (0, -1, 1, 0)),
    ]
    assert added(DAILY_SALES, *TO_CAPTURE, delivered)[2:] == [(key, (0, 0, 0, PAID))]
    assert added(DAILY_SALES, *TO_CAPTURE, part_refunded)[3:] == [(key, (0, 0, 0, -PART))]


def test_the_daily_sales_use_days_in_utc() -> None:
    midnight = datetime.fromisoformat("2026-03-15T00:30:00+01:00")
    assert added(DAILY_SALES, replace(created, created_at=midnight))[0][0] == (date(2026, 3, 14), "USD")


def test_the_same_sku_twice_in_an_order_is_added_up() -> None:
    line = Item(product_id="p", sku=LAPTOP, quantity=1, unit_price=Decimal("1.00"))
    events = (replace(created, items=(line, line)), authorized, replace(captured, amount=Decimal("2.00")))
    assert total(added(PRODUCT_DEMAND, *events)) == {(LAPTOP, "USD"): (2, 2, Decimal("2.00"))}


def test_adding_to_a_sum_keeps_the_later_of_two_times() -> None:
    assert plus([(1, NOW), (2, NOW - timedelta(days=1))]) == (3, NOW)


# --- any number of orders, in any order of events, in any batches -------------------------------------------
@st.composite
def histories(draw: st.DrawFn) -> Sequence[Event]:
    """Several orders of a few customers and some stock, their events mixed but each stream's own order kept."""
    streams: list[list[Any]] = []
    for n in range(draw(st.integers(1, 6))):
        order_id = OrderId(UUID(int=n + 1))
        items = tuple(
            Item(product_id="p", sku=Sku(sku), quantity=quantity, unit_price=Decimal(cents).scaleb(-2))
            for sku, quantity, cents in draw(
                st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 9), st.integers(1, 999)), min_size=1)
            )
        )
        first = replace(
            created,
            order_id=order_id,
            customer_id=draw(st.sampled_from(["ann", "bob"])),
            currency=draw(st.sampled_from(["USD", "EUR"])),
            items=items,
            total_amount=sum((i.quantity * i.unit_price for i in items), Decimal(0)),
            created_at=draw(st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 4))).replace(tzinfo=UTC),  # noqa: DTZ001
        )
        path = draw(st.sampled_from(PATHS))
        half = (first.total_amount / 2).quantize(Decimal("0.01"))
        amounts = {
            authorized: first.total_amount,
            captured: first.total_amount,
            refunded: first.total_amount,
            part_refunded: half,
            rest_refunded: first.total_amount - half,
        }
        mine: list[Any] = [first]
        for event in path[1:]:
            one = replace(event, order_id=order_id)
            if isinstance(one, PaymentEvent):
                one = replace(one, payment_id=payment_of(order_id))
            mine.append(replace(one, amount=amounts[event]) if event in amounts else one)
        streams.append(mine)
    streams.append([replenished, reserved, released, reserved])
    mixed = draw(st.permutations([n for n, stream in enumerate(streams) for _ in stream]))
    return [streams[n].pop(0) for n in mixed]


@given(histories(), st.data())
def test_the_views_and_sums_are_the_same_in_whatever_batches_events_are_folded(
    events: Sequence[Event], data: st.DataObject
) -> None:
    log = stored_events(events)
    orders: dict[Any, OrderView] = {}
    levels: dict[Any, Any] = {}
    sums: dict[str, list[Any]] = {one.name: [] for one in (CUSTOMER_SUMMARY, PRODUCT_DEMAND, DAILY_SALES)}
    start = 0
    while start < len(log):
        end = data.draw(st.integers(start + 1, len(log)))
        batch = log[start:end]
        after = fold(ORDER_VIEW, orders, read(ORDER_VIEW, batch))
        for one in (CUSTOMER_SUMMARY, PRODUCT_DEMAND, DAILY_SALES):
            sums[one.name] += total(c for k, view in after.items() for c in one.change(orders.get(k), view)).items()
        orders |= after
        levels |= fold(INVENTORY_LEVEL, levels, read(INVENTORY_LEVEL, batch))
        start = end

    assert list(levels.values()) == fold_views(INVENTORY_LEVEL, events)
    by_id = sorted(orders.values(), key=lambda v: v.order_id)
    assert by_id == sorted(fold_views(ORDER_VIEW, events), key=lambda v: v.order_id)
    assert total(sums["customer_summaries"]) == customers(by_id)
    assert total(sums["product_demand"]) == demand(by_id)
    assert total(sums["daily_sales"]) == sales(by_id)


def customers(orders: Sequence[OrderView]) -> dict[RowKey, tuple[Any, ...]]:
    mine: dict[RowKey, list[OrderView]] = {}
    for o in orders:
        mine.setdefault((o.customer_id, o.currency), []).append(o)
    return {
        key: (len(some), sum(o.captured_amount - o.refunded_amount for o in some), max(o.created_at for o in some))
        for key, some in mine.items()
    }


def demand(orders: Sequence[OrderView]) -> dict[RowKey, tuple[Any, ...]]:
    ordered: Counter[RowKey] = Counter()
    live: Counter[RowKey] = Counter()
    revenue: Counter[RowKey] = Counter()
    for o in orders:
        paid = o.captured_amount - o.refunded_amount
        for i, share in zip(o.items, shares(paid, [i.quantity * i.unit_price for i in o.items]), strict=True):
            key = (i.sku, o.currency)
            ordered[key] += i.quantity
            live[key] += 0 if o.status is Status.CANCELLED else i.quantity
            revenue[key] += share  # type: ignore[assignment]
    return {key: (ordered[key], live[key], revenue[key]) for key in ordered}


def sales(orders: Sequence[OrderView]) -> dict[RowKey, tuple[Any, ...]]:
    days = sorted({(o.created_at.date(), o.currency) for o in orders})
    rows: dict[RowKey, tuple[Any, ...]] = {}
    for key in days:
        some = [o for o in orders if (o.created_at.date(), o.currency) == key]
        rows[key] = (
            len(some),
            sum(o.status in CONFIRMED for o in some),
            sum(o.status is Status.CANCELLED for o in some),
            sum(o.captured_amount - o.refunded_amount for o in some),
        )
    return rows
