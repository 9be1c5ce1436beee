"""product_demand: for each SKU and currency, the units ordered, those of them not cancelled, and the revenue."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from core.domain.message import Sku
from core.domain.order import Status
from core.projections.order_view import SOLD, OrderView
from core.projections.projection import Sum


class DemandKey(NamedTuple):
    sku: Sku
    currency: str


class DemandAmounts(NamedTuple):
    """`units_live` are the units in orders that were not cancelled."""

    units_ordered: int
    units_live: int
    revenue: Decimal


def change(before: OrderView | None, after: OrderView) -> Iterable[tuple[DemandKey, DemandAmounts]]:
    ordered = int(before is None)
    live = _live(after) - _live(before)
    sold = _sold(after) - _sold(before)
    if not (ordered or live or sold):
        return
    for item in after.items:
        revenue = sold * item.quantity * item.unit_price if sold else Decimal(0)
        yield (
            DemandKey(item.sku, after.currency),
            DemandAmounts(ordered * item.quantity, live * item.quantity, revenue),
        )


def _live(view: OrderView | None) -> int:
    return int(view is not None and view.status is not Status.CANCELLED)


def _sold(view: OrderView | None) -> int:
    return int(view is not None and view.status in SOLD)


PRODUCT_DEMAND = Sum("product_demand", revision=1, key=DemandKey, amounts=DemandAmounts, change=change)
