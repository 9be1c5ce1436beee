"""Lists of the orders in a range of totals: each page is right, whichever way its orders are found."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.read_models import order_statements
from core.adapters.postgres.read_models.order_conditions import conditions_of, together
from core.adapters.postgres.read_models.order_statements import PageStatements, Statement, Way
from core.filters.order_query import OrderQuery
from core.ports.listed_orders import DocumentPage, OrderCount, OrderSearch
from tests.support.orders import Sample, write
from tests.support.projecting import project
from tests.support.query_api import database

SEED = 20261128
FILTERS = 16  # of each test
COPIES = 60  # of each of 20 orders
# Prices that many orders have, prices all over a range, and few that are very small or very large.
TOTALS = """
INSERT INTO order_views
SELECT (jsonb_populate_record(v, jsonb_build_object(
            'order_id', id, 'document', replace(v.document, v.order_id::text, id::text),
            'created_at', v.created_at + interval '7 minutes' * (n * 37 % 50),
            'total_amount', CASE WHEN n % 5 = 0 THEN 19.99 WHEN n % 5 = 1 THEN 500 WHEN n = 2 THEN 0.01
                                 WHEN n = 3 THEN 1e14 ELSE 100 + n * 31 % 97 * 9.17 END))).*
  FROM order_views v CROSS JOIN generate_series(1, $1) AS n
 CROSS JOIN LATERAL (SELECT md5(concat(v.order_id, n))::uuid AS id) AS new
"""
SAVE = "UPDATE checkpoints SET reader = reader WHERE reader = 'projector.orders'"
TWENTY = OrderQuery(min_total=Decimal("19.5"), max_total=Decimal(20))
"""240 orders fit, all of which cost 19.99."""


@dataclass
class Desk:
    queries: PostgresQueries
    owner: asyncpg.Connection
    totals: Sequence[Decimal]
    times: Sequence[datetime]
    ways: list[Way | str] = field(default_factory=list[Way | str])

    async def fits(self, fits: OrderQuery, *, newest_first: bool) -> list[UUID]:
        """What a statement without any index to think of finds."""
        conditions, values = conditions_of(fits)
        way = "DESC" if newest_first else "ASC"
        where = together([*conditions.values()])
        order = f"ORDER BY created_at {way}, order_id {way}"
        return [
            row[0] for row in await self.owner.fetch(f"SELECT order_id FROM order_views WHERE {where} {order}", *values)
        ]


@pytest.fixture(scope="module")
async def filled(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
    async with database(postgres, template, "lists_by_totals") as dsn:
        await write(dsn, Sample(20).events())
        await project(lambda: connect(dsn, name="test"))
        owner = await asyncpg.connect(dsn)
        await owner.execute(TOTALS, COPIES)
        await owner.execute("VACUUM ANALYZE order_views")
        yield dsn, owner
        await owner.close()


@pytest.fixture
async def desk(filled: tuple[str, asyncpg.Connection], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    dsn, owner = filled
    totals, times = [
        [row[0] for row in await owner.fetch(f"SELECT DISTINCT {column} FROM order_views ORDER BY 1")]
        for column in ("total_amount", "created_at")
    ]
    desk = Desk(PostgresQueries(lambda: connect(dsn, name="test")), owner, totals, times)
    for name in ("walk", "probe", "look_up"):
        monkeypatch.setattr(PageStatements, name, noting(getattr(PageStatements, name), name, desk.ways))
    yield desk
    desk.queries.close()


def noting(method: Any, name: str, ways: list[Way | str]) -> Any:
    def noted(self: PageStatements, *values: Any, **named: Any) -> Statement:
        ways.append(values[0] if name == "walk" else name)
        return method(self, *values, **named)

    return noted


def listed(page: DocumentPage) -> list[UUID]:
    return [UUID(order["order_id"]) for order in msgspec.json.decode(page.json)]


def some_filter(rng: random.Random, totals: Sequence[Decimal], times: Sequence[datetime]) -> OrderQuery:
    low, high = sorted(rng.choice(totals) + rng.choice([0, 0, Decimal("0.01"), Decimal("-0.01"), 1]) for _ in range(2))
    since, until = sorted(rng.choices(times, k=2))
    kind = rng.randrange(6)
    return OrderQuery(
        min_total=None if kind == 0 else max(Decimal(0), low),
        max_total=None if kind == 1 else low * Decimal("1.04") if kind == 2 else low if kind == 3 else high,
        created_from=since if rng.random() < 0.3 else None,
        created_to=until if rng.random() < 0.3 else None,
        status=tuple(rng.sample(["CREATED", "CONFIRMED", "SHIPPED", "CANCELLED"], rng.choice([0, 0, 0, 1, 2]))),
        currency=rng.choice([(), (), ("EUR",), ("USD",)]),
        not_customer_id=rng.choice([(), (), ("customer-3",)]),
        sku=rng.choice([(), (), (), ("SKU-004",), ("SKU-004", "SKU-007")]),
    )


@pytest.mark.parametrize(("in_buckets", "short", "most_in_range"), [(5_000, 1_000, 100), (400, 3, 2), (0, 0, 0)])
async def test_pages_of_ranges_of_totals_are_those_of_a_plain_statement(
    desk: Desk, in_buckets: int, short: int, most_in_range: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(order_statements.LONGEST, "buckets", in_buckets)
    monkeypatch.setitem(order_statements.LONGEST, "short", short)
    monkeypatch.setitem(order_statements.LONGEST, "long", short)
    monkeypatch.setattr(order_statements, "MOST_IN_RANGE", most_in_range)
    rng = random.Random(SEED + in_buckets)
    for _ in range(FILTERS):
        fits = some_filter(rng, desk.totals, desk.times)
        newest_first = rng.random() < 0.7
        wanted = await desk.fits(fits, newest_first=newest_first)
        search = OrderSearch(
            filter=fits,
            sort="-created_at" if newest_first else "created_at",
            limit=rng.choice([1, 5, 20]),
            troubles=False,
        )
        page, count = await desk.queries.counted_orders(search)
        assert (listed(page), count) == (wanted[: search.limit], OrderCount(len(wanted), estimated=False)), (
            SEED,
            search,
        )
        at = 0
        for _ in range(3):
            if not page.more:
                break
            at += search.limit
            before, page = page, await desk.queries.orders(replace(search, start=page.last))
            assert listed(page) == wanted[at : at + search.limit], (SEED, search, at)
            back = await desk.queries.orders(replace(search, start=page.first, backwards=True))
            assert listed(back) == listed(before), (SEED, search, at)
        assert page.more is (at + search.limit < len(wanted)), (SEED, search)
        if newest_first:
            skipped = await desk.queries.newest_orders(fits, offset=3, limit=search.limit)
            assert listed(skipped) == wanted[3 : 3 + search.limit], (SEED, search)
    assert {*desk.ways} >= {"buckets", "look_up", "probe"}


async def test_a_narrow_range_is_read_and_counted_in_its_buckets_and_counted_anew_when_an_order_was_saved(
    desk: Desk,
) -> None:
    search = OrderSearch(filter=TWENTY, limit=4, troubles=False)
    wanted = await desk.fits(TWENTY, newest_first=True)
    for ways in (["probe", "buckets"], ["buckets"], ["buckets"]):
        desk.ways.clear()
        page, count = await desk.queries.counted_orders(search)
        assert (listed(page), count) == (wanted[:4], OrderCount(len(wanted), estimated=False))
        assert desk.ways == ways, "a probe finds that they are many"
        await desk.owner.execute(SAVE)
    for total, fewer in ((Decimal("20.01"), 1), (Decimal("19.99"), 0)):
        await desk.owner.execute(
            f"WITH saved AS ({SAVE}) UPDATE order_views SET total_amount = $2 WHERE order_id = $1", wanted[-1], total
        )
        _, count = await desk.queries.counted_orders(search)
        assert count == OrderCount(len(wanted) - fewer, estimated=False)


async def test_few_orders_at_the_edge_of_a_range_that_many_are_beside_do_not_keep_a_page_from_the_buckets(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the range stand 240 orders of 19.99, in the bucket of its lowest total, which no order has."""
    monkeypatch.setitem(order_statements.LONGEST, "buckets", 200)
    amounts = [Decimal(text) for text in ("19.99", "19.991", "20.4")]
    beside, edge, upper = [await desk.owner.fetchval("SELECT bucket_of_total($1)", one) for one in amounts]
    assert beside == edge != upper
    fits = OrderQuery(min_total=Decimal("19.991"), max_total=Decimal("20.4"))
    moved = (await desk.fits(OrderQuery(min_total=Decimal(500), max_total=Decimal(500)), newest_first=True))[:150]
    change = "UPDATE order_views SET total_amount = $2 WHERE order_id = ANY ($1)"
    await desk.owner.execute(change, moved, Decimal("20.4"))
    page, _ = await desk.queries.counted_orders(OrderSearch(filter=fits, limit=4, troubles=False))
    await desk.owner.execute(change, moved, Decimal(500))
    assert (listed(page), desk.ways) == (moved[:4], ["probe", "buckets"])


