"""PastGateway: asks everything as of one moment, and sends nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from core.filters.order_query import OrderQuery
from tui.gateway import (
    NEWEST_FIRST,
    PAGE,
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


class _History(Struct):
    events: list[WireEvent]


class PastGateway:
    """See `tui.gateway.Gateway`. `as_of` is a position or a time, as the query API takes it."""

    read_only = True

    def __init__(self, inside: Gateway, as_of: str) -> None:
        self.where = inside.where
        self._inside = inside
        self._as_of = as_of

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
        return await self._inside.health()

    async def ask_for_commands(self) -> None:
        return

    async def read(
        self,
        path: str,
        shape: type[Shape],
        params: Mapping[str, str | Sequence[str]] | None = None,
        *,
        service: Literal["queries", "commands"] = "queries",
    ) -> Shape:
        return await self._inside.read(path, shape, {**(params or {}), "as_of": self._as_of}, service=service)

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
