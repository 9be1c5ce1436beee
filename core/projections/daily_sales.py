"""daily_sales: per UTC day of placing and currency, how many orders came, were sold or cancelled, and the revenue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from core.domain.order import Status
from core.projections.order_view import SOLD, OrderView, spent
from core.projections.projection import Amounts, RowKey, Sum


def change(before: OrderView | None, after: OrderView) -> Iterable[tuple[RowKey, Amounts]]:
    """Key: day, currency. Amounts: orders, confirmed, cancelled, revenue; a confirmed order that is cancelled moves."""
    orders = int(before is None)
    confirmed = int(after.status in SOLD) - int(before is not None and before.status in SOLD)
    cancelled = int(after.status is Status.CANCELLED) - int(before is not None and before.status is Status.CANCELLED)
    if orders or confirmed or cancelled:
        day = after.created_at.astimezone(UTC).date()
        yield (day, after.currency), (orders, confirmed, cancelled, spent(after) - spent(before))


DAILY_SALES = Sum(name="daily_sales", revision=1, change=change)
