"""customer_summaries: for each customer and currency, the orders, the money spent, and when the last order came.

Money is spent when it is captured, and no longer spent when it is refunded.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from core.projections.order_view import OrderView, spent_since
from core.projections.projection import Amounts, RowKey, Sum


class CustomerKey(NamedTuple):
    customer_id: str
    currency: str


class CustomerAmounts(NamedTuple):
    orders: int
    spent: Decimal
    last_order_at: datetime


def change(before: OrderView | None, after: OrderView) -> Iterable[tuple[RowKey, Amounts]]:
    more = spent_since(before, after)
    if before is not None and not more:
        return ()
    return (((after.customer_id, after.currency), (int(before is None), more, after.created_at)),)


CUSTOMER_SUMMARY = Sum("customer_summaries", revision=2, key=CustomerKey, amounts=CustomerAmounts, change=change)
