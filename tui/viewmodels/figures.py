"""Figures: how many orders there were in each status, the money, and the stock of each SKU, at one moment."""

from __future__ import annotations

import asyncio
from decimal import Decimal, InvalidOperation
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from core.printable import clean
from core.terminal_text import counted, money
from tui.gateway import Gateway, GatewayError
from tui.wire import Count

MOST_SKUS = 1_000
_PAGE = 100
Level = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class _Total(Struct, frozen=True):
    total: Count = 0
    estimated: bool = False


class _Counts(Struct, frozen=True):
    total: _Total
    statuses: dict[str, _Total]
    payments: dict[str, _Total]


class _Sales(Struct, frozen=True):
    currency: str
    orders: Count
    confirmed: Count
    cancelled: Count
    revenue: Decimal


class _Totals(Struct, frozen=True):
    sales: list[_Sales]


class WireLevel(Struct, frozen=True):
    sku: str
    on_hand: Level
    reserved: Level
    available: Level


class _Levels(Struct, frozen=True):
    items: list[WireLevel]
    next_cursor: str | None = None


class Figure(NamedTuple):
    """One line: a heading without a number, or what was counted, and the filter for the orders that it counts."""

    name: str
    number: str = ""
    more: str = ""
    fits: str = ""


class FiguresModel:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.figures: list[Figure] = []
        self.error = ""
        self.loading = False

    def forget(self) -> None:
        self.figures, self.error, self.loading = [], "", True

    async def load(self) -> None:
        self.loading = True
        try:
            counts, totals, levels = await asyncio.gather(
                self.gateway.read("/api/v1/orders/counts", _Counts),
                self.gateway.read("/api/v1/stats", _Totals),
                self._levels(),
            )
        except GatewayError as error:
            self.error = str(error)
        else:
            self.error, self.figures = "", [*_orders(counts), *_money(totals), *_stock(levels)]
        self.loading = False

    async def _levels(self) -> list[WireLevel]:
        levels, cursor = list[WireLevel](), None
        while len(levels) < MOST_SKUS:
            asked = {"limit": str(_PAGE)} | ({"cursor": cursor} if cursor is not None else {})
            page = await self.gateway.read("/api/v1/inventory", _Levels, asked)
            levels += page.items[:_PAGE]
            cursor = page.next_cursor
            if cursor is None or not page.items:
                break
        return levels


def _orders(counts: _Counts) -> list[Figure]:
    figures = [Figure("ORDERS"), Figure("all", _count(counts.total))]
    for heading, field, each in (("", "status", counts.statuses), ("THEIR PAYMENTS", "payment", counts.payments)):
        figures += [Figure(heading)] if heading else []
        for name, total in list(each.items())[:50]:
            named = clean(name.lower(), 24)
            figures.append(Figure(named, _count(total), fits=f"{field}:{named}"))
    return figures


def _count(total: _Total) -> str:
    return f"{'~' if total.estimated else ''}{total.total:,}"


def _money(totals: _Totals) -> list[Figure]:
    figures = list[Figure]()
    for sales in totals.sales[:200]:
        code = clean(sales.currency, 10)
        figures += [
            Figure(f"MONEY IN {code}"),
            Figure("orders placed", f"{sales.orders:,}", fits=f"currency:{code}"),
            Figure("confirmed", f"{sales.confirmed:,}"),
            Figure("cancelled", f"{sales.cancelled:,}"),
            Figure("revenue", _amount(sales.revenue, code)),
        ]
    return figures


def _amount(amount: Decimal, currency: str) -> str:
    try:
        return money(amount, currency)
    except (InvalidOperation, ValueError):  # what the service sent is no number
        return "?"


def _stock(levels: list[WireLevel]) -> list[Figure]:
    cut = f", the first {MOST_SKUS:,}" if len(levels) >= MOST_SKUS else ""
    return [
        Figure(f"STOCK: {counted(len(levels), 'SKU')}{cut}"),
        *(
            Figure(
                clean(level.sku, 40), f"{level.available:,}", f"{level.on_hand:,} on hand, {level.reserved:,} reserved"
            )
            for level in levels[:MOST_SKUS]
        ),
    ]
