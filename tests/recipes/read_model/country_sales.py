"""country_sales: per country of delivery and currency, how many orders came and how much was sold."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from core.projections.order_view import OrderView, spent
from core.projections.projection import Sum


class CountryKey(NamedTuple):
    country: str
    currency: str


class CountryAmounts(NamedTuple):
    orders: int
    revenue: Decimal


def change(before: OrderView | None, after: OrderView) -> Iterable[tuple[CountryKey, CountryAmounts]]:
    more = spent(after) - spent(before)
    if before is None or more:
        yield (
            CountryKey(after.shipping_address.country, after.currency),
            CountryAmounts(orders=int(before is None), revenue=more),
        )


COUNTRY_SALES = Sum("country_sales", revision=1, key=CountryKey, amounts=CountryAmounts, change=change)
