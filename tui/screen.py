"""DeckScreen: the one screen: frame, views, and what happens when a view asks for something."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from tui.actions import Receipt, perform
from tui.desk import Desk
from tui.dialogs.ask import Menu
from tui.dialogs.dialog import Answer, Dialog
from tui.dialogs.event import EventDialog
from tui.dialogs.help import HelpDialog
from tui.dialogs.new_order import NewOrderDialog
from tui.dialogs.transitions import command, question
from tui.dialogs.types import TypesDialog
from tui.gateway import CommandToSend, GatewayError
from tui.keys import bindings
from tui.messages import Act, ChooseTypes, NewOrder, OpenEvent, OpenOrder, Say
from tui.viewmodels.statuses import Transition, legal
from tui.viewmodels.text import Cell, clean
from tui.views.detail import DetailView
from tui.views.orders import OrdersView
from tui.views.stream import StreamView
from tui.widgets.frame import key_cells, receipt_cells, top_cells
from tui.widgets.painted import Line
from tui.wire import WireOrder

SMALLEST = (80, 24)
_SAID = 20.0  # seconds a sentence stays
_REPAINT = 1.0  # seconds after which ages and counters are painted anew although nothing came


class DeckScreen(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("everywhere"))

    def __init__(self, desk: Desk, *, debounce: float) -> None:
        super().__init__()
        self.desk = desk
        self.debounce = debounce
        self.orders = OrdersView(desk, debounce=debounce)
        self.stream = StreamView(desk)
        self.detail = DetailView(desk)
        self.views: dict[str, OrdersView | StreamView | DetailView] = {
            "orders": self.orders,
            "stream": self.stream,
            "detail": self.detail,
        }
        self.top = Line(id="top")
        self.said = Line(id="said")
        self.keys = Line(id="keys")
        self.small = Static("", markup=False, id="too-small")
        self.current = "orders"
        self.before = "orders"
        self._painted_at = 0.0
        self._said_at = 0.0
        self._said_offline = False

    def compose(self) -> ComposeResult:
        yield self.top
        with ContentSwitcher(initial="orders"):
            yield from self.views.values()
        yield self.said
        yield self.keys
        yield self.small

    @property
    def view(self) -> OrdersView | StreamView | DetailView:
        return self.views[self.current]

    def on_mount(self) -> None:
        self.set_focus(self.view.focus_target)
        self.tick()

    def on_resize(self) -> None:
        width, height = self.size
        small = width < SMALLEST[0] or height < SMALLEST[1]
        self.small.update(f"This terminal is {width}×{height}.\nThe deck needs {SMALLEST[0]}×{SMALLEST[1]}.")
        self.small.display = small

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:  # noqa: FBT001, FBT002 - Textual's signature
        """The focus is always somewhere: without it no key would do anything."""
        super().set_focus(self.view.focus_target if widget is None else widget, scroll_visible, from_app_focus)

    def tick(self) -> None:
        """Take in what arrived and paint it; called some ten times a second."""
        now = self.desk.clock()
        news = self.desk.tick()
        if self.desk.jumped():
            self.view.refresh_now()
        if self.desk.came_back():
            self._read_what_failed()
        if news or now - self._painted_at >= _REPAINT or (self.current == "orders" and self.desk.orders.changed_at):
            self._painted_at = now
            self.view.paint()
        if now - self._said_at >= _SAID:
            self.said.show([])
        self.paint_frame()

    def _read_what_failed(self) -> None:
        """And the line that refused a command for want of the feed is no longer true."""
        if self.desk.orders.phase == "error":
            self.orders.refresh_now()
        if self.desk.detail is not None and self.desk.detail.phase == "error":
            self.detail.refresh_now()
        if self._said_offline:
            self.said.show([])

    def paint_frame(self) -> None:
        self.top.show(top_cells(self.desk, self.view.title), [Cell(f"{clean(self.desk.gateway.where)} ", "dim")])
        self.keys.show(key_cells(self.view.scopes, self.view.why_not), [Cell("1 Orders  2 Stream ", "dim")])

    def show(self, name: str) -> None:
        if name != self.current:
            self.before, self.current = self.current, name
            self.query_one(ContentSwitcher).current = name
        self.view.paint()
        self.set_focus(self.view.focus_target)
        self.paint_frame()

    def ask(self, dialog: Dialog[Answer], answered: Callable[[Answer | None], None]) -> None:
        self.app.push_screen(dialog, answered)  # pyright: ignore[reportUnknownMemberType] - Textual's own App is generic

    def say(self, *cells: Cell) -> None:
        """One line for the operator; it goes by itself, so that it never speaks of something long past."""
        self._said_at, self._said_offline = self.desk.clock(), False
        self.said.show(cells)

    def action_view(self, name: str) -> None:
        self.show(name)

    def action_last_view(self) -> None:
        self.show(self.before)

    def action_back(self) -> None:
        if self.view.back():
            return
        if self.current == "detail":
            self.show(self.before if self.before != "detail" else "orders")
        else:
            self.say(Cell(" ctrl+q quits the deck", "dim"))

    def action_reconnect(self) -> None:
        self.desk.feed.retry_now()
        self.view.refresh_now()

    def action_help(self) -> None:
        self.ask(HelpDialog(self.view.scopes), lambda _: None)

    @on(Say)
    def _say(self, message: Say) -> None:
        self.say(Cell(f" {clean(message.sentence)}", message.tone))
        self._said_offline = self.desk.feed.state != "live"

    @on(OpenOrder)
    def _open_order(self, message: OpenOrder) -> None:
        self.open_order(message.order_id)

    def open_order(self, order_id: str | None) -> None:
        if order_id:
            self.detail.open(order_id)
            self.show("detail")

    @on(OpenEvent)
    def _open_event(self, message: OpenEvent) -> None:
        self.ask(EventDialog(message.event), self.open_order)

    @on(ChooseTypes)
    def _choose_types(self) -> None:
        self.ask(TypesDialog(self.desk.stream), lambda _: self.view.paint())

    @on(NewOrder)
    def _new_order(self) -> None:
        self.ask(NewOrderDialog(self.desk, debounce=self.debounce), self._placed)

    def _placed(self, receipt: Receipt | None) -> None:
        if receipt is None:
            self.say(Cell(" the draft is kept: n takes it up again", "dim"))
        else:
            self._done(receipt)

    @on(Act)
    def _act(self, message: Act) -> None:
        if message.transition is not None:
            self._ask(message.order, message.transition)
            return
        title = f"{clean(message.order.order_number)} is {message.order.status}"
        self.ask(Menu(title, legal(message.order.status)), partial(self._ask, message.order))

    def _ask(self, order: WireOrder, transition: Transition | None) -> None:
        if transition is not None:
            self.ask(question(order, transition), partial(self._answered, order, transition))

    def _answered(self, order: WireOrder, transition: Transition, answer: Mapping[str, str] | None) -> None:
        if answer is None:
            self.say(Cell(" nothing was sent", "dim"))
        elif reason := self.desk.why_no_writes(order.order_id):
            self.say(Cell(f" {reason}", "warn"))
        else:
            self.say(Cell(f" … {transition.verb} {clean(order.order_number)}", "dim"))
            self.desk.under_way.add(order.order_id)
            wish = command(order, transition, answer)
            self.run_worker(partial(self._perform, wish, order), group="commands", exit_on_error=False)

    async def _perform(self, wish: CommandToSend, order: WireOrder) -> None:
        try:
            receipt = await perform(self.desk.gateway, wish, key=f"deck-{uuid.uuid4()}", clock=self.desk.clock)
        except GatewayError as error:
            self.say(Cell(f" ✖ {wish.verb} {clean(order.order_number)}: {clean(str(error))}", "bad"))
        else:
            self._done(receipt)
        finally:
            self.desk.under_way.discard(order.order_id)
            self.view.paint()

    def _done(self, receipt: Receipt) -> None:
        if receipt.order is not None:
            self.desk.orders.put(receipt.order, self.desk.clock())
        self.say(*receipt_cells(receipt))
        self.view.paint()
