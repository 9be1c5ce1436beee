"""The lines around the list of orders: how many match, how they are sorted, where the cursor is, why there are none."""

from __future__ import annotations

from collections.abc import Sequence

from core.printable import clean
from tui.viewmodels.order_rows import sorted_by
from tui.viewmodels.orders import OrdersModel
from tui.viewmodels.text import Cell


def count_cells(orders: OrdersModel, marked: int) -> list[Cell]:
    if orders.phase == "error":
        return [Cell(f" ✖ {clean(orders.error)}", "bad"), Cell("  ctrl+r reads again", "dim")]
    if orders.phase == "loading":
        return [Cell(" … reading the list", "dim")]
    total = "" if orders.total is None else f"{'~' if orders.estimated else ''}{orders.total:,} "
    noun = "order" if orders.total == 1 else "orders"
    match = " match" if orders.shown.filtered else ""
    marks = [Cell(f"   {marked:,} marked", "accent")] if marked else []
    return [Cell(f" {total}{noun}{match}"), Cell(f"   {sorted_by(orders.shown.sort)}", "dim"), *marks]


def place_cells(orders: OrdersModel) -> list[Cell]:
    waiting = [Cell(f"▲ {orders.new:,} new (.)   ", "accent")] if orders.new else []
    if not len(orders.window):
        return waiting
    of_total = "" if orders.total is None else f"/{'~' if orders.estimated else ''}{orders.total:,}"
    return [*waiting, Cell(f"row {orders.view.cursor + 1:,}{of_total} ", "dim")]


def notice(orders: OrdersModel) -> Sequence[Cell]:
    """Why the list has no rows, and what to do."""
    if orders.phase == "error":
        return (
            Cell("The list could not be read", "bad"),
            Cell(clean(orders.error)),
            Cell("ctrl+r tries again", "dim"),
        )
    if orders.phase == "loading":
        return (Cell("reading the list …", "dim"),)
    if orders.shown.filtered:
        return Cell("No order matches this filter"), Cell("esc clears it", "dim")
    return Cell("No orders yet"), Cell("n places the first one, or run `orderdeck demo` beside this deck", "dim")
