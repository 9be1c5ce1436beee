"""What a page of a list of orders costs: it reads no more when there are more orders, and needs few statements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.read_models import order_counts, order_pages, order_statements
from core.adapters.postgres.read_models.order_statements import PageStatements, Statement
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import OrderCount, OrderSearch
from tests.support.orders import Sample, write
from tests.support.projecting import project
from tests.support.query_api import database

ORDERS = 30
COPIES = 400  # of each order, so that the table no longer fits into a few blocks
COPY = """
INSERT INTO order_views SELECT (jsonb_populate_record(v, jsonb_build_object('order_id', gen_random_uuid()))).*
  FROM order_views v CROSS JOIN generate_series(1, $1)
"""
SAVE = "UPDATE checkpoints SET reader = reader WHERE reader = 'projector.orders'"
COPY_SUMS = (
    "UPDATE daily_sales SET orders = orders * (1 + $1::int)",
    "UPDATE customer_summaries SET orders = orders * (1 + $1::int)",
)
DAY = datetime(2026, 3, 14, tzinfo=UTC)
FILTERS = {
    "all": OrderQuery(),
    "a customer": OrderQuery(customer_id=("customer-3",)),
    "a customer who is named twice": OrderQuery(customer_id=("customer-3", "customer-3")),
    "a currency": OrderQuery(currency=("EUR",)),
    "a status": OrderQuery(status=("CONFIRMED",)),
    "several statuses": OrderQuery(status=("CONFIRMED", "CREATED", "SHIPPED")),
    "a SKU": OrderQuery(sku=("SKU-004",)),
    "a status and a SKU": OrderQuery(status=("CANCELLED",), sku=("SKU-004",)),
    "a payment's status": OrderQuery(payment=("AUTHORIZED",)),
    "whole days": OrderQuery(created_from=DAY, created_to=DAY + timedelta(days=2), currency=("EUR", "USD")),
    "hours": OrderQuery(created_from=DAY, created_to=DAY + timedelta(hours=23)),
}
ESTIMATED = {"a status", "several statuses", "a SKU", "a status and a SKU", "a payment's status", "hours"}
BLOCKS = 500  # 8 KB each; to read all orders takes more than a thousand


@dataclass
class Counting:
    """A connection that counts the statements, those that count, and the blocks that those which read orders touch."""

    connection: Connection
    statements: int = 0
    pages: int = 0
    counts: int = 0
    blocks: int = 0
    is_counting: bool = False

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        await self._explain(query, values)
        return await self.connection.fetch(query, *values)

    async def fetchrow(self, query: str, *values: Any) -> asyncpg.Record | None:
        self.pages += 1
        self.is_counting = "AS counted" in query
        try:
            await self._explain(query, values)
            return await self.connection.fetchrow(query, *values)
        finally:
            self.is_counting = False

    async def fetchval(self, query: str, *values: Any) -> Any:
        await self._explain(query, values)
        return await self.connection.fetchval(query, *values)

    async def _explain(self, query: str, values: tuple[Any, ...]) -> None:
        self.statements += 1
        self.counts += "AS counted" in query
        if query.lstrip().startswith(("SELECT", "WITH")):
            text = await self.connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT json) {query}", *values)
            plan = msgspec.json.decode(text)[0]["Plan"]
            self.blocks += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    async def execute(self, query: str, *values: Any) -> str:
        self.statements += 1
        return await self.connection.execute(query, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


@dataclass
class Desk:
    queries: PostgresQueries
    opened: list[Counting]
    owner: asyncpg.Connection
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def save(self, sql: str = "") -> None:
        """Save something of the orders, as the projector does."""
        async with self.saving:
            await self.owner.execute(SAVE + sql)

    async def cost(self, fits: OrderQuery) -> tuple[int, int, OrderCount]:
        """Statements and blocks of the first page, and its count."""
        for one in self.opened:
            one.statements = one.counts = one.blocks = 0
        _, count = await self.queries.counted_orders(OrderSearch(filter=fits))
        return sum(one.statements for one in self.opened), sum(one.blocks for one in self.opened), count


@pytest.fixture(scope="module")
async def desk(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Desk]:
    async with database(postgres, template, "costs_of_lists") as dsn:
        opened: list[Counting] = []

        async def opener() -> Any:
            opened.append(Counting(await connect(dsn, name="test")))
            return opened[-1]

        await write(dsn, Sample(ORDERS, payments=True).events())
        await project(lambda: connect(dsn, name="test"))
        owner = await asyncpg.connect(dsn)
        await owner.execute(COPY, COPIES)
        for statement in COPY_SUMS:
            await owner.execute(statement, COPIES)
        await owner.execute("VACUUM ANALYZE order_views")
        queries = PostgresQueries(opener)
        await queries.counted_orders(OrderSearch(filter=OrderQuery(not_sku=("-",))))  # opens a connection
        yield Desk(queries, opened, owner)
        queries.close()
        await owner.close()


@pytest.mark.parametrize("name", FILTERS)
async def test_a_page_and_its_count_read_few_blocks_of_many_orders(
    desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_counts, "EXACT_BELOW", 200)
    await desk.cost(FILTERS[name])
    _, blocks, count = await desk.cost(FILTERS[name])
    assert blocks < BLOCKS
    assert count.estimated is (name in ESTIMATED)
    if name == "all":
        assert count.total == ORDERS * (1 + COPIES)


@pytest.mark.parametrize("name", FILTERS)
async def test_a_page_with_its_count_takes_one_statement_once_the_count_is_known(desk: Desk, name: str) -> None:
    await desk.cost(FILTERS[name])
    statements, _, _ = await desk.cost(FILTERS[name])
    assert statements == 1


@pytest.mark.parametrize("name", sorted(FILTERS.keys() - ESTIMATED))
async def test_a_page_and_its_sum_take_one_statement_and_are_exact_when_orders_were_saved_since(
    desk: Desk, name: str
) -> None:
    _, _, before = await desk.cost(FILTERS[name])
    for change, total in (("orders * 2", 2 * before.total), ("orders / 2", before.total)):
        await desk.save(f"; UPDATE daily_sales SET orders = {change}; UPDATE customer_summaries SET orders = {change}")
        statements, _, count = await desk.cost(FILTERS[name])
        assert (statements, count) == (1, OrderCount(total, estimated=False))


async def test_a_page_of_a_narrow_range_of_totals_reads_few_of_the_orders_in_it(desk: Desk) -> None:
    [one] = msgspec.json.decode((await desk.queries.orders(OrderSearch(filter=OrderQuery(), limit=1))).json)
    total = Decimal(str(one["total_amount"]))
    for most in (2, 1):  # once it is known that they are many
        statements, blocks, count = await desk.cost(OrderQuery(min_total=total, max_total=total))
        assert (statements, count) == (most, OrderCount(1 + COPIES, estimated=False))
        assert blocks < COPIES * most / 4


async def test_callers_who_ask_at_once_share_one_count(desk: Desk) -> None:
    fits = OrderQuery(status=("SHIPPED",), not_currency=("CHF",))
    for one in desk.opened:
        one.counts = 0
    answers = await asyncio.gather(*(desk.queries.counted_orders(OrderSearch(filter=fits)) for _ in range(8)))
    assert len({count for _, count in answers}) == 1
    assert sum(one.counts for one in desk.opened) == 1


async def test_while_orders_are_saved_callers_count_one_after_the_other_and_read_few_pages_for_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = OrderQuery(status=("CREATED",), not_currency=("CHF",))
    _, _, before = await desk.cost(fits)
    fetch, at_once = Counting.fetchrow, list[int]()

    async def saved_and_fetched(self: Counting, query: str, *values: Any) -> asyncpg.Record | None:
        await desk.save()
        at_once.append(("AS counted" in query) + sum(one.is_counting for one in desk.opened))
        return await fetch(self, query, *values)

    monkeypatch.setattr(Counting, "fetchrow", saved_and_fetched)
    for one in desk.opened:
        one.pages = 0
    answers = await asyncio.gather(
        *(desk.queries.counted_orders(OrderSearch(filter=fits, limit=n)) for n in range(1, 9))
    )
    assert {count for _, count in answers} == {before}
    assert max(at_once) == 1
    assert sum(one.pages for one in desk.opened) <= 3 * len(answers), "each reads at most two for nothing"


async def test_the_same_page_is_read_once_for_all_who_ask_and_again_for_those_who_ask_meanwhile(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, fetch, reading = (
        OrderSearch(filter=OrderQuery(customer_id=("customer-5",))),
        Counting.fetchrow,
        asyncio.Event(),
    )
    first, _ = await desk.queries.counted_orders(search)
    document = f"replace(document, '\"version\":', '\"version\": {' ' * 9}')"

    async def fetched(self: Counting, query: str, *values: Any) -> asyncpg.Record | None:
        row = await fetch(self, query, *values)
        reading.set()
        await desk.saving.acquire()  # the answer is there, and its callers have not got it yet
        desk.saving.release()
        return row

    monkeypatch.setattr(Counting, "fetchrow", fetched)
    for one in desk.opened:
        one.pages = 0
    async with desk.saving:
        early = [asyncio.create_task(desk.queries.counted_orders(search)) for _ in range(5)]
        await reading.wait()
        await desk.owner.execute(f"UPDATE order_views SET document = {document} WHERE customer_id = 'customer-5'")
        late = [asyncio.create_task(desk.queries.counted_orders(search)) for _ in range(5)]
        await asyncio.sleep(0)
    assert {page for page, _ in await asyncio.gather(*early)} == {first}
    [seen] = {page for page, _ in await asyncio.gather(*late)}
    assert len(seen.json) > len(first.json), "who asked after something was saved sees it"
    assert sum(one.pages for one in desk.opened) == 2


async def test_callers_who_want_the_same_counts_by_status_share_them(desk: Desk) -> None:
    fits = OrderQuery(not_currency=("CHF",))
    alone = await desk.queries.count_orders_by_status(fits)
    before = sum(one.statements for one in desk.opened)
    await desk.queries.count_orders_by_status(fits)
    each = sum(one.statements for one in desk.opened) - before
    answers = await asyncio.gather(*(desk.queries.count_orders_by_status(fits) for _ in range(8)))
    assert answers == [alone] * 8
    assert sum(one.statements for one in desk.opened) - before == 2 * each


async def test_where_many_orders_fit_a_page_is_walked_to_however_far_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up, look_up = list[PageStatements](), PageStatements.look_up

    def noted(self: PageStatements, *values: Any, **named: Any) -> Statement:
        looked_up.append(self)
        return look_up(self, *values, **named)

    monkeypatch.setattr(PageStatements, "look_up", noted)
    monkeypatch.setitem(order_statements.LONGEST, "long", 0)
    [newest] = msgspec.json.decode((await desk.queries.orders(OrderSearch(filter=OrderQuery(), limit=1))).json)
    search = OrderSearch(filter=OrderQuery(not_customer_id=(newest["customer_id"],)))
    first, count = await desk.queries.counted_orders(search)
    assert (len(looked_up), count.total > order_pages.MANY) == (1, True)
    again, _ = await desk.queries.counted_orders(search)
    assert (len(looked_up), again) == (1, first)


async def test_an_estimate_is_made_once_for_many_pages_and_anew_when_it_is_old(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_counts, "EXACT_BELOW", 200)
    fits = OrderQuery(status=("CANCELLED",), min_total=OrderQuery().min_total)
    first, _, count = await desk.cost(fits)
    assert count.estimated
    again, _, same = await desk.cost(fits)
    assert same == count
    assert again < first
    monkeypatch.setattr(order_counts, "ESTIMATES_LAST", 0.0)
    anew, _, _ = await desk.cost(fits)
    assert anew == first


async def test_an_estimate_does_not_hold_for_a_page_that_has_all_orders_that_fit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        order_counts.Counts, "find", lambda *_: order_counts.Known(0.0, OrderCount(9_000, estimated=True), None)
    )
    page, count = await desk.queries.counted_orders(OrderSearch(filter=OrderQuery(min_total=Decimal(10**9))))
    assert (page.size, count) == (0, OrderCount(0, estimated=False))
