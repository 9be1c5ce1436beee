"""product_demand: for each SKU and currency, the units ordered, those of them not cancelled, and the revenue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from operator import sub
from typing import NamedTuple

from core.domain.message import Sku
from core.projections.order_view import CANCELLED, OrderView, spent, spent_since
from core.projections.projection import Amounts, RowKey, Sum


class DemandKey(NamedTuple):
    sku: Sku
    currency: str


class DemandAmounts(NamedTuple):
    """`units_live` are the units in orders that were not cancelled.

    `revenue` is the SKU's share of what was captured and not refunded.
    """

    units_ordered: int
    units_live: int
    revenue: Decimal


def change(before: OrderView | None, after: OrderView) -> Iterable[tuple[RowKey, Amounts]]:
    ordered = int(before is None)
    live = (after.status is not CANCELLED) - (before is not None and before.status is not CANCELLED)
    paid = spent_since(before, after)
    if not (ordered or live or paid):
        return ()
    if len(after.items) == 1 and (not paid or after.items[0].unit_price):  # all of it is the one line's
        [item] = after.items
        return (((item.sku, after.currency), (ordered * item.quantity, live * item.quantity, paid)),)
    more: Iterable[Decimal] = [paid] * len(after.items)
    if paid:
        lines = [item.quantity * item.unit_price for item in after.items]
        more = map(sub, shares(spent(after), lines), shares(spent(before), lines))
    return [
        ((item.sku, after.currency), (ordered * item.quantity, live * item.quantity, revenue))
        for item, revenue in zip(after.items, more, strict=True)
    ]


def shares(paid: Decimal, lines: Sequence[Decimal]) -> Sequence[Decimal]:
    """What each line of an order has brought in: its part of the amount paid, in proportion to its price.

    The shares come to exactly `paid`, in the smallest unit that the amounts are written in. For that, not the shares
    are rounded, but the sums of the first line, the first two lines, and so on. So the same order always gives the same
    shares, and an order that is paid in full gives the price of each line.
    """
    if not paid:
        return [paid] * len(lines)
    exponent = min(int(amount.as_tuple().exponent) for amount in (paid, *lines))
    units = [int(line.scaleb(-exponent)) for line in lines]
    paid_units, whole = int(paid.scaleb(-exponent)), sum(units) or 1
    found: list[Decimal] = []
    price = given = 0
    for line in units:
        price += line
        upto = paid_units * price // whole
        found.append(Decimal(upto - given).scaleb(exponent))
        given = upto
    return found


PRODUCT_DEMAND = Sum("product_demand", revision=2, key=DemandKey, amounts=DemandAmounts, change=change)
