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
from core.ports.reading import ReaderProgress
from core.ports.saga_lists import SagaListing, SagaPage, SagaSearch, SagaSummary
from core.projections.inventory_level import InventoryLevel
from core.projections.projection import Sum

OrderSort = Literal["-created_at", "created_at", "-total_amount", "total_amount"]
"""How a list of orders is sorted. With a minus, the newest or the largest comes first."""

OrderPlace: TypeAlias = tuple[datetime | Decimal, UUID]
"""The place of one order in a sorted list: the order's value that the list is sorted by, and the order's id."""

Row: TypeAlias = Mapping[str, Any]
"""A row of a sum: the values by the names of their columns."""


# --- orders -------------------------------------------------------------------------------------------------
class OrderDocument(Struct, frozen=True, gc=False):
    """The view of an order as JSON that is ready to send, and the versions of the order and its payment in it."""

    version: int
    payment_version: int
    json: bytes

    def shows(self, version: int, payment_version: int) -> bool:
        """Whether it has these versions of the order and its payment, or later ones."""
        return self.version >= version and self.payment_version >= payment_version


class OrderFilter(Struct, frozen=True, kw_only=True):
    """Selects the orders that fit every field that is not None.

    Orders exactly at `created_from`, `min_total` or `max_total` fit; an order exactly at `created_to` does not. `q` is
    the start of an order number or of a tracking number, or a whole SKU.
    """

    status: str | None = None
    payment: str | None = None
    customer_id: str | None = None
    sku: str | None = None
    min_total: Decimal | None = None
    max_total: Decimal | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    q: str | None = None


class OrderSearch(Struct, frozen=True, kw_only=True):
    """Asks for at most `limit` orders of a sorted list: the first ones after `start`, or the last ones before it."""

    filter: OrderFilter
    sort: OrderSort = "-created_at"
    start: OrderPlace | None = None
    backwards: bool = False
    limit: int = 20


class DocumentPage(Struct, frozen=True, kw_only=True):
    """One page of a sorted list of orders, and the places of its first and its last order.

    `more`: the list goes on after the last order, or before the first one if the page was read backwards.
    """

    documents: Sequence[OrderDocument]
    first: OrderPlace | None
    last: OrderPlace | None
    more: bool


class OrderCount(Struct, frozen=True):
    """How many orders there are. `estimated`: there are too many to count them quickly."""

    total: int
    estimated: bool


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

    async def newest_orders(self, fits: OrderFilter, *, offset: int, limit: int) -> Sequence[OrderDocument]:
        """The newest orders that fit, without the first `offset` of them. The time grows with `offset`."""
        ...

    async def count_orders(self, fits: OrderFilter) -> OrderCount:
        """How many orders fit."""
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

    async def progress(self) -> Sequence[ReaderProgress]:
        """How far each reader has come. Readers that never saved a checkpoint are left out."""
        ...

    async def wait_for_reader(self, reader: str, *, position: int, within: float) -> None:
        """Wait until a reader has saved everything up to a position, but at most `within` seconds."""
        ...
