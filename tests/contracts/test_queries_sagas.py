"""Queries of sagas: a page reads only the rows that it shows, however many sagas have ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.queries.sagas import page_of_sagas
from core.ports.queries import SagaSearch
from tests.support.opener import Opener

ENDED, OPEN = 20_000, 40
# The open ones are the oldest, so whoever reads by age reads all the ended ones first.
FILL = """
INSERT INTO events
SELECT n, md5('s' || n)::uuid, 'saga', 1, gen_random_uuid(), 'SagaStarted', 1,
       jsonb_build_object('deadline', now() + interval '1 h'), '{}', md5('o' || n)::uuid, now()
  FROM generate_series(1, $1::int + $2::int) n
"""
SAGAS = """
INSERT INTO sagas (saga_id, name, definition, order_id, status, step, attempts, epoch, owner, claims,
                   due_at, started_at, updated_at)
SELECT md5('s' || n)::uuid, 'fulfil_order', 1, md5('o' || n)::uuid,
       CASE WHEN n > $2 THEN 'COMPLETED'
            WHEN n % 7 = 0 THEN 'FAILED' WHEN n % 7 = 5 THEN 'COMPENSATING' WHEN n % 7 = 6 THEN 'RESOLVED'
            ELSE 'RUNNING' END,
       '', CASE WHEN n % 7 = 3 THEN 2 ELSE 0 END, 1, CASE WHEN n % 7 = 1 THEN 'somebody' END, 0,
       now() + CASE WHEN n % 7 = 4 THEN -1 ELSE 1 END * interval '1 h', now() + n * interval '1 s', now()
  FROM generate_series(1, $1::int + $2::int) n
"""
# Orders of ended sagas. 30 are not shipped: 9 of their authorisations end within a day, 1 has ended, and the others end
# later. 10 are shipped.
VIEWS = """
INSERT INTO order_views (order_id, version, payment_version, customer_id, order_number, status, payment_status,
                         total_amount, skus, payment_expires_at, created_at, updated_at, document)
SELECT md5('o' || n)::uuid, 2, 1, 'ada', 'ORD-' || n, CASE WHEN n % 4 = 0 THEN 'SHIPPED' ELSE 'CONFIRMED' END,
       CASE WHEN n % 4 = 0 THEN 'CAPTURED' ELSE 'AUTHORIZED' END, 1, '{}',
       now() + CASE WHEN n % 4 = 1 THEN ((n - $2 + 3) / 4 * 2 - 3) * interval '1 h' ELSE interval '30 h' END,
       now(), now(), '{}'
  FROM generate_series($2::int + 1, $2::int + 40) n WHERE $1::int > 0
"""
EVERYTHING = ENDED + OPEN
FILTERS: list[dict[str, Any]] = [
    *({"statuses": [name]} for name in ("RUNNING", "COMPENSATING", "FAILED", "COMPLETED", "COMPENSATED", "RESOLVED")),
    *({"states": [name]} for name in ("running", "waiting", "retrying", "overdue", "failed", "expiring")),
]


class Explaining:
    """A connection that counts the rows a query reads from each table, and gives back none of them."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.read: dict[str, float] = {}

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        plan = await self._connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *values)
        for node in nodes(json.loads(plan)[0]["Plan"]):
            if table := node.get("Relation Name"):
                rows = node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
                self.read[table] = self.read.get(table, 0) + rows
        return []


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.fixture
async def filled(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    await connection.execute(FILL, ENDED, OPEN)
    await connection.execute(SAGAS, ENDED, OPEN)
    await connection.execute(VIEWS, ENDED, OPEN)
    await connection.execute("ANALYZE")
    await connection.close()
    return dsn


async def test_a_page_of_sagas_reads_no_more_rows_than_there_are_unfinished_sagas(filled: str) -> None:
    connection = await connect(filled, name="test")
    for fields in ({}, *FILTERS):
        explaining: Any = Explaining(connection)
        await page_of_sagas(explaining, SagaSearch(**fields))
        assert explaining.read.get("sagas", 0) <= OPEN, fields
        assert explaining.read.get("events", 0) <= OPEN, fields
    await connection.close()


async def test_every_saga_is_in_the_list_of_its_status_and_of_its_state_and_in_no_other(
    filled: str, opener: Opener
) -> None:
    queries = PostgresQueries(opener)
    everything = await queries.sagas(SagaSearch(limit=EVERYTHING))
    assert (len(everything.sagas), everything.more) == (EVERYTHING, False)
    oldest = await queries.sagas(SagaSearch(limit=100, backwards=True))
    ids = [saga.saga_id for saga in oldest.sagas]
    assert (ids, oldest.more) == ([saga.saga_id for saga in everything.sagas[-100:]], True)
    for fields in FILTERS:
        ((names, [value]),) = fields.items()
        name = {"statuses": "status", "states": "state"}[names]
        page = await queries.sagas(SagaSearch(**fields, limit=EVERYTHING))
        expected = [saga.saga_id for saga in everything.sagas if getattr(saga, name) == value]
        assert [saga.saga_id for saga in page.sagas] == expected, fields
        assert bool(page.sagas) == (value != "COMPENSATED")
    queries.close()


async def test_the_sagas_of_orders_whose_authorisation_ends_soon_say_when_until_the_order_is_shipped(
    filled: str, opener: Opener
) -> None:
    assert filled
    queries = PostgresQueries(opener)
    page = await queries.sagas(SagaSearch(states=["expiring"], limit=EVERYTHING))
    hours = sorted(round(saga.authorization_ends_in / 3600) for saga in page.sagas if saga.authorization_ends_in)
    assert hours == [-1, 1, 3, 5, 7, 9, 11, 13, 15, 17]
    assert {saga.status for saga in page.sagas} == {"COMPLETED"}
    shown = await queries.saga(page.sagas[0].saga_id)
    assert shown is not None
    assert (shown.state, shown.authorization_ends_at) == ("expiring", page.sagas[0].authorization_ends_at)
    queries.close()


async def test_the_sagas_of_an_order_and_one_saga_by_its_id(filled: str, opener: Opener) -> None:
    queries = PostgresQueries(opener)
    [newest] = (await queries.sagas(SagaSearch(limit=1))).sagas
    assert (await queries.sagas(SagaSearch(order_id=newest.order_id))).sagas == [newest]
    assert await queries.saga(newest.saga_id) == newest
    assert await queries.saga(newest.order_id) is None
    queries.close()
