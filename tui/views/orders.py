"""Orders: the list with live statuses, a filter, and what can be done with the chosen order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from core.printable import clean
from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.messages import Act, Copy, NewOrder, OpenView
from tui.pane import Pane
from tui.viewmodels.filters import FilterError, parse
from tui.viewmodels.payments import payment_in_list
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.statuses import CANCEL, legal, status_cell, why_not
from tui.viewmodels.text import Cell, age, money_within
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "orders",
    "Orders",
    (
        Action("n", "new_order", "new", "n", bar=True, danger=Danger.ASKS),
        Action("a", "advance", "advance…", "a", bar=True, danger=Danger.ASKS),
        Action("c", "cancel", "cancel…", "c", bar=True, danger=Danger.TYPED),
        Action("/", "filter", "filter", "/", bar=True),
        Action(".", "take_in", "take in new", ".", bar=True),
        Action("y", "copy", "copy the order's id", "y"),
    ),
)
_AMOUNT = 17  # characters
_COLUMNS = (
    Column("ORDER", 14),
    Column("STATUS", 11),
    Column("PAYMENT", 11),
    Column("CUSTOMER"),
    Column("AMOUNT", _AMOUNT, right=True),
    Column("LINES", 5, right=True, from_width=100),
    Column("CONTENTS", from_width=100),
    Column("TRACKING", 20, from_width=150),
    Column("CITY", 16, from_width=150),
    Column("CREATED UTC", 14, from_width=120),
    Column("CHANGED", 7, right=True),
)
_FLASH = 0.6  # seconds for which a changed status is highlighted
_HINT = "status:confirmed payment:refunded customer:… sku:… min:100 max:500, or an order number, SKU, tracking"


class OrdersView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.table = VirtualTable(_COLUMNS, desk.orders.view, self._row, id="orders-table")
        self.status = Line(id="orders-status")
        self.filter = Input(placeholder=_HINT, compact=True, select_on_focus=False, id="filter")
        self.filter_error = ""
        self._asking = False

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_paint(self) -> bool:
        return bool(self.desk.orders.changed_at)

    @property
    def needs_reading(self) -> bool:
        return self.desk.orders.phase == "error"

    def compose(self) -> ComposeResult:
        with Horizontal(classes="filter-bar"):
            yield Label("/", markup=False)
            yield self.filter
        yield self.status
        yield self.table

    def on_mount(self) -> None:
        self.reload()

    def enter(self, subject: str | None) -> None:  # noqa: ARG002 - it is opened for no order in particular
        self.paint()

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        orders = self.desk.orders
        orders.absorb(frame for _, frame in fresh)
        self._answer()

    def _answer(self) -> None:
        """Have the server say what the events could not."""
        if self.desk.orders.wants_answers and not self._asking:
            self._asking = True
            self.run_worker(self._catch_up, group="questions", exit_on_error=False)

    async def _catch_up(self) -> None:
        try:
            await self.desk.orders.catch_up()
        finally:
            self._asking = False
        self.paint()

    def reload(self, text: str | None = None, *, from_end: bool = False, after: float = 0) -> None:
        """Read the list again, with another filter text if one is given; an earlier reading under way is given up."""
        self.run_worker(partial(self._load, text, from_end, after), group="orders", exclusive=True, exit_on_error=False)

    async def _load(self, text: str | None, from_end: bool, after: float) -> None:  # noqa: FBT001 - private
        query = None
        if text is not None:
            await asyncio.sleep(after)
            try:
                query = parse(text)
            except FilterError as error:
                self.filter_error = str(error)
                self.paint()
                return
            self.filter_error = ""
        await self.desk.orders.search(query or self.desk.orders.query, from_end=from_end)
        self.paint()

    def paint(self) -> None:
        orders = self.desk.orders
        left = self._count()
        if self.filter_error:
            left = [Cell(f" ✖ {clean(self.filter_error)}", "bad")]
        elif orders.phase == "error":
            left = [Cell(f" ✖ {clean(orders.error)}", "bad"), Cell("  ctrl+r reads again", "dim")]
        self._answer()
        waiting = [Cell(f"▲ {orders.new:,} new (.)   ", "accent")] if orders.new else []
        rows = len(orders.window)
        place = [Cell(f"row {orders.view.cursor + 1:,}{self._of_total()} ", "dim")] if rows else []
        self.status.show(left, [*waiting, *place])
        self.table.say(*self._notice())
        self.table.repaint()

    def _count(self) -> list[Cell]:
        orders = self.desk.orders
        if orders.phase == "loading":
            return [Cell(" … reading the list", "dim")]
        filtered = bool(orders.query.params())
        total = "" if orders.total is None else f"{'~' if orders.estimated else ''}{orders.total:,} "
        noun = "order" if orders.total == 1 else "orders"
        return [Cell(f" {total}{noun}{' match' if filtered else ''}"), Cell("   newest first", "dim")]

    def _of_total(self) -> str:
        total = self.desk.orders.total
        return "" if total is None else f"/{'~' if self.desk.orders.estimated else ''}{total:,}"

    def _notice(self) -> Sequence[Cell]:
        orders = self.desk.orders
        if orders.phase == "error":
            return (
                Cell("The list could not be read", "bad"),
                Cell(clean(orders.error)),
                Cell("ctrl+r tries again", "dim"),
            )
        if orders.phase == "loading":
            return (Cell("reading the list …", "dim"),)
        if orders.query.params():
            return Cell("No order matches this filter"), Cell("esc clears it", "dim")
        return Cell("No orders yet"), Cell("n places the first one, or run `orderdeck demo` beside this deck", "dim")

    def _row(self, rank: int) -> Sequence[Cell] | None:
        order = self.desk.orders.window.get(rank)
        if order is None:
            return None
        status = status_cell(order.status)
        if self.desk.clock() - self.desk.orders.changed_at.get(order.order_id, -_FLASH) < _FLASH:
            status = Cell(status.text, "flash")
        contents = "  ".join(f"{item.sku}×{item.quantity}" for item in order.items[:8])
        return (
            Cell(clean(order.order_number)),
            status,
            payment_in_list(order, self.desk.now()),
            Cell(clean(order.customer_id)),
            Cell(money_within(_AMOUNT, order.total_amount, order.currency)),
            Cell(str(len(order.items)), "dim"),
            Cell(clean(contents), "dim"),
            Cell(clean(order.tracking_number or ""), "dim"),
            Cell(clean(order.shipping_address.city), "dim"),
            Cell(order.created_at.strftime("%m-%d %H:%M:%S"), "dim"),
            Cell(age(order.updated_at, self.desk.now()), "dim"),
        )

    @on(VirtualTable.Moved)
    def _extend(self) -> None:
        self.desk.orders.moved()
        self.paint()
        if self.desk.orders.phase == "ready":
            self.run_worker(self._fetch, group="extend", exit_on_error=False)

    async def _fetch(self) -> None:
        if await self.desk.orders.extend():
            self.paint()

    @on(VirtualTable.Edge)
    def _edge(self, event: VirtualTable.Edge) -> None:
        """Go to the very end of the list, which may be far beyond the rows that are held."""
        window = self.desk.orders.window
        if (window.older if event.last else window.newer) is not None:
            self.reload(from_end=event.last)

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if (order := self.desk.orders.chosen) is not None:
            self.post_message(OpenView("detail", order.order_id))

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self.reload(event.value, after=self.desk.debounce)

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.table)

    def back(self) -> bool:
        """Esc leads from the filter to the list, and then clears the filter; False when there is none to clear."""
        if self.filter.has_focus:
            self.screen.set_focus(self.table)
            return True
        if self.filter.value:
            self.filter.value = ""
            return True
        return False

    def refresh_now(self) -> None:
        self.reload(self.filter.value)

    def why_not(self, action: str) -> str | None:
        """The reason that a key does nothing now; None when it does something."""
        order = self.desk.orders.chosen
        if action in ("advance", "cancel", "open") and order is None:
            return "no order is chosen"
        if action == "take_in" and not self.desk.orders.new:
            return "no new orders wait"
        if order is None or action not in ("advance", "cancel"):
            return None
        if reason := self.desk.why_no_writes(order.order_id):
            return reason
        if action == "cancel":
            return why_not(CANCEL, order.status)
        return None if legal(order.status) else f"nothing more can be done to an order that is {order.status}"

    def action_take_in(self) -> None:
        self.run_worker(self._take_in, group="orders", exclusive=True, exit_on_error=False)

    async def _take_in(self) -> None:
        await self.desk.orders.take_in()
        self.paint()

    def action_filter(self) -> None:
        self.screen.set_focus(self.filter)  # at once, so that the next key already goes to it

    def action_new_order(self) -> None:
        self.post_message(NewOrder())

    def action_advance(self) -> None:
        if (order := self.desk.orders.chosen) is not None:
            self.post_message(Act(order))

    def action_cancel(self) -> None:
        if (order := self.desk.orders.chosen) is not None:
            self.post_message(Act(order, CANCEL))

    def action_copy(self) -> None:
        if (order := self.desk.orders.chosen) is not None:
            self.post_message(Copy(order.order_id, order.order_id))
