"""PastGateway: asks everything as of one moment, and sends nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeVar

from msgspec import Struct

from core.filters.order_query import OrderQuery
from tui.gateway import (
    COMPARE,
    NEWEST_FIRST,
    PAGE,
    BeingMade,
    CommandAccepted,
    CommandToSend,
    Gateway,
    Health,
    ServiceRefused,
    Shape,
    orders_asked,
)
from tui.wire import OrderPage, WireEvent, WireOrder

REFUSED = "this is the past: T returns to now"
MOST_EVENTS = 1_000  # of one order's history
ASK_AGAIN = 0.5  # seconds
LONGEST_STILL = 60.0  # seconds after which lists are given up that are no further than before
T = TypeVar("T")


def parameter(place: int | datetime) -> str:
    """A position or a time, as the query API takes it."""
    return place.isoformat() if isinstance(place, datetime) else str(place)


async def once_made(ask: Callable[[], Awaitable[T]], told: Callable[[BeingMade | None], None]) -> T:
    """Ask again as long as what is asked for is being made, and tell how far it is; None once that is over.

    Raises GatewayError; BeingMade when it has not come further for LONGEST_STILL seconds.
    """
    done, since = -1, time.monotonic()
    try:
        while True:
            try:
                return await ask()
            except BeingMade as making:
                if making.done != done:
                    done, since = making.done, time.monotonic()
                elif time.monotonic() - since > LONGEST_STILL:
                    raise
                told(making)
            await asyncio.sleep(ASK_AGAIN)
    finally:
        told(None)


class PastMoment:
    """The moment that a deck shows instead of now: after the event at a position, or at a time.

    `position` is the one of the last event up to it, once the log was asked, `event` that event's type, and `at` when
    it was recorded, or the time that was asked for. Position 0 is before the first event.
    """

    def __init__(self, place: int | datetime) -> None:
        self.place = place
        self.position = place if isinstance(place, int) else None
        self.at = place if isinstance(place, datetime) else None
        self.event = ""
        self.steps = ""  # those that were asked for and not gone yet

    @property
    def as_of(self) -> str:
        return parameter(self.place)

    @property
    def named(self) -> str:
        when = f"{self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at is not None else ""
        where = f"after position {self.position:,}" if self.position else ""
        where = "before the first event" if self.position == 0 else where
        return ", ".join(filter(None, (when, where)))


class _History(Struct):
    events: list[WireEvent]


class PastGateway:
    """See `tui.gateway.Gateway`. It asks as of wherever `moment` is by then. `now` is the time of day.

    `making` says how far the lists of that moment are, while something waits for them.
    """

    read_only = True

    def __init__(self, inside: Gateway, moment: PastMoment, now: Callable[[], datetime]) -> None:
        self.where = inside.where
        self.inside = inside
        self.moment = moment
        self.now = now
        self.making: BeingMade | None = None

    async def orders(
        self,
        query: OrderQuery,
        *,
        sort: str = NEWEST_FIRST,
        cursor: str | None = None,
        order_ids: Sequence[str] = (),
        limit: int = PAGE,
    ) -> OrderPage:
        asked = orders_asked(query, sort=sort, cursor=cursor, order_ids=order_ids, limit=limit)
        return await self.read("/api/v1/orders", OrderPage, asked)

    async def order(self, order_id: str, *, min_version: int | None = None, wait: float | None = None) -> WireOrder:
        """The past does not change, so there is nothing to wait for."""
        del min_version, wait
        return await self.read(f"/api/v1/orders/{order_id}", WireOrder)

    async def timeline(self, order_id: str) -> list[WireEvent]:
        path = f"/api/v1/orders/{order_id}/timeline"
        return (await self.read(path, _History, {"limit": str(MOST_EVENTS)})).events[:MOST_EVENTS]

    async def health(self) -> Health:
        return await self.inside.health()

    async def ask_for_commands(self) -> str:
        return ""

    async def read(
        self,
        path: str,
        shape: type[Shape],
        params: Mapping[str, str | Sequence[str]] | None = None,
        *,
        service: Literal["queries", "commands"] = "queries",
    ) -> Shape:
        if path == COMPARE:  # it names its moments itself
            return await self.inside.read(path, shape, params, service=service)
        asked = {**(params or {}), "as_of": self.moment.as_of}
        return await once_made(lambda: self.inside.read(path, shape, asked, service=service), self._told)

    def _told(self, making: BeingMade | None) -> None:
        self.making = making

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        del command, key
        raise ServiceRefused(403, "past", REFUSED)

    async def dry_run(self, command: CommandToSend) -> Sequence[WireEvent]:
        del command
        raise ServiceRefused(403, "past", REFUSED)

    async def feed(self, *, after: int) -> AsyncGenerator[bytes, None]:
        """Nothing comes in the past."""
        if after < 0:
            yield b""

    async def close(self) -> None:
        """The gateway of now stays open."""
