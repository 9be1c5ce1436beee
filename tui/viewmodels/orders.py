"""The list of orders: how it is read, and how the events of the feed change it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import msgspec

from core.filters.order_query import OrderQuery
from tui.gateway import NEWEST_FIRST, Gateway
from tui.viewmodels.list_source import ListPage
from tui.viewmodels.listing import Listing
from tui.viewmodels.ring import RingFrame
from tui.viewmodels.rows import RowPage
from tui.viewmodels.statuses import SHOWN, after_event, order_from
from tui.viewmodels.stream import decode
from tui.viewmodels.timeline import failed
from tui.wire import OrderPage, WireEvent, WireOrder

_REMEMBERED = 2_000  # orders whose latest events are kept, for the case that a page is behind the feed
_EVENTS_OF_ONE = 50
_INSERTED = 20  # new orders of one tick that are put into the list one by one; else it is read again
_DECODED = 300  # events of one tick that are decoded; what the others changed is asked of the server
_ORDER_OF = re.compile(rb'"correlation_id":\s*"([0-9a-fA-F-]{36})"')
_SORTED_BY: dict[str, Callable[[WireOrder], object]] = {
    "created_at": lambda order: order.created_at,
    "updated_at": lambda order: order.updated_at,
    "total_amount": lambda order: order.total_amount,
}
_FIRST, _SAGA = "OrderCreated", "Saga"  # the first event of an order, and how the types of those of sagas begin


@dataclass(frozen=True)
class OrdersSource:
    """The orders that match a query, sorted as `sort` says in the API's words: `-created_at` is newest first."""

    gateway: Gateway = field(compare=False)
    newest: Callable[[WireOrder], WireOrder] = field(compare=False)  # adds what the feed knows to an order
    query: OrderQuery = field(default_factory=OrderQuery)
    sort: str = NEWEST_FIRST

    @property
    def filtered(self) -> bool:
        return self.query != OrderQuery()

    async def page(self, cursor: str | None, *, from_end: bool) -> ListPage[WireOrder]:
        sort = opposite(self.sort) if from_end else self.sort
        page = await self.gateway.orders(self.query, sort=sort, cursor=cursor)
        orders = tuple(map(self.newest, page.orders))
        if from_end:
            rows = RowPage(orders[::-1], older=page.prev_cursor, newer=page.next_cursor)
        else:
            rows = RowPage(orders, older=page.next_cursor, newer=page.prev_cursor)
        return ListPage(rows, page.total, page.total_estimated)

    async def among(self, keys: Sequence[str]) -> Sequence[WireOrder]:
        return tuple(map(self.newest, (await self.gateway.orders(self.query, order_ids=keys)).orders))

    async def count(self) -> ListPage[WireOrder]:
        page: OrderPage = await self.gateway.orders(self.query, limit=1)
        return ListPage(RowPage(page.orders), page.total, page.total_estimated)

    def key(self, row: WireOrder) -> str:
        return row.order_id

    def above(self, row: WireOrder, other: WireOrder) -> bool:
        value = _SORTED_BY[self.sort.removeprefix("-")]
        mine, its = (value(row), row.order_id), (value(other), other.order_id)
        return mine > its if self.sort.startswith("-") else mine < its  # type: ignore[operator]


