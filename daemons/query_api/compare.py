"""The query that compares two moments: how many orders were in each status, the money, and the stock of each SKU."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from litestar import get
from litestar.params import QueryParameter
from litestar.types import ASGIApp
from msgspec import Struct

from core import codec
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import OrderCounts
from core.ports.queries import LOG, CurrencySales
from core.projections.inventory_level import InventoryLevel
from core.services.past_reads import PastReads
from core.services.request_reads import RequestReads
from daemons.http.openapi import answers
from daemons.query_api.answers import Coming
from daemons.query_api.parameters import AnyRequest
from daemons.query_api.reads import past_reads
from daemons.query_api.response import json_response

MOST_SKUS = 1_000
PAGE = 100

From = Annotated[
    str,
    QueryParameter(name="from", min_length=1, max_length=40, description="A position or a time, as for `as_of`."),
]
To = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=40, description="A position or a time, as for `as_of`; without it, now."),
]


class ComparedPoint(Struct, kw_only=True):
    """Everything up to this position; `time` is null for now."""

    position: int
    time: datetime | None


class CountChange(Struct, kw_only=True):
    """A number as it was first and as it was last."""

    before: int
    after: int


class AmountChange(Struct, kw_only=True):
    before: Decimal
    after: Decimal


class SalesChange(Struct, kw_only=True):
    currency: str
    orders: CountChange
    confirmed: CountChange
    cancelled: CountChange
    revenue: AmountChange


class StockChange(Struct, kw_only=True):
    sku: str
    on_hand: CountChange
    reserved: CountChange
    available: CountChange


class Comparison(Struct, kw_only=True):
    """What changed between two moments. `statuses` and `payments` count the orders of each status.

    `estimated`: there are too many orders to count them quickly, so the counts are estimates.
    `stock` has the SKUs whose stock changed, of the first 1,000 in their order; `stock_cut`: there are more SKUs.
    """

    earlier: ComparedPoint
    later: ComparedPoint
    estimated: bool
    statuses: dict[str, CountChange]
    payments: dict[str, CountChange]
    sales: list[SalesChange]
    stock: list[StockChange]
    stock_cut: bool


@get("/api/v1/compare", responses=answers({200: Comparison, 202: Coming}, 409, 503))
async def compare(request: AnyRequest, start: From, to: To = None) -> ASGIApp:
    """What changed from one moment to another, or until now. 202 while the lists of one of them are being made."""
    earlier = await past_reads(request, "from", start)
    later: RequestReads = (
        await past_reads(request, "to", to) if to is not None else request.app.state["servers"].request()
    )
    counts, stocks, sales = await _both(earlier, later)
    answer = Comparison(
        earlier=await _point(earlier),
        later=await _point(later),
        estimated=any(each.total.estimated for each in counts),
        statuses=_changes(*({name: n.total for name, n in each.statuses.items()} for each in counts)),
        payments=_changes(*({name: n.total for name, n in each.payments.items()} for each in counts)),
        sales=_sales(*({one.currency: one for one in each} for each in sales)),
        stock=_stock_changes(*({str(level.sku): level for level in levels} for levels in stocks)),
        stock_cut=any(len(levels) >= MOST_SKUS for levels in stocks),
    )
    return json_response(codec.json(answer))


ROUTES = (compare,)


async def _both(
    *moments: RequestReads,
) -> tuple[Sequence[OrderCounts], Sequence[Sequence[InventoryLevel]], Sequence[Sequence[CurrencySales]]]:
    """What is compared, as of each moment. All that is not made yet is asked for before PastComing is raised."""
    everything = OrderQuery()
    questions: list[Awaitable[Any]] = []
    for reads in moments:
        questions += [reads.count_orders_by_status(everything), _stock(reads), reads.desk_totals()]
    found: list[Any] = await asyncio.gather(*questions, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found[0::3], found[1::3], [totals.sales for totals in found[2::3]]


async def _stock(reads: RequestReads) -> Sequence[InventoryLevel]:
    levels: list[InventoryLevel] = []
    while len(levels) < MOST_SKUS:
        page = await reads.stock_levels(after=levels[-1].sku if levels else "", limit=PAGE)
        levels += page
        if len(page) < PAGE:
            break
    return levels


async def _point(reads: RequestReads) -> ComparedPoint:
    if isinstance(reads, PastReads):
        return ComparedPoint(position=reads.point.position, time=reads.point.at)
    return ComparedPoint(position=await reads.position_of(LOG), time=None)


def _changes(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, CountChange]:
    return {
        name: CountChange(before=before.get(name, 0), after=after.get(name, 0)) for name in sorted({*before, *after})
    }


def _sales(before: Mapping[str, CurrencySales], after: Mapping[str, CurrencySales]) -> list[SalesChange]:
    return [
        SalesChange(
            currency=currency,
            revenue=AmountChange(before=_revenue(before.get(currency)), after=_revenue(after.get(currency))),
            orders=_change(before.get(currency), after.get(currency), "orders"),
            confirmed=_change(before.get(currency), after.get(currency), "confirmed"),
            cancelled=_change(before.get(currency), after.get(currency), "cancelled"),
        )
        for currency in sorted({*before, *after})
    ]


def _revenue(sales: CurrencySales | None) -> Decimal:
    return sales.revenue if sales is not None else Decimal(0)


def _stock_changes(before: Mapping[str, InventoryLevel], after: Mapping[str, InventoryLevel]) -> list[StockChange]:
    changes = [
        StockChange(
            sku=sku,
            on_hand=_change(before.get(sku), after.get(sku), "on_hand"),
            reserved=_change(before.get(sku), after.get(sku), "reserved"),
            available=_change(before.get(sku), after.get(sku), "available"),
        )
        for sku in sorted({*before, *after})
    ]
    return [each for each in changes if any(n.before != n.after for n in (each.on_hand, each.reserved, each.available))]


def _change(before: object, after: object, name: str) -> CountChange:
    """The change of one number of a row, which is 0 where there is no row."""
    return CountChange(before=getattr(before, name, 0), after=getattr(after, name, 0))
