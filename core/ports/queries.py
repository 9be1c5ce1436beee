"""Queries: what the query API reads: orders, stock, totals, sagas, the log, and how far its readers have come.

Nothing here changes anything. Every method raises Unavailable while the database is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

from core.codec import StoredEvent
from core.domain.message import OrderId, Sku
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import DocumentPage, OrderCount, OrderCounts, OrderDocument, OrderSearch
from core.ports.reading import ReaderProgress
from core.ports.saga_lists import SagaListing, SagaPage, SagaPlace, SagasBegun, SagaSearch, SagaSummary
from core.ports.sagas import Backlog
from core.projections.inventory_level import InventoryLevel
from core.projections.projection import Sum

LOG = ""
"""Stands for the log itself where a reader of the log is named: its position is that of the last event."""

Row: TypeAlias = Mapping[str, Any]
"""A row of a sum: the values by the names of their columns."""


# --- stock and totals ---------------------------------------------------------------------------------------
class CurrencySales(Struct, frozen=True, kw_only=True):
    """The orders of one currency: how many were placed, are confirmed, and were cancelled, and their revenue.

    A confirmed order that is cancelled counts as cancelled only. The revenue is what was captured and not refunded.
    """

    currency: str
    orders: int
    confirmed: int
    cancelled: int
    revenue: Decimal


class DaySales(Struct, frozen=True, kw_only=True):
    """The orders of one currency that were placed on one UTC day, with all that has become of them since."""

    day: date
    currency: str
    orders: int
    confirmed: int
    cancelled: int
    revenue: Decimal


class DeskTotals(Struct, frozen=True, kw_only=True):
    """`days` are the last fourteen days, newest first. `sagas` counts those that have not ended, by status."""

    head: int
    sales: Sequence[CurrencySales]
    days: Sequence[DaySales]
    sagas: Mapping[str, int]


class Release(Struct, frozen=True, kw_only=True):
    """A release of the programs. `position` is where the log ended when it began to run.

    `build` is the beginning of a hash of its program files, so that two builds of one version can be told apart.
    """

    version: str
    build: str
    began_at: datetime
    position: int


# --- the log ------------------------------------------------------------------------------------------------
class LogSearch(Struct, frozen=True, kw_only=True):
    """Asks for at most `limit` events that fit every field that is given.

    They are the first ones after the position `after`, or, with `before`, the last ones before that position.
    """

    after: int = 0
    before: int | None = None
    limit: int
    categories: Sequence[str] = ()
    types: Sequence[str] = ()
    order_id: UUID | None = None
    stream_id: UUID | None = None


SagaOutcome = Literal["completed", "compensated", "failed"]


class EndedSaga(Struct, frozen=True):
    """How a saga ended, and how many seconds after its start. A failed one may go on when a person steers it."""

    outcome: SagaOutcome
    seconds: float


class Queries(Protocol):
    # --- orders ---------------------------------------------------------------------------------------------
    def order(self, order_id: OrderId) -> Awaitable[OrderDocument | None]:
        """The view of one order; None while the read model does not have it."""
        ...

    async def wait_for_order(
        self, order_id: OrderId, *, version: int, payment_version: int, within: float
    ) -> OrderDocument | None:
        """The view of one order as soon as it shows both versions; after `within` seconds, the view as it is then."""
        ...

    async def order_of_number(self, number: str) -> OrderDocument | None:
        """The view of the order with this number; None while the read model does not have it."""
        ...

    async def orders(self, search: OrderSearch) -> DocumentPage:
        """One page of the orders that fit. A page at the end of the list takes no longer than the first page."""
        ...

    async def newest_orders(self, fits: OrderQuery, *, offset: int, limit: int) -> DocumentPage:
        """The newest orders that fit, without the first `offset` of them. The time grows with `offset`."""
        ...

    async def counted_orders(self, search: OrderSearch) -> tuple[DocumentPage, OrderCount]:
        """The same page, and how many orders fit in all, both as of one moment."""
        ...

    async def counted_newest_orders(
        self, fits: OrderQuery, *, offset: int, limit: int
    ) -> tuple[DocumentPage, OrderCount]:
        """The same orders, and how many fit in all, both as of one moment."""
        ...

    async def count_orders(self, fits: OrderQuery) -> OrderCount:
        """How many orders fit."""
        ...

    async def count_orders_by_status(self, fits: OrderQuery) -> OrderCounts:
        """How many orders fit, altogether, in each status, and with each status of their payment."""
        ...

    # --- stock and totals -----------------------------------------------------------------------------------
    async def stock_level(self, sku: Sku) -> InventoryLevel | None:
        """The stock of one SKU; None while the read model does not have it."""
        ...

    async def stock_levels(self, *, after: str, limit: int) -> Sequence[InventoryLevel]:
        """The stock of the SKUs that follow after this one, sorted by SKU."""
        ...

    async def totals(self, of: Sum[Any, Any, Any], key: str) -> Sequence[Row]:
        """The rows of a sum whose first key column is `key`, without that column, sorted by the other key columns."""
        ...

    async def desk_totals(self) -> DeskTotals:
        """The sales altogether and by day, and the number of unfinished sagas."""
        ...

    async def authorised_money(self, *, most: int) -> Mapping[str, Decimal]:
        """The money of payments that are authorised and not captured yet, by currency; of at most so many orders."""
        ...

    # --- sagas ----------------------------------------------------------------------------------------------
    async def sagas(self, search: SagaSearch) -> SagaPage:
        """One page of the sagas that fit. It takes no longer when many sagas have ended."""
        ...

    async def saga(self, saga_id: UUID) -> SagaListing | None:
        """One saga; None when there is none with this id."""
        ...

    async def saga_summary(self) -> SagaSummary:
        """What all unfinished sagas, and those whose authorisation ends soon, are at. It takes a bounded time."""
        ...

    async def backlog(self, *, most: int) -> Backlog:
        """What waits for a saga runner, of each kind at most so many."""
        ...

    async def saga_owners(self) -> Mapping[str, int]:
        """How many unfinished sagas each process has a lease on, by the name under which it leases them."""
        ...

    async def sagas_begun(self, wanted: SagasBegun) -> Sequence[SagaPlace]:
        """When each of the sagas had started, and its id."""
        ...

    async def expiring_orders(self, before: datetime, limit: int) -> Sequence[OrderId]:
        """Confirmed orders that are not shipped, and whose authorisation ends before a moment; at most so many."""
        ...

    async def releases(self, limit: int) -> Sequence[Release]:
        """The releases that ran, newest first."""
        ...

    async def ended_sagas(self, *, after: int, upto: int, limit: int) -> Sequence[EndedSaga]:
        """Sagas that ended, or failed, after a position and up to another one; at most so many, in no order."""
        ...

    # --- the log and its readers ----------------------------------------------------------------------------
    async def events(self, search: LogSearch) -> Sequence[StoredEvent]:
        """The events of the log that fit, always in the order of the log."""
        ...

    async def position_at(self, moment: datetime) -> int:
        """The position of the first event recorded at a moment or after it; one past the head when there is none."""
        ...

    async def events_of_stream(self, stream: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """The events of one stream after a version, in order."""
        ...

    async def events_of_correlation(self, correlation_id: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """Everything that was recorded about one order, in any stream, after a position, in order."""
        ...

    def position_of(self, reader: str) -> Awaitable[int]:
        """The position that a reader saved last; 0 if it never saved one. The reader LOG stands for the log's end."""
        ...

    async def progress(self) -> Sequence[ReaderProgress]:
        """How far each reader has come. Readers that never saved a checkpoint are left out."""
        ...

    async def wait_for_reader(self, reader: str, *, position: int, within: float) -> None:
        """Wait until a reader has saved everything up to a position, but at most `within` seconds."""
        ...
