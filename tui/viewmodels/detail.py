"""DetailModel: one order with everything of its correlation, loaded once and then kept by the feed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tui.gateway import Gateway, GatewayError
from tui.viewmodels.statuses import Transition, after_event, why_not
from tui.viewmodels.timeline import Timeline
from tui.wire import WireEvent, WireOrder


class DetailModel:
    """Events that the feed brings while the history is still being read are merged by position, each once."""

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
                if event.aggregate_id == self.order_id:
                    self.order = after_event(self.order, event)
        return True

    def why_not(self, transition: Transition) -> str | None:
        """The reason that this cannot be done to the order as it is seen now."""
        if self.order is None:
            return "the order is not loaded yet"
        if not self.timeline.live:
            return "you are viewing the past: L returns to live"
        return why_not(transition, self.order.status)
