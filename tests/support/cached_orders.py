"""Orders in memory instead of a database, read and saved through the cache on a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from core import codec
from core.adapters.redis.opening import OrderCache, cached_queries, cached_read_models
from core.domain.message import OrderId, StreamId
from core.domain.order import Address, Status
from core.domain.payment import PaymentStatus
from core.ports.listed_orders import OrderDocument
from core.ports.order_cache import CacheReport
from core.ports.queries import Queries
from core.ports.reading import Changes, Opened, ReaderProgress, ReadModels
from core.projections.order_view import OrderView

ADDRESS = Address(street="1 Market St", city="San Francisco", state="CA", zip="94105", country="US")
BEGAN = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
SOON = 1.5  # seconds; a read or a save that does not wait for Redis, on a busy machine


def order_view(order_id: OrderId, version: int, customer: str = "ann") -> OrderView:
    nothing = Decimal("0.00")
    return OrderView(
        order_id=order_id, customer_id=customer, order_number="ORD-0000000001", status=Status.CREATED,
        payment_status=PaymentStatus.ABSENT, total_amount=nothing, authorized_amount=nothing, captured_amount=nothing,
        refunded_amount=nothing, currency="USD", items=(), shipping_address=ADDRESS, tracking_number=None,
        carrier=None, payment_expires_at=None, created_at=BEGAN, updated_at=BEGAN, version=version, payment_version=0,
    )  # fmt: skip


class Rows:
    """The read model: it is saved by projectors and read by query APIs, and says how often. A test may hold both up."""

    def __init__(self) -> None:
        self.views: dict[OrderId, OrderView] = {}
        self.reads = self.epoch = 0
        self.before_save: Callable[[], Any] | None = None
        self.after_save: Callable[[], Any] | None = None
        self.after_read: Callable[[], Any] | None = None

    # --- as ReadModels --------------------------------------------------------------------------------------
    async def open(self) -> Opened:
        self.epoch += 1
        return Opened(0, 0, self.epoch)

    async def load(self, streams: Sequence[StreamId]) -> Mapping[StreamId, Any]:
        return {stream: view for stream in streams if (view := self.views.get(OrderId(stream))) is not None}

    async def save(self, changes: Changes) -> None:
        if self.before_save is not None:
            await self.before_save()
        self.views |= {view.order_id: view for view in changes.views}
        if self.after_save is not None:
            await self.after_save()

    async def progress(self) -> ReaderProgress | None:
        return None

    # --- as Queries -----------------------------------------------------------------------------------------
    async def order(self, order_id: OrderId) -> OrderDocument | None:
        self.reads += 1
        view = self.views.get(order_id)
        if self.after_read is not None:
            await self.after_read()
        return None if view is None else OrderDocument(view.version, view.payment_version, codec.json(view))


class CachedOrders:
    """One database of orders, with as many projectors and query APIs as a test opens."""

    def __init__(self, url: str) -> None:
        self.rows = Rows()
        self.url = url
        self.database = uuid4().hex

    def cache(self, url: str | None = None) -> OrderCache:
        return OrderCache(url or self.url, self.database, 300, "test", CacheReport())

    @contextlib.asynccontextmanager
    async def reader(self, url: str | None = None) -> AsyncIterator[Queries]:
        async with cached_queries(cast("Queries", self.rows), cache := self.cache(url)) as queries:
            await until(lambda: cache.report.wrong is None or "not been reached" not in cache.report.wrong)
            cast("Any", queries).report = cache.report
            yield queries

    @contextlib.asynccontextmanager
    async def projector(
        self, url: str | None = None, holds: Callable[[float], bool] = lambda _: True
    ) -> AsyncIterator[ReadModels]:
        async with cached_read_models(cast("ReadModels", self.rows), cache := self.cache(url), holds) as read_models:
            await read_models.open()
            cast("Any", read_models).report = cache.report
            yield read_models

    async def save(self, projector: ReadModels, *views: OrderView) -> None:
        await projector.save(Changes(after=0, position=1, views=views, sums={}))
        await stored(projector)


async def stored(projector: ReadModels) -> None:
    """Wait until the projector has stored in the cache what it saved last."""
    writer = cast("Any", projector)._writer
    if writer._writing is not None:
        await writer._writing


async def settled(reader: Queries) -> None:
    """Wait until the reader has stored in the cache what it has read."""
    await until(lambda: cast("Any", reader)._filling is None)


async def until(holds: Callable[[], bool], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not come so far"
        await asyncio.sleep(0.002)


def new_order() -> OrderId:
    return OrderId(uuid4())


def key(order_id: UUID) -> str:
    return f"order:{order_id}"


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long time limits and promises, for tests that are not about time, on a busy machine."""
    monkeypatch.setattr("core.adapters.redis.opening.READ_LIMIT", 5.0)
    monkeypatch.setattr("core.adapters.redis.opening.MARK_LIMIT", 5.0)
    monkeypatch.setattr("core.adapters.redis.writer.LASTS", 10.0)
    monkeypatch.setattr("core.adapters.redis.queries.SAME_PROMISE", 25.0)


async def assert_reads(reader: Queries, order: OrderId, version: int, *, cache: str | None = None) -> None:
    began = time.monotonic()
    read = await reader.order(order)
    assert time.monotonic() - began < SOON
    assert read is not None
    assert read.version == version
    assert cache in (None, read.cache)