async def test_orders_behind_the_end_of_a_bucket_s_walk_are_on_the_page_of_an_offset(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the lower bucket 3 of the newest orders fit, and 10 behind 100 that do not; in the upper one the 8 oldest."""
    monkeypatch.setitem(order_statements.LONGEST, "buckets", 200)
    monkeypatch.setattr(order_statements, "MOST_IN_RANGE", 2)
    cheap = await desk.fits(TWENTY, newest_first=True)
    dear = await desk.fits(OrderQuery(min_total=Decimal(500), max_total=Decimal(500)), newest_first=True)
    moved = {"19.995": [*cheap[:3], *cheap[120:130]], "20.02": dear[-8:]}
    change = "UPDATE order_views SET total_amount = $2 WHERE order_id = ANY ($1)"
    for total, orders in moved.items():
        await desk.owner.execute(change, orders, Decimal(total))
    fits = OrderQuery(min_total=Decimal("19.991"), max_total=Decimal("20.02"))
    wanted = await desk.fits(fits, newest_first=True)
    page = await desk.queries.newest_orders(fits, offset=3, limit=4)
    for total, orders in zip(("19.99", "500"), moved.values(), strict=True):
        await desk.owner.execute(change, orders, Decimal(total))
    assert listed(page) == wanted[3:7]
    assert "buckets" in desk.ways


@pytest.mark.parametrize("least", ["0.01", "0.5", "7", "20", "99.99", "1234.5", "1e9"])
async def test_a_bucket_is_at_most_a_sixteenth_as_wide_as_its_amounts(desk: Desk, least: str) -> None:
    start = Decimal(least)
    amounts = [start * (1 + Decimal(n) / 640) for n in range(640)]
    buckets = [row[0] for row in await desk.owner.fetch("SELECT bucket_of_total(unnest($1::numeric[]))", amounts)]
    assert all(0 <= after - before <= 1 for before, after in pairwise(buckets))
    assert buckets[-1] - buckets[0] in {31, 32}
