"""The queries of one request that asks for an earlier moment: every answer is folded from the log up to a position."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec

from core import codec
from core.codec import StoredEvent
from core.domain.message import OrderId, Sku, StreamId, inventory_stream, payment_of, saga_of
from core.errors import FieldError, InvalidInput
from core.filters.order_query import OrderQuery
from core.ports.clock import Clock
from core.ports.listed_orders import DocumentPage, OrderCount, OrderCounts, OrderDocument, OrderSearch
from core.ports.queries import LOG, DeskTotals, LogSearch, Queries, Release
from core.ports.saga_lists import SagaListing, SagaPage, SagaSearch, SagaSummary
from core.projections import ORDERS, STOCK
from core.projections.inventory_level import InventoryLevel
from core.projections.order_view import ORDER_EVENTS, PAYMENT_EVENTS, OrderView
from core.sagas.fulfil_order import FULFIL_ORDER
from core.services.fresh_views import fold_on, order_state
from core.services.past_models import PastModels
from core.services.past_saga_lists import PastSagaLists
from core.services.past_sagas import BEFORE_ALL, EXPIRES_SOON, PastSaga
from core.services.request_reads import LONGEST_CATCH_UP, ReadServers, RequestReads, always

T = TypeVar("T")

PAGE = 1_000  # events in one reading
MOST_FOLDED = 5_000  # events of one SKU that are folded for one answer, which takes about 0.1 s
AS_OF = "as_of"
MOST_RELEASES = 1_000  # that are looked through
SMALLEST_STEP = timedelta(microseconds=1)  # between two times that the log can tell apart


class PastPoint(NamedTuple):
    """Everything up to a position. `at`: the moment that was asked for, or else when the position's event was recorded.

    Before the first event of all there is no time: then the position is 0 and `at` None, unless a moment was asked for.
    """

    position: int
    at: datetime | None


async def past_point(reads: RequestReads, clock: Clock, wanted: int | datetime, name: str = AS_OF) -> PastPoint:
    """The place in the log of a position, or of a moment: the last event that was recorded at the moment or before.

    Raises InvalidInput for a position after the head, and for a moment in the future: nobody knows them yet.
    """
    if isinstance(wanted, datetime):
        now = clock.now()
        if wanted > now:
            raise _wrong(f"is in the future: here it is {utc(now)}", name)
        return PastPoint(await reads.position_at(wanted + SMALLEST_STEP) - 1, wanted)
    if wanted == 0:
        return PastPoint(0, None)
    page = await reads.events(LogSearch(after=wanted - 1, limit=1))
    if not page:
        raise _wrong(f"is beyond the head of the log, which is {await reads.position_of(LOG)}", name)
    return PastPoint(wanted, page[0].recorded_at)


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _wrong(why: str, name: str = AS_OF) -> InvalidInput:
    return InvalidInput([FieldError(name, why)])


class PastReads(RequestReads):
    """See `core.ports.queries.Queries`: every answer is as it was after the event at `point`.

    One order, SKU or saga is folded from its events; lists and totals are read from read models that were filled up to
    there. What the log does not say, such as which runner held a saga, is left out.
    `later` is the first event of whatever was looked for and had no event yet.
    """

    def __init__(self, servers: ReadServers, models: PastModels, point: PastPoint) -> None:
        super().__init__(servers, point.position)
        self._models = models
        self.point = point
        self.later: StoredEvent | None = None

    # --- the log up to the position -------------------------------------------------------------------------
    async def events(self, search: LogSearch) -> Sequence[StoredEvent]:
        end = self.point.position
        if search.before is not None:
            return await super().events(msgspec.structs.replace(search, before=min(search.before, end + 1)))
        return self._upto(await super().events(search)) if search.after < end else []

    async def events_of_stream(self, stream: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """In a stream, versions follow positions: what is cut off a page is the stream's end."""
        return self._upto(await super().events_of_stream(stream, after=after, limit=limit), first=after == 0)

    async def events_of_correlation(self, correlation_id: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        page = await super().events_of_correlation(correlation_id, after=after, limit=limit)
        return self._upto(page, first=after == 0)

    async def position_at(self, moment: datetime) -> int:
        return min(await super().position_at(moment), self.point.position + 1)

    async def position_of(self, reader: str) -> int:  # noqa: ARG002 - the port's signature
        """Everything that is read here is as of one position."""
        return self.point.position

    def _upto(self, page: Sequence[StoredEvent], *, first: bool = False) -> Sequence[StoredEvent]:
        if first and page and page[0].position > self.point.position and self.later is None:
            self.later = page[0]
        return [event for event in page if event.position <= self.point.position]

    # --- one order, SKU or saga -----------------------------------------------------------------------------
    async def order(self, order_id: OrderId) -> OrderDocument | None:
        view = await self._order_view(order_id)
        return OrderDocument(view.version, view.payment_version, codec.json(view)) if view is not None else None

    async def wait_for_order(
        self, order_id: OrderId, *, version: int, payment_version: int, within: float
    ) -> OrderDocument | None:
        """The past does not change, so nothing is waited for."""
        del version, payment_version, within
        return await self.order(order_id)

    async def order_of_number(self, number: str) -> OrderDocument | None:
        """A number belongs to one order for ever, so the read model of today knows whose it is."""
        live = await RequestReads(self._servers, None).order_of_number(number)
        return await self.order(msgspec.json.decode(live.json, type=OrderView).order_id) if live is not None else None

    async def stock_level(self, sku: Sku) -> InventoryLevel | None:
        """None for a SKU with few events: the caller folds them. With more, it is read from the list of that moment."""
        if not await self.events_of_stream(inventory_stream(sku), after=MOST_FOLDED, limit=1):
            return None
        return await (await self._models.queries(STOCK.reader, self.point.position)).stock_level(sku)

    async def saga(self, saga_id: UUID) -> SagaListing | None:
        saga, after = PastSaga(), 0
        while True:
            page = await self.events_of_stream(saga_id, after=after, limit=PAGE)
            for stored in page:
                saga.take(stored)
            if len(page) < PAGE:
                break
            after = page[-1].version
        if saga.order_id is None or self.point.at is None:
            return None
        view = await self._order_view(saga.order_id)
        return saga.listing(await order_state(self, saga.order_id), view, self.point.at)

    async def _order_view(self, order_id: OrderId) -> OrderView | None:
        view = await fold_on(self, ORDERS, ORDER_EVENTS, StreamId(order_id), None)
        if view is None:
            return None
        return await fold_on(self, ORDERS, PAYMENT_EVENTS, StreamId(payment_of(order_id)), view) or view

    # --- lists and totals -----------------------------------------------------------------------------------
    async def counted_orders(self, search: OrderSearch) -> tuple[DocumentPage, OrderCount]:
        """What is wrong with their sagas is not among it: rows of sagas are not kept."""
        _no_saga_filter(search.filter)
        return await super().counted_orders(msgspec.structs.replace(search, troubles=False))

    async def count_orders_by_status(self, fits: OrderQuery) -> OrderCounts:
        _no_saga_filter(fits)
        return await super().count_orders_by_status(fits)

    async def desk_totals(self) -> DeskTotals:
        """Without the number of unfinished sagas, which the summary of sagas has."""
        totals = await super().desk_totals()
        return msgspec.structs.replace(totals, head=self.point.position, sagas={})

    async def sagas(self, search: SagaSearch) -> SagaPage:
        return await self._saga_lists(self.point.at).page(search) if self.point.at else SagaPage([], more=False)

    async def saga_summary(self) -> SagaSummary:
        """What all unfinished sagas were at; without what waited for a runner, which is not in the log."""
        return await self._saga_lists(self.point.at or BEFORE_ALL).summary()

    def _saga_lists(self, at: datetime) -> PastSagaLists:
        async def expiring(limit: int) -> Sequence[UUID]:
            if not self.point.position:
                return []
            orders = await self.expiring_orders(at + EXPIRES_SOON, limit)
            return [saga_of(order_id, FULFIL_ORDER.name) for order_id in orders]

        return PastSagaLists(at, self.saga, self.sagas_begun, expiring)

    async def releases(self, limit: int) -> Sequence[Release]:
        known = await super().releases(MOST_RELEASES)
        return [release for release in known if release.position <= self.point.position][:limit]

    async def _ask(
        self,
        reader: str,
        read: Callable[[Queries], Awaitable[T]],
        enough: Callable[[T], bool] = always,
        *,
        patience: float = LONGEST_CATCH_UP,
    ) -> T:
        """The log is read as it is, and cut off by the caller; today's read models say nothing of the past."""
        if reader == LOG:
            return await super()._ask(reader, read, enough, patience=patience)
        return await read(await self._models.queries(reader, self.point.position))


def _no_saga_filter(fits: OrderQuery) -> None:
    if fits.saga:
        raise InvalidInput([FieldError("saga", "cannot be given together with as_of: ask the list of sagas")])
