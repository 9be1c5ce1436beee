"""The Queries port on several connections, so that a long read delays few of the short ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.adapters.coalesce import Coalescer, SameReads
from core.adapters.postgres.backlog import backlog
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.hints import Hints
from core.adapters.postgres.lanes import Lanes, opened_with
from core.adapters.postgres.queries import log, sagas
from core.adapters.postgres.queries.ended_sagas import ended_sagas
from core.adapters.postgres.queries.readers import positions_of, progress
from core.adapters.postgres.queries.saga_summary import summary_of_sagas
from core.adapters.postgres.queries.sagas_begun import expiring_orders, sagas_begun
from core.adapters.postgres.queries.totals import authorised_money, desk_totals
from core.adapters.postgres.read_models import inventory_levels, order_counts, order_views
from core.adapters.postgres.read_models.order_pages import OrderLists
from core.adapters.postgres.read_models.table import SumTable, read_sum, select_under
from core.adapters.postgres.releases import newest_releases
from core.codec import StoredEvent
from core.domain.message import OrderId, Sku
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import DocumentPage, OrderCount, OrderCounts, OrderDocument, OrderSearch
from core.ports.queries import DeskTotals, EndedSaga, LogSearch, Release, Row
from core.ports.reading import ReaderProgress
from core.ports.saga_lists import SagaListing, SagaPage, SagaPlace, SagasBegun, SagaSearch, SagaSummary
from core.ports.sagas import Backlog
from core.projections.inventory_level import InventoryLevel
from core.projections.projection import Sum

LOOK_EVERY = 0.25  # seconds between two looks whether a read model has moved, in case a notification is lost
STREAMS_TOGETHER = 32  # streams in one statement; with pages of 1,000 events, it takes about 0.1 s


class PostgresQueries:
    """See `core.ports.queries.Queries`.

    One connection reads orders by their ids, and four read everything else. When somebody first waits, one more is
    opened, which listens for notifications.
    """

    def __init__(self, open_: Callable[[], Awaitable[Connection]], *, unused: Collection[str] = ()) -> None:
        """`unused` are readers that once ran and that the settings no longer ask for: nobody waits for them."""
        self._unused = unused
        self._moved = Hints(open_, "views")
        self._by_id = Link(open_)
        # The best plan depends on the values, so PostgreSQL must not use one generic plan for all of them.
        self._lanes = Lanes(lambda: opened_with(open_, "plan_cache_mode = force_custom_plan"))
        self._orders = Coalescer[UUID, OrderDocument](
            lambda ids: self._by_id.run(lambda c: order_views.orders_by_id(c, ids))
        )
        self._counts = order_counts.Counts()
        self._lists = OrderLists(open_, self._lanes, self._counts)
        self._by_status = SameReads[OrderQuery, OrderCounts](
            lambda fits: self._lanes.run(lambda c: order_counts.count_orders_by_status(c, fits, self._counts))
        )
        self._positions = Coalescer[str, int](lambda readers: self._lanes.run(lambda c: positions_of(c, readers)))
        self._streams = Coalescer[log.StreamPart, Sequence[StoredEvent]](
            lambda parts: self._lanes.run(lambda c: log.events_of_streams(c, parts)), most=STREAMS_TOGETHER
        )

    def close(self) -> None:
        self._moved.close()
        self._by_id.close()
        self._lanes.close()
        self._lists.close()

    # --- orders ---------------------------------------------------------------------------------------------
    def order(self, order_id: OrderId) -> Awaitable[OrderDocument | None]:
        return self._orders.get(order_id)

    async def wait_for_order(
        self, order_id: OrderId, *, version: int, payment_version: int, within: float
    ) -> OrderDocument | None:
        document: OrderDocument | None = None
        async with aclosing(self._looks(within)) as looks:
            async for _ in looks:
                document = await self._orders.get(order_id)
                if document is not None and document.shows(version, payment_version):
                    break
        return document

    async def order_of_number(self, number: str) -> OrderDocument | None:
        return await self._lanes.run(lambda c: order_views.order_by_number(c, number))

    async def orders(self, search: OrderSearch) -> DocumentPage:
        return await self._lists.page(search)

    async def newest_orders(self, fits: OrderQuery, *, offset: int, limit: int) -> DocumentPage:
        return await self._lists.newest(fits, offset=offset, limit=limit)

    async def counted_orders(self, search: OrderSearch) -> tuple[DocumentPage, OrderCount]:
        return await self._lists.counted_page(search)

    async def counted_newest_orders(
        self, fits: OrderQuery, *, offset: int, limit: int
    ) -> tuple[DocumentPage, OrderCount]:
        return await self._lists.counted_newest(fits, offset=offset, limit=limit)

    async def count_orders(self, fits: OrderQuery) -> OrderCount:
        return await self._lanes.run(lambda c: order_counts.count_orders(c, fits, self._counts))

    async def count_orders_by_status(self, fits: OrderQuery) -> OrderCounts:
        return await self._by_status.get(fits)

    # --- stock and totals -----------------------------------------------------------------------------------
    async def stock_level(self, sku: Sku) -> InventoryLevel | None:
        return await self._lanes.run(lambda c: inventory_levels.stock_level(c, sku))

    async def stock_levels(self, *, after: str, limit: int) -> Sequence[InventoryLevel]:
        return await self._lanes.run(lambda c: inventory_levels.stock_levels(c, after=after, limit=limit))

    async def totals(self, of: Sum[Any, Any, Any], key: str) -> Sequence[Row]:
        rows = await self._lanes.run(lambda c: c.fetch(select_under(SumTable(of)), key))
        return [read_sum(row) for row in rows]

    async def desk_totals(self) -> DeskTotals:
        return await self._lanes.run(desk_totals)

    async def authorised_money(self, *, most: int) -> Mapping[str, Decimal]:
        return await self._lanes.run(lambda c: authorised_money(c, most))

    # --- sagas ----------------------------------------------------------------------------------------------
    async def sagas(self, search: SagaSearch) -> SagaPage:
        return await self._lanes.run(lambda c: sagas.page_of_sagas(c, search))

    async def saga(self, saga_id: UUID) -> SagaListing | None:
        return await self._lanes.run(lambda c: sagas.saga(c, saga_id))

    async def saga_summary(self) -> SagaSummary:
        return await self._lanes.run(summary_of_sagas)

    async def backlog(self, *, most: int) -> Backlog:
        return await self._lanes.run(lambda c: backlog(c, most))

    async def saga_owners(self) -> Mapping[str, int]:
        return await self._lanes.run(sagas.owners_of_sagas)

    async def sagas_begun(self, wanted: SagasBegun) -> Sequence[SagaPlace]:
        return await self._lanes.run(lambda c: sagas_begun(c, wanted))

    async def expiring_orders(self, before: datetime, limit: int) -> Sequence[OrderId]:
        return await self._lanes.run(lambda c: expiring_orders(c, before, limit))

    async def releases(self, limit: int) -> Sequence[Release]:
        return await self._lanes.run(lambda c: newest_releases(c, limit))

    async def ended_sagas(self, *, after: int, upto: int, limit: int) -> Sequence[EndedSaga]:
        return await self._lanes.run(lambda c: ended_sagas(c, after=after, upto=upto, limit=limit))

    # --- the log and its readers ----------------------------------------------------------------------------
    async def events(self, search: LogSearch) -> Sequence[StoredEvent]:
        return await self._lanes.run(lambda c: log.events_of_log(c, search))

    async def position_at(self, moment: datetime) -> int:
        return await self._lanes.run(lambda c: log.position_at(c, moment))

    async def events_of_stream(self, stream: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        return await self._streams.get((stream, after, limit)) or ()

    async def events_of_correlation(self, correlation_id: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        return await self._lanes.run(lambda c: log.events_of_correlation(c, correlation_id, after=after, limit=limit))

    async def position_of(self, reader: str) -> int:
        return await self._positions.get(reader) or 0

    async def progress(self) -> Sequence[ReaderProgress]:
        return [reader for reader in await self._lanes.run(progress) if reader.reader not in self._unused]

    async def wait_for_reader(self, reader: str, *, position: int, within: float) -> None:
        async with aclosing(self._looks(within)) as looks:
            async for _ in looks:
                if await self.position_of(reader) >= position:
                    break

    async def _looks(self, within: float) -> AsyncGenerator[None]:
        """Yield now, then each time the read models may have new data, and for the last time after `within` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        await self._moved.listen()
        while True:
            coming = self._moved.coming()  # before the caller looks, so that data saved meanwhile wakes it too
            yield
            left = deadline - loop.time()
            if left <= 0:
                return
            await self._moved.wait(coming, at_most=min(LOOK_EVERY, left))
