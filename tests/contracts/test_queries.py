"""Queries: one contract for reading orders, stock, totals, the log and its readers. Lists have files of their own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.queries.queries import PostgresQueries
from core.domain.message import OrderId, Sku
from core.domain.payment import PaymentStatus
from core.errors import Unavailable
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import OrderSearch
from core.ports.queries import LogSearch, Queries
from core.ports.saga_lists import SagasBegun, SagaSearch
from core.projections import GROUPS
from core.projections.customer_summary import CUSTOMER_SUMMARY
from core.projections.order_view import OrderView
from core.projections.product_demand import PRODUCT_DEMAND
from tests.support.opener import Opener
from tests.support.orders import Sample, order_id, write
from tests.support.projecting import project
from tests.support.query_api import database
from tests.support.samples import ORDER_ID, authorized, captured, created, replenished, reserved
from tests.support.stored_events import stored_events

READER = GROUPS[0].reader
ORDERS = 40
LOG = Sample(ORDERS, payments=True).events()
SOON = 0.02  # seconds


@pytest.fixture(scope="module")
async def full(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Queries]:
    """Queries of a database whose read models have everything that is in its log."""
    async with database(postgres, template, "queries_of_many_orders") as dsn:
        opener = lambda: connect(dsn, name="test")  # noqa: E731 - as the fixture of this name
        await write(dsn, LOG)
        await project(opener)
        queries = PostgresQueries(opener)
        yield queries
        queries.close()


@pytest.fixture
async def queries(opener: Opener) -> AsyncIterator[Queries]:
    queries = PostgresQueries(opener)
    yield queries
    queries.close()


def view(json: bytes) -> OrderView:
    return msgspec.json.decode(json, type=OrderView)


async def all_views(queries: Queries) -> list[OrderView]:
    page = await queries.orders(OrderSearch(filter=OrderQuery(), limit=ORDERS))
    return msgspec.json.decode(page.json, type=list[OrderView])


# --- one order ----------------------------------------------------------------------------------------------
async def test_many_callers_that_read_orders_at_once_each_get_the_order_they_named(full: Queries) -> None:
    ids = [order_id(n % ORDERS + 1) for n in range(3 * ORDERS)]
    documents = await asyncio.gather(*(full.order(id_) for id_ in ids), full.order(OrderId(uuid4())))
    assert documents.pop() is None
    for id_, document in zip(ids, documents, strict=True):
        assert document is not None
        assert (view(document.json).order_id, view(document.json).version) == (id_, document.version)


async def test_an_order_is_found_by_its_number(full: Queries) -> None:
    assert await full.order_of_number("ORD-0000000007") == await full.order(order_id(7))
    assert await full.order_of_number("ORD-NOTTHERE00") is None


async def test_a_caller_that_waits_for_a_version_gets_it_as_soon_as_it_is_saved(
    queries: Queries, dsn: str, opener: Opener
) -> None:
    log = Sample(1, seed=3).events()
    await write(dsn, log[:1])
    await project(opener)
    waiting = asyncio.create_task(queries.wait_for_order(order_id(1), version=len(log), payment_version=0, within=20))
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    await write(dsn, log[1:])
    await project(opener)
    document = await waiting
    assert document is not None
    assert document.version == len(log) > 1


async def test_a_caller_that_waits_for_a_version_of_the_payment_gets_it_as_soon_as_it_is_saved(
    queries: Queries, dsn: str, opener: Opener
) -> None:
    log = stored_events([created, authorized, captured])
    await write(dsn, log[:2])
    await project(opener)
    waiting = asyncio.create_task(queries.wait_for_order(ORDER_ID, version=1, payment_version=2, within=20))
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    await write(dsn, log[2:])
    await project(opener)
    document = await waiting
    assert document is not None
    assert (document.version, document.payment_version) == (1, 2)
    assert view(document.json).payment_status is PaymentStatus.CAPTURED


async def test_a_caller_that_waits_in_vain_for_a_version_gets_the_newest_one(
    queries: Queries, dsn: str, opener: Opener
) -> None:
    assert await queries.wait_for_order(order_id(1), version=1, payment_version=0, within=SOON) is None
    await write(dsn, Sample(1).events())
    await project(opener)
    newest = await queries.order(order_id(1))
    assert await queries.wait_for_order(order_id(1), version=99, payment_version=0, within=SOON) == newest
    assert await queries.wait_for_order(order_id(1), version=1, payment_version=9, within=SOON) == newest


# --- stock and totals ---------------------------------------------------------------------------------------
async def test_stock_is_read_by_sku(queries: Queries, dsn: str, opener: Opener) -> None:
    await write(dsn, stored_events([*(replace(replenished, sku=Sku(f"SKU-{n}")) for n in (3, 1, 2)), reserved]))
    await project(opener)
    levels = await queries.stock_levels(after="SKU-1", limit=5)
    assert [level.sku for level in levels] == ["SKU-2", "SKU-3"]
    assert await queries.stock_level(Sku("SKU-2")) == levels[0]
    assert (levels[0].on_hand, levels[0].version) == (replenished.quantity, 1)
    assert len(await queries.stock_levels(after="", limit=2)) == 2
    assert await queries.stock_level(Sku("SKU-9")) is None


async def test_the_totals_of_a_customer_and_of_a_sku_are_read_by_currency(full: Queries) -> None:
    everything = await all_views(full)
    mine = [order for order in everything if order.customer_id == "customer-3"]
    rows = await full.totals(CUSTOMER_SUMMARY, "customer-3")
    assert {row["currency"]: row["orders"] for row in rows} == {
        currency: sum(order.currency == currency for order in mine) for currency in sorted({o.currency for o in mine})
    }
    assert [row["currency"] for row in rows] == sorted(row["currency"] for row in rows)
    units = [item.quantity for order in everything for item in order.items if item.sku == "SKU-004"]
    assert sum(row["units_ordered"] for row in await full.totals(PRODUCT_DEMAND, "SKU-004")) == sum(units)
    assert [await full.totals(of, "nobody") for of in (CUSTOMER_SUMMARY, PRODUCT_DEMAND)] == [[], []]


async def test_the_totals_of_the_desk_count_every_order_once(full: Queries) -> None:
    totals = await full.desk_totals()
    assert totals.head == len(LOG)
    assert sum(sales.orders for sales in totals.sales) == sum(day.orders for day in totals.days) == ORDERS
    assert totals.sagas == {"RUNNING": 0, "COMPENSATING": 0, "FAILED": 0}


# --- the readers of the log ---------------------------------------------------------------------------------
async def test_the_progress_of_each_reader_is_the_position_it_has_reached(
    queries: Queries, dsn: str, opener: Opener
) -> None:
    assert await queries.progress() == []
    await write(dsn, LOG)
    await project(opener)
    [reader, _] = await queries.progress()
    assert (reader.reader, reader.position, reader.head, reader.behind) == (READER, len(LOG), len(LOG), 0)


async def test_a_caller_that_waits_for_a_reader_goes_on_when_the_reader_arrives_or_the_time_is_up(
    queries: Queries, dsn: str, opener: Opener
) -> None:
    await queries.wait_for_reader(READER, position=len(LOG), within=SOON)
    waiting = asyncio.create_task(queries.wait_for_reader(READER, position=len(LOG), within=20))
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    await write(dsn, LOG)
    await project(opener)
    await waiting


# --- faults -------------------------------------------------------------------------------------------------
CALLS: Mapping[str, Callable[[Queries], Awaitable[object]]] = {
    "order": lambda q: q.order(order_id(1)),
    "wait_for_order": lambda q: q.wait_for_order(order_id(1), version=1, payment_version=0, within=SOON),
    "order_of_number": lambda q: q.order_of_number("ORD-0000000001"),
    "orders": lambda q: q.orders(OrderSearch(filter=OrderQuery())),
    "counted_orders": lambda q: q.counted_orders(OrderSearch(filter=OrderQuery())),
    "counted_newest_orders": lambda q: q.counted_newest_orders(OrderQuery(), offset=0, limit=1),
    "newest_orders": lambda q: q.newest_orders(OrderQuery(), offset=0, limit=1),
    "count_orders_by_status": lambda q: q.count_orders_by_status(OrderQuery()),
    "count_orders": lambda q: q.count_orders(OrderQuery()),
    "stock_level": lambda q: q.stock_level(Sku("SKU-1")),
    "stock_levels": lambda q: q.stock_levels(after="", limit=1),
    "totals": lambda q: q.totals(CUSTOMER_SUMMARY, "customer-1"),
    "desk_totals": lambda q: q.desk_totals(),
    "authorised_money": lambda q: q.authorised_money(most=1),
    "sagas": lambda q: q.sagas(SagaSearch()),
    "saga": lambda q: q.saga(UUID(int=1)),
    "events": lambda q: q.events(LogSearch(limit=1)),
    "position_at": lambda q: q.position_at(created.created_at),
    "events_of_stream": lambda q: q.events_of_stream(UUID(int=1), after=0, limit=1),
    "events_of_correlation": lambda q: q.events_of_correlation(UUID(int=1), after=0, limit=1),
    "saga_summary": lambda q: q.saga_summary(),
    "backlog": lambda q: q.backlog(most=1),
    "ended_sagas": lambda q: q.ended_sagas(after=0, upto=1, limit=1),
    "progress": lambda q: q.progress(),
    "saga_owners": lambda q: q.saga_owners(),
    "sagas_begun": lambda q: q.sagas_begun(SagasBegun(by=datetime.now(UTC), every=True)),
    "expiring_orders": lambda q: q.expiring_orders(datetime.now(UTC), 5),
    "releases": lambda q: q.releases(5),
    "position_of": lambda q: q.position_of(READER),
    "wait_for_reader": lambda q: q.wait_for_reader(READER, position=1, within=SOON),
}


def test_the_test_without_a_database_tries_every_query() -> None:
    methods = (
        dict(inspect.getmembers(Queries, inspect.isfunction)).keys()
        - dict(inspect.getmembers(Protocol, inspect.isfunction)).keys()
    )
    assert {name for name in methods if not name.startswith("_")} == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
async def test_a_query_without_a_database_raises_unavailable(name: str) -> None:
    queries = PostgresQueries(lambda: connect("postgresql://127.0.0.1:1/nowhere", name="test"))
    with pytest.raises(Unavailable):
        await CALLS[name](queries)
    queries.close()
