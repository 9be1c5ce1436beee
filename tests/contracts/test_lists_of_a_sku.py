"""The list of the orders with a SKU: in whichever line they have it, however many lines, however far it is walked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.read_models import order_statements
from core.adapters.postgres.read_models.order_pages import WALKS
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import DocumentPage, OrderCount, OrderSearch, OrderSort
from tests.support.orders import Sample, write
from tests.support.projecting import project
from tests.support.query_api import database

ORDERS = 60
# Order n has n % 8 + 1 lines, so half of them have more than those with an index; some have a SKU in two lines.
LINES = """
WITH numbered AS (SELECT order_id, row_number() OVER (ORDER BY created_at, order_id) AS n FROM order_views)
UPDATE order_views v
   SET skus = ARRAY (SELECT 'LINE-' || (n + more) % 7 FROM unnest((ARRAY[0, 5, 5, 3, 0, 2, 3, 6])[:1 + n % 8]) AS more)
  FROM numbered WHERE numbered.order_id = v.order_id
RETURNING v.order_id, v.created_at, v.status, v.skus
"""
SAVE = "UPDATE checkpoints SET reader = reader WHERE reader = 'projector.orders'"
SKU = "LINE-4"


@dataclass
class Desk:
    queries: PostgresQueries
    rows: list[Any]
    owner: asyncpg.Connection
    texts: list[str] = field(default_factory=list[str])

    def fits(self, fits: OrderQuery) -> list[UUID]:
        """The orders that fit, the oldest first."""
        found = [row for row in self.rows if set(fits.sku) & set(row["skus"])]
        found = [row for row in found if not fits.status or row["status"] in fits.status]
        found = [row for row in found if fits.created_from is None or row["created_at"] >= fits.created_from]
        found = [row for row in found if fits.created_to is None or row["created_at"] < fits.created_to]
        return [row["order_id"] for row in sorted(found, key=lambda row: (row["created_at"], row["order_id"]))]

    def time(self, part: float) -> datetime:
        return sorted(row["created_at"] for row in self.rows)[int(part * len(self.rows))]


@dataclass
class Noting:
    """A connection that notes which statements read a row."""

    connection: Connection
    texts: list[str]

    async def fetchrow(self, query: str, *values: Any) -> asyncpg.Record | None:
        self.texts.append(query)
        return await self.connection.fetchrow(query, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


@pytest.fixture(scope="module")
async def filled(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[tuple[str, asyncpg.Connection, list[Any]]]:
    async with database(postgres, template, "lists_of_a_sku") as dsn:
        await write(dsn, Sample(ORDERS).events())
        await project(lambda: connect(dsn, name="test"))
        owner = await asyncpg.connect(dsn)
        yield dsn, owner, await owner.fetch(LINES)
        await owner.close()


@pytest.fixture
async def desk(filled: tuple[str, asyncpg.Connection, list[Any]]) -> AsyncIterator[Desk]:
    dsn, owner, rows = filled
    texts: list[str] = []

    async def opener() -> Any:
        return Noting(await connect(dsn, name="test"), texts)

    desk = Desk(PostgresQueries(opener), rows, owner, texts)
    yield desk
    desk.queries.close()


def listed(page: DocumentPage) -> list[UUID]:
    return [UUID(order["order_id"]) for order in msgspec.json.decode(page.json)]


def test_the_orders_have_the_sku_in_early_lines_in_late_ones_and_in_two(desk: Desk) -> None:
    places = [[n for n, sku in enumerate(row["skus"], 1) if sku == SKU] for row in desk.rows]
    assert {len(place) for place in places} >= {0, 1, 2}
    assert {place[0] for place in places if place} >= {1, 2, 4, 6, 8}


@pytest.mark.parametrize("longest_walk", [5_000, 9, 0])
@pytest.mark.parametrize("most_probed", [500, 3])
async def test_every_page_has_each_order_with_the_sku_once_and_in_its_place(
    desk: Desk, longest_walk: int, most_probed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(order_statements.LONGEST, "long", longest_walk)
    monkeypatch.setattr(order_statements, "MOST_PROBED", most_probed)
    early, late = desk.time(0.2), desk.time(0.8)
    for fits in (
        OrderQuery(sku=(SKU,)),
        OrderQuery(sku=(SKU,), status=("DELIVERED", "CONFIRMED")),
        OrderQuery(sku=(SKU,), created_from=early, created_to=late),
        OrderQuery(sku=(SKU,), status=("SHIPPED",), created_from=early, created_to=late),
    ):
        oldest_first = desk.fits(fits)
        sorts: Sequence[tuple[OrderSort, Sequence[UUID]]] = (
            ("created_at", oldest_first),
            ("-created_at", oldest_first[::-1]),
        )
        for sort, wanted in sorts:
            search = OrderSearch(filter=fits, sort=sort, limit=4)
            pages = [await desk.queries.counted_orders(search)]
            while pages[-1][0].more:
                pages.append(await desk.queries.counted_orders(replace(search, start=pages[-1][0].last)))
            assert [order for page, _ in pages for order in listed(page)] == wanted, (fits, sort)
            assert {count for _, count in pages} == {OrderCount(len(wanted), estimated=False)}, (fits, sort)
            if len(pages) > 1:
                back = await desk.queries.orders(replace(search, start=pages[1][0].first, backwards=True))
                assert back == replace(pages[0][0], more=False), (fits, sort)
            newest = await desk.queries.newest_orders(fits, offset=3, limit=4)
            assert listed(newest) == oldest_first[::-1][3:7]


async def test_a_sku_of_few_orders_is_read_and_counted_by_one_statement_whatever_was_saved_since(desk: Desk) -> None:
    wanted = desk.fits(OrderQuery(sku=(SKU,)))[::-1]
    search = OrderSearch(filter=OrderQuery(sku=(SKU,)), limit=4)
    for _ in range(3):
        desk.texts.clear()
        page, count = await desk.queries.counted_orders(search)
        assert (listed(page), count, len(desk.texts)) == (wanted[:4], OrderCount(len(wanted), estimated=False), 1)
        await desk.owner.execute(SAVE)


async def test_an_order_that_was_added_is_counted_at_once(desk: Desk) -> None:
    search = OrderSearch(filter=OrderQuery(sku=(SKU,)), limit=4)
    _, before = await desk.queries.counted_orders(search)
    without = next(row for row in desk.rows if SKU not in row["skus"])
    for skus, more in ([SKU], 1), (without["skus"], 0):
        changed = await desk.owner.fetchval(
            f"WITH saved AS ({SAVE}) UPDATE order_views SET skus = $2 WHERE order_id = $1 RETURNING true",
            without["order_id"],
            skus,
        )
        _, count = await desk.queries.counted_orders(search)
        assert (changed, count.total) == (True, before.total + more)


async def test_a_sku_that_stands_in_late_lines_only_is_found_when_more_long_orders_come_before_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest = min((row for row in desk.rows if len(row["skus"]) > 5), key=lambda row: row["created_at"])
    await desk.owner.execute("UPDATE order_views SET skus[6] = 'LATE' WHERE order_id = $1", oldest["order_id"])
    monkeypatch.setitem(order_statements.LONGEST, "long", 5)
    for _ in range(2):
        page, count = await desk.queries.counted_orders(OrderSearch(filter=OrderQuery(sku=("LATE",)), limit=4))
        assert (listed(page), count) == ([oldest["order_id"]], OrderCount(1, estimated=False))
    await desk.owner.execute(
        "UPDATE order_views SET skus[6] = $2 WHERE order_id = $1", oldest["order_id"], oldest["skus"][5]
    )


async def test_a_page_passes_over_no_orders_that_have_the_sku_in_two_lines(desk: Desk) -> None:
    skus = {row["order_id"]: row["skus"] for row in desk.rows}
    set_ = "UPDATE order_views SET skus = $2 WHERE order_id = $1"
    await desk.owner.executemany(set_, [(order, ["TWICE"] * (2 + n % 3)) for n, order in enumerate(skus)])
    statement = order_statements.PageStatements(OrderSearch(filter=OrderQuery(sku=("TWICE",)), limit=4)).walk("long")
    async with desk.owner.transaction():
        for setting in WALKS:
            await desk.owner.execute(f"SET LOCAL {setting}")
        plan = await desk.owner.fetch(f"EXPLAIN (ANALYZE) {statement.text}", *statement.values)
    await desk.owner.executemany(set_, [*skus.items()])
    removed = [int(row[0].split()[-1]) for row in plan if "Rows Removed by Filter" in row[0]]
    assert max(removed, default=0) <= 5  # of which a page takes four, and one to know that there are more
