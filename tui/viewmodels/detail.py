"""DetailModel: one order with every event about it; it is read once and then kept up to date by the feed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

from tui.gateway import Gateway, GatewayError
from tui.viewmodels.fold import order_after
from tui.viewmodels.refunds import why_no_refund
from tui.viewmodels.statuses import CANCEL, legal, why_not
from tui.viewmodels.timeline import MOST_EVENTS, Timeline
from tui.wire import WireEvent, WireOrder

PAST = "you are viewing the past: L first, which returns to live"
_AT_ONCE = 1_000  # events that are folded before the deck may paint again


class DetailModel:
    """An event that comes both with the history and from the feed is taken in once, by its position."""

    def __init__(self, gateway: Gateway, order_id: str) -> None:
        self.gateway = gateway
        self.order_id = order_id
        self.order: WireOrder | None = None
        """The order as it is now, whatever event is chosen."""
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
        for start in range(0, len(events), _AT_ONCE):
            self.take(events[start : start + _AT_ONCE])
            await asyncio.sleep(0)
        self.timeline.cut = self.timeline.cut or len(events) >= MOST_EVENTS
        self.order = self._followed(order, self.timeline.events)
        self.phase, self.error = "ready", ""

    def take(self, events: Iterable[WireEvent]) -> bool:
        """True when something changed."""
        own = [event for event in events if event.order_id == self.order_id]
        if self.order is not None:
            self.order = self._followed(self.order, own)
        return self.timeline.take(own)

    @staticmethod
    def _followed(order: WireOrder, events: Iterable[WireEvent]) -> WireOrder:
        for event in events:
            order = order_after(order, event) or order
        return order

    @property
    def past(self) -> bool:
        """Whether what is shown is not how the order is now."""
        return bool(self.timeline.events) and not self.timeline.live

    @property
    def shown(self) -> WireOrder | None:
        """The order as it was after the chosen event; None when it was not created yet, or when nothing was read."""
        return self.timeline.order_at() if self.past else self.order

    def why_not_now(self) -> str | None:
        """The reason that no command can be sent from what is on the screen; None when one can."""
        if self.timeline.cut:
            return f"only its first {MOST_EVENTS:,} events are shown here: act on it in the list of orders"
        if self.past:
            return PAST
        return None if self.order else "the order is not loaded yet"

    def why_no_command(self, action: str) -> str | None:
        """The reason that one of the actions cancel, refund, advance and new_order cannot be taken; None if it can."""
        if (reason := self.why_not_now()) or self.order is None:
            return reason
        status = self.order.status
        match action:
            case "refund":
                return why_no_refund(self.order)
            case "cancel":
                return why_not(CANCEL, status)
            case "advance":
                return why_not((legal(status) or (CANCEL,))[0], status)
            case _:
                return None
