"""daily_sales: for each currency and UTC day, how many orders were placed, confirmed and cancelled, and the revenue.

An order counts on the day on which it was placed, with all that becomes of it: what is captured later is revenue of
that day, and a refund lowers the revenue of that day, whenever it is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date
from decimal import Decimal
from typing import NamedTuple

from core.projections.order_view import CANCELLED, CONFIRMED, OrderView, spent_since
from core.projections.projection import Amounts, RowKey, Sum


class SalesKey(NamedTuple):
    day: date
    currency: str


class SalesAmounts(NamedTuple):
    """`confirmed` and `cancelled` say what became of the orders, `revenue` what was captured and not refunded."""

    orders: int
    confirmed: int
    cancelled: int
    revenue: Decimal


def change(before: OrderView | None, after: OrderView) -> Iterable[tuple[RowKey, Amounts]]:
    """What an order adds to its row. A confirmed order that is cancelled no longer counts as confirmed."""
    orders = int(before is None)
    confirmed = (after.status in CONFIRMED) - (before is not None and before.status in CONFIRMED)
    cancelled = (after.status is CANCELLED) - (before is not None and before.status is CANCELLED)
    revenue = spent_since(before, after)
    if not (orders or confirmed or cancelled or revenue):
        return ()
    day = after.created_at.astimezone(UTC).date()
    return (((day, after.currency), (orders, confirmed, cancelled, revenue)),)


DAILY_SALES = Sum("daily_sales", revision=2, key=SalesKey, amounts=SalesAmounts, change=change)
