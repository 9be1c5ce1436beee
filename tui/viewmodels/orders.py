"""OrdersModel: the list of orders, read page by page; statuses and payments change live, and no row moves by itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from tui.gateway import Gateway, GatewayError
from tui.viewmodels.filters import OrderQuery
from tui.viewmodels.rows import RowPage, RowWindow
from tui.viewmodels.statuses import SHOWN, after_event, order_from
from tui.viewmodels.viewport import Viewport
from tui.wire import OrderPage, WireEvent, WireOrder

_REMEMBERED = 5_000  # orders whose latest events are kept, for the case that a page is behind the feed
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class OrdersModel:
    """The chosen order stays chosen whatever arrives; new orders wait until the operator takes them in."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.query = OrderQuery()
        self.window = RowWindow[WireOrder](key=lambda order: order.order_id)
        self.view = Viewport()
        self.phase: Literal["loading", "ready", "error"] = "loading"
        self.error = ""
        self.total: int | None = None
        self.estimated = False
        self.waiting: dict[str, WireOrder] = {}
        self.changed_at: dict[str, float] = {}
        self._recent: OrderedDict[str, list[WireEvent]] = OrderedDict()
        self._oldest_first = False
        self._generation = 0
        self._extending = False

    @property
    def chosen(self) -> WireOrder | None:
        return self.window.get(self.view.cursor)

    async def load(self, query: OrderQuery | None = None, *, from_end: bool = False) -> None:
        """Read the list again, from its newest end or its oldest; a late answer to an earlier reading is dropped."""
        self._generation += 1
        generation = self._generation
        if query is not None and query != self.query:
            self.query, self.waiting = query, {}
        if not len(self.window):
            self.phase = "loading"
        try:
            page = await self.gateway.orders(self.query, oldest_first=from_end)
        except GatewayError as error:
            if generation == self._generation:
                self.phase, self.error = "error", str(error)
            return
        if generation != self._generation:
            return
        chosen, self._oldest_first = self.chosen, from_end
        self.phase, self.total, self.estimated = "ready", page.total, page.total_estimated
        rows = self._page(page)
        start = max(0, (page.total or 0) - len(rows.rows)) if from_end and rows.newer else 0
        self.window.reset(rows, start)
        self.view.bound(self.window.start, self.window.end)
        if from_end:
            self.view.tail()
        else:
            self._take_in_waiting()
            self.view.top = self.window.start
            rank = self.window.rank(chosen.order_id) if chosen else None
            self.view.go(self.window.start if rank is None else rank)

    async def extend(self) -> bool:
        """Fetch the page that the view is about to need, if any; True when rows came."""
        if self._extending or self.phase != "ready":
            return False
        margin = self.view.height
        down = self.view.top + 2 * margin >= self.window.end and self.window.older is not None
        up = self.view.top - margin < self.window.start and self.window.newer is not None and self.window.start > 0
        if not (down or up):
            return False
        generation, self._extending = self._generation, True
        try:
            cursor = self.window.older if down else self.window.newer
            page = self._page(await self.gateway.orders(self.query, cursor=cursor, oldest_first=self._oldest_first))
        except GatewayError as error:
            self.error = str(error)
            return False
        finally:
            self._extending = False
        if generation != self._generation:
            return False
        if down:
            self.window.append(page)
        else:
            self.window.prepend(page)
        self._rebase()
        return True

    def absorb(self, events: Iterable[WireEvent], now: float) -> None:
        """Take in events of orders and payments from the feed: rows that are held change in place, new orders wait."""
        for event in events:
            if event.event_type not in SHOWN:
                continue
            order_id = event.order_id
            self._remember(event)
            held = self.window.find(order_id)
            if held is not None:
                after = after_event(held, event)
                if after is not held:
                    self.window.replace(after)
                    self.changed_at[order_id] = now
            elif order_id in self.waiting:
                self.waiting[order_id] = after_event(self.waiting[order_id], event)
            elif event.event_type == "OrderCreated" and self.phase == "ready":
                self._let_wait(order_from(event))
        if not len(self.window):
            self._take_in_waiting()
        self.changed_at = {key: at for key, at in self.changed_at.items() if now - at < 1}

    def put(self, order: WireOrder, now: float) -> None:
        """Take in the order that a command has changed, and choose it; a new one goes to the top of the list."""
        order = self._as_the_feed_knows_it(order)
        held = self.window.find(order.order_id)
        if held is None:
            self.waiting[order.order_id] = order
            self._take_in_waiting()
            self.view.go(self.window.rank(order.order_id) or self.window.start)
        elif order.version > held.version or order.payment_version > held.payment_version:
            self.window.replace(order)
        self.changed_at[order.order_id] = now

    def _let_wait(self, order: WireOrder | None) -> None:
        newest = self.window.get(self.window.start)
        at_top = newest.created_at if newest is not None and not self._oldest_first else _BEGINNING
        if order is not None and order.created_at >= at_top and self.query.takes(order):
            self.waiting[order.order_id] = order

    def _take_in_waiting(self) -> None:
        """Put the waiting orders on top of the list that are newer than its first row; the others are in it already."""
        newest = self.window.get(self.window.start)
        fresh = [o for o in self.waiting.values() if newest is None or o.created_at >= newest.created_at]
        fresh = [o for o in fresh if self.window.find(o.order_id) is None]
        self.waiting = {}
        if fresh:
            fresh.sort(key=lambda o: o.created_at, reverse=True)
            self.window.prepend(RowPage(fresh, self.window.older, self.window.newer))
            self.total = None if self.total is None else self.total + len(fresh)
        self._rebase()

    def _rebase(self) -> None:
        """When nothing newer can be fetched the first row becomes row 0; the same rows stay on the screen."""
        if self.window.start < 0 or self.window.newer is None:
            self.view.shift(-self.window.rebase())
        self.view.bound(self.window.start, self.window.end)

    def _page(self, page: OrderPage) -> RowPage[WireOrder]:
        rows = [self._as_the_feed_knows_it(order) for order in page.orders]
        if self._oldest_first:
            return RowPage(rows[::-1], older=page.prev_cursor, newer=page.next_cursor)
        return RowPage(rows, older=page.next_cursor, newer=page.prev_cursor)

    def _remember(self, event: WireEvent) -> None:
        self._recent.setdefault(event.order_id, []).append(event)
        self._recent.move_to_end(event.order_id)
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    def _as_the_feed_knows_it(self, order: WireOrder) -> WireOrder:
        """The order with the events that the feed has brought, since the read model may be behind the feed."""
        for event in self._recent.get(order.order_id, ()):
            order = after_event(order, event)
        return order