class OrdersModel(Listing[WireOrder]):
    """Orders enter and leave the list as the feed tells of them; what an event alone cannot tell is asked."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self.gateway = gateway
        self._recent: OrderedDict[str, list[WireEvent]] = OrderedDict()
        self.shown = OrdersSource(gateway, self._as_the_feed_knows_it)
        super().__init__(self.shown, clock)

    @property
    def query(self) -> OrderQuery:
        return self.shown.query

    async def search(self, query: OrderQuery, sort: str = "", *, from_end: bool = False) -> None:
        """Show the orders that match, from the top of the list or its end."""
        self.shown = replace(self.shown, query=query, sort=sort or self.shown.sort)
        await self.load(self.shown, from_end=from_end)

    def absorb(self, frames: Iterable[RingFrame]) -> None:
        """Take in what the feed brought. Orders on the screen come first; only so many events are looked into."""
        by_order: dict[str, list[RingFrame]] = {}
        in_trouble = {row.order_id for row in self.window if row.saga_state is not None}
        for frame in frames:
            if frame.event_type in SHOWN:
                by_order.setdefault(_order_of(frame), []).append(frame)
            elif frame.event_type.startswith(_SAGA) and (in_trouble or failed(frame.event_type)):
                self._ask_about_saga(_order_of(frame), in_trouble, fails=failed(frame.event_type))
        seen = {self.shown.key(row) for row in map(self.window.get, self.view.visible) if row is not None}
        left = _DECODED
        created = sum(own[0].event_type == _FIRST for own in by_order.values())
        for order_id in sorted(by_order, key=lambda order_id: order_id not in seen):
            own = by_order[order_id]
            is_new = own[0].event_type == _FIRST and not self.shown.filtered
            if left >= len(own) and not (is_new and created > _INSERTED):
                left -= len(own)
                self._take(order_id, [event for event in map(_decoded, own) if event is not None])
            elif is_new:
                self.count_new(1)
            elif self.shown.filtered or self.window.rank(order_id) is not None:
                self.questions.ask(order_id)
        self.forget_old_changes()

    def _ask_about_saga(self, order_id: str, in_trouble: AbstractSet[str], *, fails: bool) -> None:
        """Only the service knows what trouble a saga makes: it is asked when one fails, and while one is in trouble."""
        if order_id in in_trouble or (fails and (self.query.saga or self.window.rank(order_id) is not None)):
            self.questions.ask(order_id)

    def _take(self, order_id: str, events: Sequence[WireEvent]) -> None:
        self._remember(order_id, events)
        held = self.window.find(order_id)
        new = order_from(events[0]) if held is None and events and events[0].event_type == _FIRST else None
        order = held or new
        if order is not None:
            after = self._as_the_feed_knows_it(order)
            if after is held:
                return
            belongs = self.query.takes(after)
            if new is not None and belongs:
                self.arrive(after, new=True)
            elif new is None or belongs is None:
                self.update(after, belongs=belongs)
        elif self.shown.filtered and events:
            self.questions.ask(order_id)

    def put(self, order: WireOrder) -> None:
        """Take in the order that a command of this deck has changed, and choose it if it is in the list."""
        order = self._as_the_feed_knows_it(order)
        held = self.window.find(order.order_id)
        if held is not None and (order.version, order.payment_version) <= (held.version, held.payment_version):
            order = held
        if held is not None:
            order = msgspec.structs.replace(order, saga_state=held.saga_state, open_amount=held.open_amount)
        self.update(order, belongs=self.query.takes(order))
        rank = self.window.rank(order.order_id)
        if rank is not None:
            self.changed_at[order.order_id] = self.clock()
            self.view.go(rank)
            self.moved()

    def _remember(self, order_id: str, events: Sequence[WireEvent]) -> None:
        """Keep what the feed told of an order, without its contents, which the first event has."""
        own = self._recent.setdefault(order_id, [])
        own.extend(event for event in events if event.event_type != _FIRST)
        del own[:-_EVENTS_OF_ONE]
        self._recent.move_to_end(order_id)
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    def _as_the_feed_knows_it(self, order: WireOrder) -> WireOrder:
        """The order with the events that the feed has brought, since the read model may be behind the feed."""
        for event in self._recent.get(order.order_id, ()):
            order = after_event(order, event)
        return order


def opposite(sort: str) -> str:
    """The same order from the other end."""
    return sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"


def _order_of(frame: RingFrame) -> str:
    found = _ORDER_OF.search(frame.data)
    return found[1].decode() if found else ""


def _decoded(frame: RingFrame) -> WireEvent | None:
    return decode(frame.data)
