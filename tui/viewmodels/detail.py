"""DetailModel: one order with every event about it; it is read once and then kept up to date by the feed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tui.gateway import Gateway, GatewayError
from tui.viewmodels.statuses import Transition, after_event, why_not
from tui.viewmodels.timeline import Timeline
from tui.wire import WireEvent, WireOrder


class DetailModel:
    """An event that comes both with the history and from the feed is taken in once, by its position."""

    def __init__(self, gateway: Gateway, order_id: str) -> None:
        self.gateway = gateway
        self.order_id = order_id
        self.order: WireOrder | None = None
        self.timeline = Timeline()
        self.phase: Literal["loading", "ready", "error"] = "loading"
        self.error = ""

    async def load(self) -> None:
        try:
            order = await self.gateway.order(self.order_id)
            events = await self.gateway.timeline(self.order_id)
        except GatewayError as error:
            self.phase, self.error = "error", str(error)
            return
        self.order, self.phase = order, "ready"
        self.take(events)

    def take(self, events: Iterable[WireEvent]) -> bool:
        """True when something changed."""
        if not self.timeline.take(e for e in events if e.order_id == self.order_id):
            return False
        if self.order is not None:
            for event in self.timeline.events:
                self.order = after_event(self.order, event)
        return True

    def why_not(self, transition: Transition) -> str | None:
        """The reason that this transition cannot be made with what is on the screen now; None when it can."""
        if self.order is None:
            return "the order is not loaded yet"
        if not self.timeline.live:
            return "you are viewing the past: L returns to live"
        return why_not(transition, self.order.status)
