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
from textual.worker import Worker

from core.filters.order_language import parse
from core.filters.words import FilterError
from core.printable import clean
from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.order_lists import ask_bulk, ask_saved_view, ask_sort
from tui.messages import Act, Awaited, Copy, Missed, NewOrder, OpenView, Say
from tui.pane import Pane
from tui.viewmodels.order_lines import count_cells, notice, place_cells
from tui.viewmodels.order_rows import TROUBLE, OrderColumn, cells, narrow, title_of, with_trouble
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.saved_views import SavedView
from tui.viewmodels.statuses import CANCEL, legal, why_not
from tui.viewmodels.text import Cell
from tui.widgets.filter_text import put_text
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
        Action("o", "sort", "sort…", "o"),
        Action("v", "views", "saved views…", "v"),
        Action("space", "mark", "mark, unmark", "space"),
        Action("b", "bulk", "many orders…", "b", danger=Danger.TYPED),
        Action("y", "copy", "copy the order's id", "y"),
    ),
)
_MARK = Column("", 1)
_FLASH = 0.6  # seconds for which a changed status is highlighted
_HINT = "status:created saga:stuck customer:… min:100, or a number, SKU, tracking, id"


class OrdersView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.shown: Sequence[OrderColumn] = desk.columns
        self.table = VirtualTable(self._columns(), desk.orders.view, self._row, id="orders-table")
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
        self.call_after_refresh(self.reload)  # the first picture does not wait for it

    def enter(self, subject: str | None) -> None:
        """`subject` is a text for the filter, as the command line gives it."""
        if subject is not None and subject != self.filter.value:
            self._show_text(subject)
        self.paint()

    def _show_text(self, text: str, sort: str = "") -> None:
        put_text(self.filter, text)
        self.post_message(Awaited(self.reload(text, sort=sort)))  # the next key is meant for the orders that match

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

    def reload(
        self, text: str | None = None, *, sort: str = "", from_end: bool = False, after: float = 0
    ) -> Worker[None]:
        """Read the list again, with another filter text or sort if given; an earlier reading under way is given up."""
        load = partial(self._load, text, sort, from_end=from_end, after=after)
        return self.run_worker(load, group="orders", exclusive=True, exit_on_error=False)

    async def _load(self, text: str | None, sort: str, *, from_end: bool, after: float) -> None:
        query = None
        if text is not None:
            await asyncio.sleep(after)
            try:
                query = parse(text, self.desk.now())
            except FilterError as error:
                self.filter_error = str(error)
                if not self.filter.has_focus:
                    self.post_message(Missed(self.filter_error))
                self.paint()
                return
            self.filter_error = ""
        await self.desk.orders.search(query or self.desk.orders.query, sort, from_end=from_end)
        self.paint()

    def paint(self) -> None:
        orders = self.desk.orders
        self._answer()
        left = count_cells(orders, len(self.desk.marks))
        if self.filter_error:
            left = [Cell(f" ✖ {clean(self.filter_error)}", "bad")]
        self.status.show(left, place_cells(orders))
        self.table.say(*notice(orders))
        self.table.columns = self._columns()
        self.table.repaint()

    def _columns(self) -> list[Column]:
        orders = self.desk.orders
        visible = [row for row in map(orders.window.get, orders.view.visible) if row is not None]
        self.shown = with_trouble(self.desk.columns, visible)
        shown = [Column(title_of(c, orders.shown.sort), c.width, c.right, c.from_width) for c in self.shown]
        return [_MARK, *shown] if self.desk.marks else shown

    def _row(self, rank: int) -> Sequence[Cell] | None:
        order = self.desk.orders.window.get(rank)
        if order is None:
            return None
        by_name = cells(order, self.desk.now())
        if self.size.width < TROUBLE.from_width:
            by_name = narrow(by_name, order)
        if self.desk.clock() - self.desk.orders.changed_at.get(order.order_id, -_FLASH) < _FLASH:
            by_name["status"] = by_name["status"]._replace(tone="flash")
        mark = [Cell("●" if order.order_id in self.desk.marks else "", "accent")] if self.desk.marks else []
        return [*mark, *(by_name[column.name] for column in self.shown)]

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
            self.post_message(Awaited(self.reload(from_end=event.last)))

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
        self.post_message(Awaited(self.reload(event.value)))  # the next key is meant for the orders that match

    def back(self) -> bool:
        """Esc leads from the filter to the list, and then clears the filter; False when there is none to clear."""
        if self.filter.has_focus:
            self.screen.set_focus(self.table)
            return True
        if self.desk.marks:
            self.desk.marks.clear()
            self.paint()
            return True
        if self.filter.value:
            self._show_text("")
            return True
        return False

    def forget(self) -> None:
        self.desk.orders.forget()

    def refresh_now(self) -> None:
        self.reload(self.filter.value)

    def why_not(self, action: str) -> str | None:
        """The reason that a key does nothing now; None when it does something."""
        order = self.desk.orders.chosen
        if action in ("advance", "cancel", "open", "mark") and order is None:
            return "no order is chosen"
        if action == "bulk" and not self.desk.marks and not self.desk.orders.query.params():
            return "mark orders with space first, or filter the list with /"
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
        worker = self.run_worker(self._take_in, group="orders", exclusive=True, exit_on_error=False)
        self.post_message(Awaited(worker))

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

    def action_sort(self) -> None:
        ask_sort(self, self._sort)

    def _sort(self, sort: str) -> None:
        self.post_message(Awaited(self.reload(self.filter.value, sort=sort)))

    def action_views(self) -> None:
        ask_saved_view(self, self.desk.saved_views, self._show_saved)

    def _show_saved(self, view: SavedView) -> None:
        text = view.filled(self.desk.own.order_ids)
        if text is None:
            self.post_message(Say(f"{clean(view.name)}: this deck has sent no command to an order yet"))
            self.post_message(Missed("this deck has sent no command to an order yet"))
        else:
            self._show_text(text, view.sort)

    def action_mark(self) -> None:
        if (order := self.desk.orders.chosen) is not None:
            self.desk.marks.flip(order)
            self.table.action_move(1)

    def action_bulk(self) -> None:
        ask_bulk(self, self.desk)

    @on(VirtualTable.Headed)
    def _headed(self, event: VirtualTable.Headed) -> None:
        """A click on a heading sorts by it, a second one the other way round."""
        n = event.column - (1 if self.desk.marks else 0)
        by = self.shown[n].sort if n >= 0 else ""
        if by:
            self._sort(by if self.desk.orders.shown.sort == f"-{by}" else f"-{by}")

    def action_copy(self) -> None:
        if (order := self.desk.orders.chosen) is not None:
            self.post_message(Copy(order.order_id, order.order_id))
