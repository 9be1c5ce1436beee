"""Queries: reading what the query API shows: orders, stock, totals, sagas, the log, and how far its readers have come.

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
from core.domain.message import OrderId, SagaId, Sku
from core.ports.reading import ReaderProgress
from core.projections.inventory_level import InventoryLevel
from core.projections.projection import Sum

OrderSort = Literal["-created_at", "created_at", "-total_amount", "total_amount"]
"""What a list of orders is sorted by; with a minus the largest, or the newest, comes first."""

OrderPlace: TypeAlias = tuple[datetime | Decimal, UUID]
"""A place in a sorted list of orders: what the list is sorted by, at one order, and the id of that order."""

SagaPlace: TypeAlias = tuple[datetime, UUID]
"""A place in the list of sagas: when one started, and its id."""

SagaStatusName = Literal["RUNNING", "COMPLETED", "COMPENSATING", "COMPENSATED", "FAILED", "RESOLVED"]
SagaState = Literal["running", "waiting", "retrying", "overdue", "failed"]
"""What a saga that has not ended is at."""

Row: TypeAlias = Mapping[str, Any]
"""A row of a sum, by the names of its columns."""


# --- orders -------------------------------------------------------------------------------------------------
class OrderDocument(Struct, frozen=True, gc=False):
    """An order's view as JSON that is ready to send, and the version it shows."""

    version: int
    json: bytes


class OrderFilter(Struct, frozen=True, kw_only=True):
    """Which orders are meant: those that fit every field that is not None.

    `created_from` and `max_total` are included, `created_to` is not. `q` is the start of an order number or a tracking
    number, or a whole SKU.
    """

    status: str | None = None
    customer_id: str | None = None
    sku: str | None = None
    min_total: Decimal | None = None
    max_total: Decimal | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    q: str | None = None


class OrderSearch(Struct, frozen=True, kw_only=True):
    """At most `limit` orders of a sorted list: those that follow after `start`, or those just before it."""

    filter: OrderFilter
    sort: OrderSort = "-created_at"
    start: OrderPlace | None = None
    backwards: bool = False
    limit: int = 20


class DocumentPage(Struct, frozen=True, kw_only=True):
    """Orders in the list's order, the places of the first and the last of them, and whether more lie beyond.

    Beyond means: after the last one, or before the first one when the page was read backwards.
    """

    documents: Sequence[OrderDocument]
    first: OrderPlace | None
    last: OrderPlace | None
    more: bool


class OrderCount(Struct, frozen=True):
    """How many orders there are; `estimated`: too many to be counted quickly."""

    total: int
    estimated: bool


# --- stock and totals ---------------------------------------------------------------------------------------
class CurrencySales(Struct, frozen=True, kw_only=True):
    """The orders of one currency: how many were placed, are sold, were cancelled; the revenue of those sold."""

    currency: str
    orders: int
    confirmed: int
    cancelled: int
    revenue: Decimal


class DaySales(Struct, frozen=True, kw_only=True):
    """The orders of one currency that were placed on one UTC day."""

    day: date
    currency: str
    orders: int
    confirmed: int
    cancelled: int
    revenue: Decimal


class DeskTotals(Struct, frozen=True, kw_only=True):
    """`days` are the last fourteen, newest first; `sagas` is how many have not ended, by their status."""

    head: int
    sales: Sequence[CurrencySales]
    days: Sequence[DaySales]
    sagas: Mapping[str, int]


# --- sagas --------------------------------------------------------------------------------------------------
class SagaListing(Struct, frozen=True, kw_only=True):
    """A saga as operators see it.

    `claimed`: a runner works on it. `deadline` is of all its steps together, for a saga that has not ended.
    `state` is None for one that has ended. `next_attempt_at`: when it is taken up again, if no runner works on it.
    """

    saga_id: SagaId
    name: str
    definition: int
    order_id: OrderId
    status: SagaStatusName
    step: str
    attempts: int
    last_error: str | None
    claimed: bool
    due_at: datetime | None
    started_at: datetime
    updated_at: datetime
    deadline: datetime | None
    state: SagaState | None
    next_attempt_at: datetime | None


class SagaSearch(Struct, frozen=True, kw_only=True):
    """At most `limit` of the sagas that fit every field that is not None: those after `start`, or just before it."""

    status: SagaStatusName | None = None
    state: SagaState | None = None
    order_id: UUID | None = None
    start: SagaPlace | None = None
    backwards: bool = False
    limit: int = 20


class SagaPage(Struct, frozen=True):
    """Sagas, newest first; `more`: others lie beyond the page, in the direction it was read in."""

    sagas: Sequence[SagaListing]
    more: bool


class Queries(Protocol):
    # --- orders ---------------------------------------------------------------------------------------------
    def order(self, order_id: OrderId) -> Awaitable[OrderDocument | None]:
        """The view of one order; None while the read model does not have it."""
        ...

    async def wait_for_order(self, order_id: OrderId, *, version: int, within: float) -> OrderDocument | None:
        """The view of one order as soon as it shows `version`; what there is of it after `within` seconds."""
        ...

    async def order_of_number(self, number: str) -> OrderDocument | None:
        """The view of the order with this number; None while the read model does not have it."""
        ...

    async def orders(self, search: OrderSearch) -> DocumentPage:
        """One page of the orders that fit, equally fast wherever in the list it lies."""
        ...

    async def newest_orders(self, fits: OrderFilter, *, offset: int, limit: int) -> Sequence[OrderDocument]:
        """The newest orders that fit, without the first `offset` of them; each of those costs time as well."""
        ...

    async def count_orders(self, fits: OrderFilter) -> OrderCount:
        """How many orders fit."""
        ...

    # --- stock and totals -----------------------------------------------------------------------------------
    async def stock_level(self, sku: Sku) -> InventoryLevel | None:
        """The stock of one SKU; None while the read model does not have it."""
        ...

    async def stock_levels(self, *, after: str, limit: int) -> Sequence[InventoryLevel]:
        """The stock of the SKUs that follow after this one, by SKU."""
        ...

    async def totals(self, of: Sum[Any, Any, Any], key: str) -> Sequence[Row]:
        """The rows of a sum whose key begins with `key`, sorted by the rest of their key, which they show."""
        ...

    async def desk_totals(self) -> DeskTotals:
        """The sales in all and by day, and the number of unfinished sagas."""
        ...

    # --- sagas ----------------------------------------------------------------------------------------------
    async def sagas(self, search: SagaSearch) -> SagaPage:
        """One page of the sagas that fit; it costs what it shows, however many sagas have ended."""
        ...

    async def saga(self, saga_id: UUID) -> SagaListing | None:
        """One saga; None when there is none with this id."""
        ...

    # --- the log and its readers ----------------------------------------------------------------------------
    async def events(
        self, *, after: int, limit: int, categories: Sequence[str] = (), types: Sequence[str] = ()
    ) -> Sequence[StoredEvent]:
        """The events after a position, in order; of these categories and types only, if any are given."""
        ...

    async def events_of_stream(self, stream: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """The events of one stream after a version, in order."""
        ...

    async def events_of_correlation(self, correlation_id: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """Everything that was recorded about one order, in any stream, after a position, in order."""
        ...

    async def progress(self) -> Sequence[ReaderProgress]:
        """How far each reader has come that ever saved a checkpoint."""
        ...

    async def wait_for_reader(self, reader: str, *, position: int, within: float) -> None:
        """Wait until a reader has saved its effects up to a position, at most `within` seconds."""
        ...
