"""customer_summaries: per customer and currency how many orders, how much spent, and when the last order came."""

from __future__ import annotations

from collections.abc import Iterable

from core.projections.order_view import OrderView, spent
from core.projections.projection import Amounts, RowKey, Sum


def change(before: OrderView | None, after: OrderView) -> Iterable[tuple[RowKey, Amounts]]:
    """Key: customer, currency. Amounts: orders, spent, last_order_at."""
    more = spent(after) - spent(before)
    if before is None or more:
        yield (after.customer_id, after.currency), (int(before is None), more, after.created_at)


CUSTOMER_SUMMARY = Sum(name="customer_summaries", revision=1, change=change)
