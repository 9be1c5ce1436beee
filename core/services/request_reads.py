"""The queries of one request: answered by a replica that shows enough, or else by the primary."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from core.codec import StoredEvent
from core.domain.message import OrderId, Sku
from core.errors import OrderdeckError
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import DocumentPage, OrderCount, OrderCounts, OrderDocument, OrderSearch
from core.ports.queries import LOG, DeskTotals, EndedSaga, LogSearch, Queries, Release, Row
from core.ports.reading import ReaderProgress
from core.ports.replicas import PositionNotReached, Replica, Replicas
from core.ports.saga_lists import SagaListing, SagaPage, SagaPlace, SagasBegun, SagaSearch, SagaSummary
from core.ports.sagas import Backlog
from core.projections import GROUPS, ORDERS, STOCK
from core.projections.inventory_level import InventoryLevel
from core.projections.projection import Sum

READ_LIMIT = 2.0  # seconds that a replica may take for a read; then the primary is asked
LONGEST_CATCH_UP = 1.0  # seconds that a read waits until the primary's read model shows `min_position`
PRIMARY = "primary"

T = TypeVar("T")


class ReadServers:
    """The primary and its replicas. `reads` counts what each server has answered, `turned` what failed at a replica.

    With `cached`, orders by their ids come from a cache before the primary, which costs less than a replica.
    """

    def __init__(self, primary: Queries, replicas: Replicas, *, cached: bool = False) -> None:
        self.primary = primary
        self.replicas = replicas
        self.cached = cached
        self.reads = Counter[str]()
        self.turned = Counter[str]()

    def request(self, min_position: int | None = None) -> RequestReads:
        """The queries of a request that wants to see everything up to a position."""
        return RequestReads(self, min_position)


def always(_: Any) -> bool:
    return True


def _there(answer: Any) -> bool:
    return answer is not None


class RequestReads:
    """See `core.ports.queries.Queries`. Later reads of a request never show less than its earlier ones.

    So all reads are done by one replica, or, from the first that it cannot do, by the primary. A replica never says
    that something is missing: the primary is asked then. Raises PositionNotReached if the primary does not show
    `min_position` within LONGEST_CATCH_UP.
    """

    def __init__(self, servers: ReadServers, min_position: int | None) -> None:
        self.primary = servers.primary
        self.min_position = min_position
        self.read_at: str | None = None
        self.position: int | None = None
        self._servers = servers
        self._replica: Replica | None = None
        self._read: set[str] = set()
        self._versions = 0, 0

    async def _ask(
        self,
        reader: str,
        read: Callable[[Queries], Awaitable[T]],
        enough: Callable[[T], bool] = always,
        *,
        patience: float = LONGEST_CATCH_UP,
    ) -> T:
        """Read what a reader of the log has made; `enough` says whether an answer of a replica will do.

        The primary's reader gets `patience` seconds to reach `min_position`.
        """
        self._read.add(reader)
        replica = self._choose(reader)
        if replica is not None:
            try:
                async with asyncio.timeout(READ_LIMIT):
                    answer = await read(replica.queries)
            except (OrderdeckError, TimeoutError) as error:
                self._servers.turned[replica.name] += 1
                replica.failed(error)
            else:
                if enough(answer):
                    self._replica, self.read_at = replica, replica.name
                    self._servers.reads[replica.name] += 1
                    return answer
        self._replica, self.read_at = None, PRIMARY
        await self._wait_for_primary(reader, patience)
        self._servers.reads[PRIMARY] += 1
        return await read(self.primary)

    def _choose(self, reader: str) -> Replica | None:
        wanted = self.min_position or 0
        if self.read_at is None:
            return self._servers.replicas.choose(reader, wanted)
        same = self._replica
        return same if same is not None and same.shows(reader, wanted) else None

    async def _wait_for_primary(self, reader: str, patience: float) -> None:
        wanted = self.min_position or 0
        if not wanted or (reached := await self.primary.position_of(reader)) >= wanted:
            return
        head = await self.primary.position_of(LOG)
        if reader != LOG and wanted <= head and patience > 0:
            await self.primary.wait_for_reader(reader, position=wanted, within=patience)
            reached = await self.primary.position_of(reader)
        if reached < wanted:
            raise PositionNotReached(wanted, reached, head)

    async def note_position(self) -> None:
        """Keep in `position` how far the server that answered has come with what was read, if somebody wants it.

        A request with this as its `min_position` sees at least what this one has seen.
        """
        if self.read_at is None or not (self.has_replicas or self.min_position is not None):
            return
        queries = self._replica.queries if self._replica is not None else self.primary
        self.position = max([await queries.position_of(reader) for reader in sorted(self._read)])

    # --- orders ---------------------------------------------------------------------------------------------
    async def order(self, order_id: OrderId) -> OrderDocument | None:
        """Raises PositionNotReached at once: the caller can fold the order's events."""
        if self._servers.cached and not self.primary_away:
            self.read_at = PRIMARY
        return await self._ask(ORDERS.reader, lambda q: q.order(order_id), self._shows_versions, patience=0)

    @property
    def has_replicas(self) -> bool:
        return bool(self._servers.replicas.states())

    @property
    def primary_away(self) -> float:
        """For how many seconds the primary has not answered; 0 while it answers."""
        return self._servers.replicas.primary_away

    def wants_versions(self, version: int, payment_version: int) -> None:
        """Let a replica answer `order` only if it shows these versions of the order and its payment."""
        self._versions = version, payment_version

    def _shows_versions(self, document: OrderDocument | None) -> bool:
        return document is not None and document.shows(*self._versions)

    async def wait_for_order(
        self, order_id: OrderId, *, version: int, payment_version: int, within: float
    ) -> OrderDocument | None:
        self._stay_at_primary(ORDERS.reader)
        return await self.primary.wait_for_order(
            order_id, version=version, payment_version=payment_version, within=within
        )

    async def order_of_number(self, number: str) -> OrderDocument | None:
        return await self._ask(ORDERS.reader, lambda q: q.order_of_number(number), _there)

    async def orders(self, search: OrderSearch) -> DocumentPage:
        return await self._ask(ORDERS.reader, lambda q: q.orders(search))

    async def newest_orders(self, fits: OrderQuery, *, offset: int, limit: int) -> DocumentPage:
        return await self._ask(ORDERS.reader, lambda q: q.newest_orders(fits, offset=offset, limit=limit))

    async def counted_orders(self, search: OrderSearch) -> tuple[DocumentPage, OrderCount]:
        return await self._ask(ORDERS.reader, lambda q: q.counted_orders(search))

    async def counted_newest_orders(
        self, fits: OrderQuery, *, offset: int, limit: int
    ) -> tuple[DocumentPage, OrderCount]:
        return await self._ask(ORDERS.reader, lambda q: q.counted_newest_orders(fits, offset=offset, limit=limit))

    async def count_orders(self, fits: OrderQuery) -> OrderCount:
        return await self._ask(ORDERS.reader, lambda q: q.count_orders(fits))

    async def count_orders_by_status(self, fits: OrderQuery) -> OrderCounts:
        return await self._ask(ORDERS.reader, lambda q: q.count_orders_by_status(fits))

    # --- stock and totals -----------------------------------------------------------------------------------
    async def stock_level(self, sku: Sku) -> InventoryLevel | None:
        return await self._ask(STOCK.reader, lambda q: q.stock_level(sku), _there)

    async def stock_levels(self, *, after: str, limit: int) -> Sequence[InventoryLevel]:
        return await self._ask(STOCK.reader, lambda q: q.stock_levels(after=after, limit=limit))

    async def totals(self, of: Sum[Any, Any, Any], key: str) -> Sequence[Row]:
        reader = next(group.reader for group in GROUPS if of in group.models)
        return await self._ask(reader, lambda q: q.totals(of, key), bool)

    async def desk_totals(self) -> DeskTotals:
        return await self._ask(ORDERS.reader, lambda q: q.desk_totals())

    async def authorised_money(self, *, most: int) -> Mapping[str, Decimal]:
        return await self._ask(ORDERS.reader, lambda q: q.authorised_money(most=most))

    # --- sagas, whose rows are written together with the log -----------------------------------------------
    async def sagas(self, search: SagaSearch) -> SagaPage:
        return await self._ask(LOG, lambda q: q.sagas(search))

    async def saga(self, saga_id: UUID) -> SagaListing | None:
        return await self._ask(LOG, lambda q: q.saga(saga_id), _there)

    async def saga_summary(self) -> SagaSummary:
        return await self._ask(LOG, lambda q: q.saga_summary())

    async def ended_sagas(self, *, after: int, upto: int, limit: int) -> Sequence[EndedSaga]:
        self._stay_at_primary(LOG)
        return await self.primary.ended_sagas(after=after, upto=upto, limit=limit)

    async def backlog(self, *, most: int) -> Backlog:
        return await self.primary.backlog(most=most)

    async def saga_owners(self) -> Mapping[str, int]:
        return await self.primary.saga_owners()

    async def sagas_begun(self, wanted: SagasBegun) -> Sequence[SagaPlace]:
        return await self._ask(LOG, lambda q: q.sagas_begun(wanted))

    async def expiring_orders(self, before: datetime, limit: int) -> Sequence[OrderId]:
        return await self._ask(ORDERS.reader, lambda q: q.expiring_orders(before, limit))

    async def releases(self, limit: int) -> Sequence[Release]:
        return await self._ask(LOG, lambda q: q.releases(limit))

    # --- the log and its readers ----------------------------------------------------------------------------
    async def events(self, search: LogSearch) -> Sequence[StoredEvent]:
        """A replica has the beginning of the log without gaps, so a full page that it gives is the right one.

        But the last events before a position are right only if it has all events before that position.
        """
        if search.before is not None and not self._has_before(search.before):
            self._replica, self.read_at = None, PRIMARY
        backwards = search.before is not None
        return await self._ask(LOG, lambda q: q.events(search), lambda page: backwards or len(page) >= search.limit)

    async def position_at(self, moment: datetime) -> int:
        self._stay_at_primary(LOG)
        return await self.primary.position_at(moment)

    async def events_of_stream(self, stream: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        return await self._ask(LOG, lambda q: q.events_of_stream(stream, after=after, limit=limit), bool)

    async def events_of_correlation(self, correlation_id: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        return await self._ask(LOG, lambda q: q.events_of_correlation(correlation_id, after=after, limit=limit), bool)

    async def position_of(self, reader: str) -> int:
        return await self.primary.position_of(reader)

    async def progress(self) -> Sequence[ReaderProgress]:
        return await self.primary.progress()

    async def wait_for_reader(self, reader: str, *, position: int, within: float) -> None:
        self._stay_at_primary(reader)
        await self.primary.wait_for_reader(reader, position=position, within=within)

    def _stay_at_primary(self, reader: str) -> None:
        self._read.add(reader)
        self._replica, self.read_at = None, PRIMARY
        self._servers.reads[PRIMARY] += 1

    def _has_before(self, position: int) -> bool:
        if self.read_at is None and (replica := self._servers.replicas.choose(LOG, position - 1)) is not None:
            self._replica, self.read_at = replica, replica.name
        return self._replica is not None and self._replica.shows(LOG, position - 1)
