"""Desk: what the deck knows, without a screen: the feed and its ring, the lists over them, and how far behind it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime

from tui.feed import Feed
from tui.gateway import Gateway, GatewayError, Health
from tui.viewmodels.detail import DetailModel
from tui.viewmodels.draft import OrderDraft
from tui.viewmodels.meter import Peak, Rate
from tui.viewmodels.orders import OrdersModel
from tui.viewmodels.ring import Ring
from tui.viewmodels.statuses import STATUS_AFTER
from tui.viewmodels.stream import StreamModel, decode


class Desk:
    """`clock` is monotonic seconds, for durations; `now` is the time of day, for ages."""

    def __init__(self, gateway: Gateway, *, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self.gateway = gateway
        self.clock = clock
        self.now = now
        self.ring = Ring()
        self.feed = Feed(gateway, self.ring, clock)
        self.stream = StreamModel(self.ring)
        self.orders = OrdersModel(gateway)
        self.detail: DetailModel | None = None
        self.draft = OrderDraft()
        self.health: Health | None = None
        self.rate = Rate()
        self.behind = Peak()
        self.under_way: set[str] = set()
        self._jumps = 0
        self._was_live = False

    def tick(self) -> bool:
        """Hand what arrived since the last time to the lists; True when something did."""
        now = self.clock()
        fresh = self.stream.absorb()
        if self.feed.position is not None:
            self.rate.note(now, max(self.feed.opened_at, self.feed.position))  # what was there before is no rate
        if not fresh:
            return False
        if self.feed.received_at is not None:
            self.behind.note(now, now - self.feed.received_at)
        order_events = [decode(frame.data) for _, frame in fresh if frame.event_type in STATUS_AFTER]
        self.orders.absorb([event for event in order_events if event is not None], now)
        if self.detail is not None:
            mark = self.detail.order_id.encode()
            own = [decode(frame.data) for _, frame in fresh if mark in frame.data]
            self.detail.take(event for event in own if event is not None)
        return True

    def jumped(self) -> bool:
        """Whether events were missed since this was last asked: what the lists show must then be read anew."""
        before, self._jumps = self._jumps, self.feed.lost + self.feed.restarts
        return self._jumps > before

    def came_back(self) -> bool:
        """Whether the feed went live since this was last asked: what could not be read before can be read now."""
        before, self._was_live = self._was_live, self.feed.state == "live"
        return self._was_live and not before

    async def measure(self) -> None:
        """Ask how far the read models are behind; without an answer the figure goes away rather than grow old."""
        self.health = None if self.feed.state != "live" else self.health
        with contextlib.suppress(GatewayError):
            self.health = await self.gateway.health()

    def why_no_writes(self, order_id: str | None = None) -> str | None:
        """The reason that no command can be sent now; None when one can."""
        if self.feed.state != "live":
            return "disconnected: commands wait until the feed is back (ctrl+r tries now)"
        if order_id is not None and order_id in self.under_way:
            return "the last command to this order is still under way"
        return None
