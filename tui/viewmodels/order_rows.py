"""The columns of the list of orders: what each shows of an order, where there is room for it, and how it sorts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from core.printable import clean
from core.terminal_text import money
from tui.viewmodels.payments import payment_in_list
from tui.viewmodels.statuses import status_cell
from tui.viewmodels.text import Cell, age, money_within
from tui.wire import WireOrder

_AMOUNT = 17  # characters
_WIDE = 150  # cells of a list with room for everything
_ITEMS = 8  # of an order, that are written out


class OrderColumn(NamedTuple):
    """`width` 0 takes the room that is left; it is shown in lists of `from_width` cells or more.

    `sort` is what the API calls the value in it, for columns by which a list can be sorted.
    """

    name: str
    title: str
    width: int = 0
    right: bool = False
    from_width: int = 0
    sort: str = ""


_TROUBLES = {"failed": "✖ failed", "overdue": "▲ overdue", "retrying": "↻ retrying"}
TROUBLE = OrderColumn("saga", "SAGA, OPEN MONEY", 28, from_width=100)

COLUMNS = (
    OrderColumn("order", "ORDER", 14),
    OrderColumn("status", "STATUS", 11),
    OrderColumn("payment", "PAYMENT", 11),
    OrderColumn("customer", "CUSTOMER"),
    OrderColumn("amount", "AMOUNT", _AMOUNT, right=True, sort="total_amount"),
    OrderColumn("lines", "LINES", 5, right=True, from_width=100),
    OrderColumn("contents", "CONTENTS", from_width=100),
    OrderColumn("tracking", "TRACKING", 20, from_width=150),
    OrderColumn("city", "CITY", 16, from_width=150),
    OrderColumn("created", "CREATED UTC", 14, from_width=120, sort="created_at"),
    OrderColumn("changed", "CHANGED", 8, right=True, sort="updated_at"),
)


def cells(order: WireOrder, now: datetime) -> dict[str, Cell]:
    """What an order shows in each column, by the column's name."""
    contents = "  ".join(f"{item.sku}×{item.quantity}" for item in order.items[:_ITEMS])
    trouble = _TROUBLES.get(order.saga_state or "", "")
    open_money = money(order.open_amount, order.currency) if order.open_amount else ""
    return {
        "saga": Cell(f"{trouble}  {open_money}{' open' if open_money else ''}", "bad"),
        "order": Cell(clean(order.order_number)),
        "status": status_cell(order.status),
        "payment": payment_in_list(order, now),
        "customer": Cell(clean(order.customer_id)),
        "amount": Cell(money_within(_AMOUNT, order.total_amount, order.currency)),
        "lines": Cell(str(len(order.items)), "dim"),
        "contents": Cell(clean(contents), "dim"),
        "tracking": Cell(clean(order.tracking_number or ""), "dim"),
        "city": Cell(clean(order.shipping_address.city), "dim"),
        "created": Cell(order.created_at.strftime("%m-%d %H:%M:%S"), "dim"),
        "changed": Cell(age(order.updated_at, now), "dim"),
    }


def with_trouble(columns: Sequence[OrderColumn], orders: Iterable[WireOrder]) -> Sequence[OrderColumn]:
    """The columns to show: with one for the trouble of sagas if an order has some, which takes the room of others."""
    if all(order.saga_state is None for order in orders) or TROUBLE in columns:
        return columns
    contents = {column.name: column._replace(from_width=_WIDE) for column in columns if column.name == "contents"}
    rest = [contents.get(column.name, column) for column in columns[3:] if column.name != "lines"]
    return (*columns[:3], TROUBLE, *rest)


def narrow(shown: dict[str, Cell], order: WireOrder) -> dict[str, Cell]:
    """The same where there is no room for that column: trouble stands for the last change, open money for the total."""
    if order.saga_state is None:
        return shown
    trouble = _TROUBLES.get(order.saga_state, clean(order.saga_state, 20)).replace(" ", "").replace("ing", "")
    total = f"open {money_within(_AMOUNT - 5, order.open_amount, order.currency)}" if order.open_amount else ""
    return {**shown, "changed": Cell(trouble, "bad"), **({"amount": Cell(total, "bad")} if total else {})}


def columns_named(names: Sequence[str]) -> tuple[OrderColumn, ...]:
    """The columns with these names, in this order, shown at any width; raises ValueError for a name there is not."""
    known = {column.name: column for column in COLUMNS}
    for name in names:
        if name not in known:
            raise ValueError(f"no column {name}: there are {', '.join(known)}")
    return tuple(known[name]._replace(from_width=0) for name in names)


def title_of(column: OrderColumn, sort: str) -> str:
    """The heading, with an arrow at the column by which the list is sorted."""
    if column.sort and column.sort == sort.removeprefix("-"):
        return f"{column.title}{'▼' if sort.startswith('-') else '▲'}"
    return column.title


def sorted_by(sort: str) -> str:
    """`newest first` and so on: how a list is sorted, in words."""
    return SORTS.get(sort, sort)


SORTS = {
    "-created_at": "newest first",
    "created_at": "oldest first",
    "-updated_at": "last changed first",
    "updated_at": "longest unchanged first",
    "-total_amount": "largest amount first",
    "total_amount": "smallest amount first",
}
