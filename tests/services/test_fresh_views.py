"""Fresh views: what the read models do not have yet is folded from the log, only that, and a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from core.adapters.postgres.queries.queries import PostgresQueries
from core.codec import StoredEvent
from core.domain.inventory import InventoryReserved, StockReplenished
from core.domain.message import OrderId, Sku
from core.domain.payment import PaymentStatus
from core.errors import NotFound
from core.projections.order_view import OrderView
from core.services import fresh_views
from core.services.fresh_views import fresh_level, fresh_order
from tests.support.opener import Opener
from tests.support.orders import Sample, order_id, with_payment, write
from tests.support.projecting import project
from tests.support.samples import confirmed, created, delivered, replenished, reserved, shipped
from tests.support.stored_events import stored_events

SKU = Sku("LAPTOP-001")
PAGE = 50


class PageCounter(PostgresQueries):
    """Notes each page of a stream: after which version it was read, and how many events it had."""

    def __init__(self, opener: Opener) -> None:
        super().__init__(opener)
        self.pages: list[tuple[int, int]] = []

    async def events_of_stream(self, stream: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
        page = await super().events_of_stream(stream, after=after, limit=limit)
        self.pages.append((after, len(page)))
        return page


@pytest.fixture
async def queries(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PageCounter]:
    monkeypatch.setattr(fresh_views, "PAGE", PAGE)
    queries = PageCounter(opener)
    yield queries
    queries.close()


def stock_events(count: int) -> list[StockReplenished | InventoryReserved]:
    return [replenished if n % 3 else reserved for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("events", "pages"),
    [
        (PAGE - 1, [(0, 49)]),
        (2 * PAGE, [(0, 50), (50, 50), (100, 0)]),
        (4 * PAGE + 7, [(0, 50), (50, 50), (100, 50), (150, 50), (200, 7)]),
    ],
)
async def test_a_sku_that_is_not_in_the_read_model_is_folded_a_page_at_a_time(
    queries: PageCounter, dsn: str, opener: Opener, events: int, pages: list[tuple[int, int]]
) -> None:
    await write(dsn, stored_events(stock_events(events)))
    folded, read_from = await fresh_level(queries, SKU)
    assert read_from == "log"
    assert queries.pages == pages
    assert folded.version == events
    await project(opener)
    assert await queries.stock_level(SKU) == folded


async def test_a_sku_that_is_in_the_read_model_is_not_folded(queries: PageCounter, dsn: str, opener: Opener) -> None:
    log = stored_events(stock_events(5))
    await write(dsn, log[:3])
    await project(opener)
    await write(dsn, log[3:])
    level, read_from = await fresh_level(queries, SKU)
    assert (level.version, read_from) == (3, "view")
    assert queries.pages == []


async def test_only_the_events_after_a_view_that_is_behind_are_read_and_folded_into_it(
    queries: PageCounter, dsn: str, opener: Opener
) -> None:
    log = Sample(1, seed=3).events()
    assert len(log) > 2
    await write(dsn, log[:2])
    await project(opener)
    await write(dsn, log[2:])
    folded, read_from = await fresh_order(queries, order_id(1), min_version=3)
    assert read_from == "log"
    assert queries.pages == [
        (2, len(log) - 2),
        (0, 0),
    ]  # the order's events and, of which there are none, its payment's
    assert msgspec.json.decode(folded.json, type=OrderView).version == folded.version == len(log)
    await project(opener)
    assert await queries.order(order_id(1)) == folded


async def test_a_view_whose_payment_is_behind_gets_the_events_of_both_streams_that_it_lacks(
    queries: PageCounter, dsn: str, opener: Opener
) -> None:
    log = [*with_payment(2, [created, confirmed, shipped, delivered])]
    log = stored_events([replace(event, order_id=order_id(2)) for event in log])
    await write(dsn, log[:3])  # created, authorised, confirmed
    await project(opener)
    await write(dsn, log[3:])  # shipped, captured, delivered, refunded in part
    folded, _ = await fresh_order(queries, order_id(2), min_version=2, min_payment_version=2)
    assert queries.pages == [(2, 2), (1, 2)]
    assert (folded.version, folded.payment_version) == (4, 3)
    view = msgspec.json.decode(folded.json, type=OrderView)
    assert view.payment_status is PaymentStatus.PARTLY_REFUNDED
    await project(opener)
    assert await queries.order(order_id(2)) == folded


async def test_an_order_that_is_not_in_the_read_model_is_folded_with_its_payment(
    queries: PageCounter, dsn: str, opener: Opener
) -> None:
    await write(dsn, Sample(9, payments=True).events())
    folded = [(await fresh_order(queries, order_id(n)))[0] for n in range(1, 10)]
    await project(opener)
    assert [await queries.order(order_id(n)) for n in range(1, 10)] == folded


async def test_a_young_order_that_the_read_model_does_not_have_yet_is_answered_no_newer_than_was_asked_for(
    queries: PageCounter, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read model may have its first event next: an answer with all of them would be followed by an older one."""
    events = [*with_payment(2, [replace(created, created_at=datetime.now(UTC)), confirmed, shipped])]
    await write(dsn, stored_events([replace(event, order_id=order_id(2)) for event in events]))
    for asked, versions in (((0, 0), (1, 0)), ((1, 0), (1, 0)), ((2, 1), (2, 1)), ((9, 9), (3, 2))):
        order, read_from = await fresh_order(queries, order_id(2), min_version=asked[0], min_payment_version=asked[1])
        assert (order.version, order.payment_version, read_from) == (*versions, "log")
    monkeypatch.setattr(fresh_views, "YOUNG", timedelta(0))  # the read model is filled anew, which takes a while
    order, _ = await fresh_order(queries, order_id(2))
    assert (order.version, order.payment_version) == (3, 2)


async def test_a_view_that_is_fresh_enough_is_given_as_it_is(queries: PageCounter, dsn: str, opener: Opener) -> None:
    log = Sample(1, seed=3).events()
    await write(dsn, log[:2])
    await project(opener)
    await write(dsn, log[2:])
    order, read_from = await fresh_order(queries, order_id(1), min_version=2, wait=20)
    assert (order.version, read_from) == (2, "view")
    assert queries.pages == []


async def test_a_version_that_the_stream_does_not_have_yet_gives_what_the_stream_has(
    queries: PageCounter, dsn: str
) -> None:
    log = Sample(1).events()
    await write(dsn, log)
    order, read_from = await fresh_order(queries, order_id(1), min_version=99)
    assert (order.version, read_from) == (len(log), "log")


async def test_neither_an_order_nor_a_sku_that_does_not_exist_is_found(queries: PageCounter) -> None:
    with pytest.raises(NotFound):
        await fresh_order(queries, OrderId(uuid4()))
    with pytest.raises(NotFound):
        await fresh_level(queries, Sku("NOT-THERE"))


async def test_an_event_that_is_skipped_for_the_read_model_is_left_out_of_what_is_folded_too(
    queries: PageCounter, dsn: str, opener: Opener
) -> None:
    """So an order as of an earlier moment goes on behind that event, as the read model does."""
    log = stored_events([created, confirmed, shipped])
    await write(dsn, [replace(event, payload="{}") if event.version == 2 else event for event in log])
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        "INSERT INTO skipped_events (reader, event_id, position, row_stream, by, reason) "
        "SELECT 'projector.orders', event_id, position, stream_id, 'ada', 'x' FROM events WHERE version = 2"
    )
    await owner.close()
    folded, read_from = await fresh_order(queries, created.order_id)
    assert (folded.version, read_from) == (3, "log")
    await project(opener)
    assert await queries.order(created.order_id) == folded
