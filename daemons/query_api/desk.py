"""The desk of the query API: one order, as fresh as was asked for, and connections for everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import reduce
from typing import Any, TypeVar
from uuid import UUID

from core import codec
from core.adapters.postgres.coalesce import Coalescer
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.hints import Hints
from core.adapters.postgres.lanes import Lanes, opened_with
from core.adapters.postgres.queries.progress import position_of
from core.adapters.postgres.read_models.order_views import Document, orders_by_id
from core.bootstrap import App
from core.domain.message import Recorded, StreamId
from core.errors import NotFound
from core.projections import ORDERS
from core.projections.order_view import ORDER_VIEW
from core.projections.projection import At, Projection
from daemons.http.problems import RequestRefused

R = TypeVar("R")


class Desk:
    """What the handlers share."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._moved = Hints(app.open_connection, "views")
        self._by_id = Link(app.open_connection)
        # The best way to a page depends on what is asked for: a plan made once for any status or prefix fits none.
        self._lanes = Lanes(lambda: opened_with(app.open_connection, "plan_cache_mode = force_custom_plan"))
        self._orders = Coalescer[UUID, Document](lambda ids: self._by_id.run(lambda c: orders_by_id(c, ids)))

    async def read(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        return await self._lanes.run(work)

    async def order(self, order_id: UUID, *, min_version: int = 0, wait: float = 0) -> Document:
        """An order's view at `min_version` or later.

        Waits up to `wait` seconds for the read model; one that has not got that far is folded from the stream.
        Raises NotFound, and RequestRefused when the stream itself is not at that version.
        """
        found = await self._orders.get(order_id)
        if (found is None or found.version < min_version) and wait > 0:
            found = await self._wait_for(order_id, max(1, min_version), wait)
        if found is not None and found.version >= min_version:
            return found
        view = await self.fold(ORDER_VIEW, StreamId(order_id))
        if view is None:
            raise NotFound("order", str(order_id))
        if view.version < min_version:
            raise RequestRefused(
                409, "version_not_reached", f"order {order_id} is at version {view.version}, not {min_version} yet"
            )
        return Document(view.version, codec.json(view))

    async def fold(self, projection: Projection[Any], stream: StreamId) -> Any:
        """What the read model will say once it has got there; None for a stream that does not exist."""
        return reduce(
            lambda view, recorded: _evolved(projection, view, recorded), await self.app.store.load(stream), None
        )

    async def caught_up(self, *, within: float) -> None:
        """Wait until the read models of orders have all that is in the log now, at most `within` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        head = await self.app.store.head()
        await self._moved.listen()
        while True:
            coming = self._moved.coming()
            position = await self.read(lambda c: position_of(c, ORDERS.reader))
            left = deadline - loop.time()
            if position >= head or left <= 0:
                return
            await self._moved.wait(coming, at_most=left)

    async def why_not_ready(self) -> str | None:
        return await self.app.why_not_ready()

    def close(self) -> None:
        self._moved.close()
        self._by_id.close()
        self._lanes.close()

    async def _wait_for(self, order_id: UUID, version: int, wait: float) -> Document | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        await self._moved.listen()
        while True:
            coming = self._moved.coming()
            found = await self._orders.get(order_id)
            left = deadline - loop.time()
            if (found is not None and found.version >= version) or left <= 0:
                return found
            await self._moved.wait(coming, at_most=left)


def _evolved(projection: Projection[Any], view: Any, recorded: Recorded) -> Any:
    return projection.apply(view, recorded.event, At(recorded.version, recorded.recorded_at))
