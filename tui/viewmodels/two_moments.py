"""Comparison: what changed between two moments: the numbers of orders, the money, and the stock of each SKU."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from core.filters.log_places import place_in_log
from core.filters.words import FilterError
from core.printable import clean
from core.terminal_text import money
from tui.gateway import COMPARE, BeingMade, Gateway, GatewayError
from tui.past_gateway import once_made, parameter
from tui.wire import Count, Moment

NOW = "now"
MOST_ROWS = 5_000  # three for each SKU, of which the service names at most a thousand, and the other numbers
_BETWEEN = re.compile(r"\s*(?:\.\.|→|\s+to\s+)\s*")
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class WirePoint(Struct, frozen=True):
    """Everything up to this position; without a time it is now."""

    position: Count
    time: Moment | None = None


class WireCount(Struct, frozen=True):
    before: Number
    after: Number


class WireAmount(Struct, frozen=True):
    before: Decimal
    after: Decimal


class WireSales(Struct, frozen=True):
    currency: str
    orders: WireCount
    confirmed: WireCount
    cancelled: WireCount
    revenue: WireAmount


class StockChanged(Struct, frozen=True):
    sku: str
    on_hand: WireCount
    reserved: WireCount
    available: WireCount


class WireComparison(Struct, frozen=True):
    earlier: WirePoint
    later: WirePoint
    statuses: dict[str, WireCount]
    payments: dict[str, WireCount]
    sales: list[WireSales]
    stock: list[StockChanged]
    estimated: bool = False
    stock_cut: bool = False


class Heading(NamedTuple):
    """The line above a group of numbers."""

    text: str


class Changed(NamedTuple):
    """One number: what it counts, as it was, as it became, and by how much it changed. `fits`: the orders it counts."""

    name: str
    before: str
    after: str
    change: str
    fits: str = ""


Row = Heading | Changed


class Moments(NamedTuple):
    """The two moments of a comparison, as the query API takes them; `later` is `now` for now."""

    earlier: str
    later: str

    @property
    def text(self) -> str:
        return f"{self.earlier} .. {self.later}"


def two_moments(text: str, now: datetime) -> Moments:
    """The moments of `09:00`, `09:00 .. 10:30` or `#12 to now`; without a second one, up to now. Raises FilterError."""
    first, *others = _BETWEEN.split(text.strip(), maxsplit=1)
    if not first:
        raise FilterError("the moment to compare from is missing, as in 09:00 or -55m")
    last = others[0] if others else NOW
    return Moments(_moment(first, now), NOW if last.strip().lower() in ("", NOW) else _moment(last, now))


def _moment(text: str, now: datetime) -> str:
    place = place_in_log(text, now)
    if isinstance(place, datetime) and place > now:
        raise FilterError(f"{clean(text, 40)} is in the future")
    return parameter(place)


class ComparisonModel:
    """`making` says how far the lists of a moment are, while they are being made."""

    def __init__(self, gateway: Gateway, moments: Moments) -> None:
        self.gateway = gateway
        self.moments = moments
        self.answer: WireComparison | None = None
        self.error = ""
        self.making: BeingMade | None = None
        self.only_changed = False

    async def load(self, changed: Callable[[], None]) -> None:
        """Ask until it is answered; `changed` is called whenever there is something new to show."""
        asked = {"from": self.moments.earlier}
        if self.moments.later != NOW:
            asked["to"] = self.moments.later

        def told(making: BeingMade | None) -> None:
            self.making = making
            changed()

        try:
            answer = await once_made(lambda: self.gateway.read(COMPARE, WireComparison, asked), told)
        except GatewayError as error:
            self.error = str(error)
        else:
            self.answer, self.error = answer, ""

    def rows(self) -> list[Row]:
        """Every number that there was or is, group by group; or those alone that changed."""
        answer = self.answer
        if answer is None:
            return []
        groups: list[tuple[str, list[Changed]]] = [
            (f"ORDERS{' (estimated)' if answer.estimated else ''}", _counts(answer.statuses, "status")),
            ("THEIR PAYMENTS", _counts(answer.payments, "payment")),
            *((f"MONEY IN {clean(each.currency, 10)}", _sales(each)) for each in answer.sales),
            (_stock_heading(answer), [row for each in answer.stock for row in _stock(each)]),
        ]
        rows: list[Row] = []
        for heading, numbers in groups:
            shown = [row for row in numbers if row.change or not self.only_changed]
            if shown or heading.startswith("STOCK"):
                rows += [Heading(heading), *shown]
        return rows[:MOST_ROWS]


def _stock_heading(answer: WireComparison) -> str:
    many = len(answer.stock)
    of = " of the first 1,000" if answer.stock_cut else ""
    return f"STOCK: {'nothing' if not many else f'{many:,} SKU' if many == 1 else f'{many:,} SKUs'}{of} changed"


def _counts(counts: Mapping[str, WireCount], field: str) -> list[Changed]:
    total = WireCount(sum(each.before for each in counts.values()), sum(each.after for each in counts.values()))
    rows = [_number(clean(name.lower(), 24), each, f"{field}:{name.lower()}") for name, each in counts.items()]
    return [*rows, _number("all", total)] if field == "status" else rows


def _sales(sales: WireSales) -> list[Changed]:
    code = clean(sales.currency, 10)
    return [
        _number("orders placed", sales.orders, f"currency:{code}"),
        _number("confirmed", sales.confirmed),
        _number("cancelled", sales.cancelled),
        _amount("revenue", sales.revenue, code),
    ]


def _stock(stock: StockChanged) -> list[Changed]:
    """The numbers of a SKU that changed."""
    sku = clean(stock.sku, 40)
    numbers = (("on hand", stock.on_hand), ("reserved", stock.reserved), ("available", stock.available))
    return [_number(f"{sku}  {name}", each, _fits_sku(sku)) for name, each in numbers if each.before != each.after]


def _fits_sku(sku: str) -> str:
    """The filter for the orders with this SKU, which may have blanks and commas."""
    escaped = sku.replace('"', '\\"')
    return f'sku:"{escaped}"'


def _number(name: str, count: WireCount, fits: str = "") -> Changed:
    more = count.after - count.before
    return Changed(name, f"{count.before:,}", f"{count.after:,}", f"{more:+,}" if more else "", fits)


def _amount(name: str, amount: WireAmount, currency: str) -> Changed:
    try:
        more = amount.after - amount.before
        change = f"{'+' if more > 0 else ''}{money(more, currency)}" if more else ""
        return Changed(name, money(amount.before, currency), money(amount.after, currency), change)
    except (InvalidOperation, ValueError):  # what the service sent is no number
        return Changed(name, "?", "?", "?")


def point_named(point: WirePoint) -> str:
    when = "now" if point.time is None else f"{point.time:%Y-%m-%d %H:%M:%S} UTC"
    if not point.position:
        return f"{when if point.time is not None else ''} (before the first event)".strip()
    return f"{when} (position {point.position:,})"


def progress(making: BeingMade) -> str:
    """A bar and numbers: how much of what is being made is there, how fast it goes and when it is done."""
    if making.waits_for:
        return f"waits until 1 of {making.waits_for:,} other moments is unused for 20 s"
    part = min(1.0, making.done / making.position) if making.position else 0.0
    bar = "█" * int(part * 10) + "░" * (10 - int(part * 10))
    left = "" if making.seconds_left is None else f", {making.seconds_left:,.0f} s left"
    return f"{bar} {part:.0%} of {making.position:,} events{left}"


def tone_of(row: Changed) -> str:
    return "" if not row.change else "good" if row.change.startswith("+") else "warn"
