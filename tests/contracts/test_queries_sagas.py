"""Queries of sagas: a page reads only the rows that it shows, however many sagas have ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

import asyncpg
import pytest

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.queries import saga_summary
from core.adapters.postgres.queries.ended_sagas import ended_sagas
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.queries.sagas import page_of_sagas
from core.ports.saga_lists import SagaListing, SagaSearch
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
                   due_at, started_at, updated_at, open_amount, currency, last_error)
SELECT md5('s' || n)::uuid, 'fulfil_order', 1, md5('o' || n)::uuid,
       CASE WHEN n > $2 THEN 'COMPLETED'
            WHEN n % 7 = 0 THEN 'FAILED' WHEN n % 7 = 5 THEN 'COMPENSATING' WHEN n % 7 = 6 THEN 'RESOLVED'
            ELSE 'RUNNING' END,
       '', CASE WHEN n % 7 = 3 THEN 2 ELSE 0 END, 1, CASE WHEN n % 7 = 1 THEN 'somebody' END, 0,
       now() + CASE WHEN n % 7 = 4 THEN -1 ELSE 1 END * interval '1 h', now() + n * interval '1 s', now(),
       CASE WHEN n > $2 THEN 0 WHEN n % 9 = 0 THEN NULL WHEN n % 5 = 0 THEN n * 100 ELSE n * 7.00 END,
       CASE WHEN n % 5 = 0 THEN 'JPY' ELSE 'USD' END,
       CASE WHEN n % 7 = 0 THEN 'order ' || md5('o' || n)::uuid || ' got ' || n || ' times 503' END
  FROM generate_series(1, $1::int + $2::int) n
"""
# Orders of ended sagas. 30 are not shipped: 9 of their authorisations end within a day, 1 has ended, and the others end
# later. 10 are shipped.
VIEWS = """
INSERT INTO order_views (order_id, version, payment_version, customer_id, order_number, status, payment_status,
                         total_amount, currency, skus, payment_expires_at, created_at, updated_at, document)
SELECT md5('o' || n)::uuid, 2, 1, 'ada', 'ORD-' || n, CASE WHEN n % 4 = 0 THEN 'SHIPPED' ELSE 'CONFIRMED' END,
       CASE WHEN n % 4 = 0 THEN 'CAPTURED' ELSE 'AUTHORIZED' END, 1, 'EUR', '{}',
       now() + CASE WHEN n % 4 = 1 THEN ((n - $2 + 3) / 4 * 2 - 3) * interval '1 h' ELSE interval '30 h' END,
       now(), now(), '{"currency": "EUR"}'
  FROM generate_series($2::int + 1, $2::int + 40) n WHERE $1::int > 0
"""
EVERYTHING = ENDED + OPEN
FILTERS: list[dict[str, Any]] = [
    *({"statuses": [name]} for name in ("RUNNING", "COMPENSATING", "FAILED", "COMPLETED", "COMPENSATED", "RESOLVED")),
    *({"states": [name]} for name in ("running", "waiting", "retrying", "overdue", "failed", "expiring")),
]


class Explaining:
    """A connection that counts the rows a query reads from each table, and gives back none of a list."""

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

    async def fetchrow(self, query: str, *values: Any) -> asyncpg.Record | None:
        await self.fetch(query, *values)
        return await self._connection.fetchrow(query, *values)


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
    by_risk: list[dict[str, Any]] = [{**fields, "sort": "-at_risk"} for fields in ({}, *FILTERS)]
    several: dict[str, Any] = {"states": ["failed", "overdue", "retrying"]}
    for fields in ({}, *FILTERS, several, *by_risk):
        explaining: Any = Explaining(connection)
        await page_of_sagas(explaining, SagaSearch(**fields))
        parts = 10 if "sort" in fields else 3 if len(fields.get("states", ())) == 3 else 1
        assert explaining.read.get("sagas", 0) <= parts * OPEN, fields
        assert explaining.read.get("events", 0) <= parts * OPEN, fields
    await connection.close()


async def test_the_summary_looks_up_no_orders_of_open_sagas_while_the_database_knows_little_of_its_tables(
    dsn: str,
) -> None:
    connection = await connect(dsn, name="test", role=None)
    await connection.execute("ALTER TABLE order_views SET (autovacuum_enabled = off)")
    for statement in (FILL, SAGAS, VIEWS.replace("+ 40", "+ 1000")):
        await connection.execute(statement, 1, OPEN)
    explaining: Any = Explaining(connection)
    await explaining.fetch(saga_summary.COUNTS)
    assert 0 < explaining.read["order_views"] < 1_000
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


async def test_sagas_sorted_by_risk_have_the_most_open_money_first_whatever_its_currency(
    filled: str, opener: Opener
) -> None:
    assert filled
    queries = PostgresQueries(opener)
    everything = await queries.sagas(SagaSearch(limit=EVERYTHING))
    risky = sorted(
        (saga for saga in everything.sagas if saga.state is not None),
        key=lambda saga: (saga.at_risk, saga.saga_id),
        reverse=True,
    )
    assert (risky[0].open_amount, risky[0].currency, risky[0].at_risk) == (Decimal("273.00"), "USD", 27300)
    found: list[SagaListing] = []
    start = None
    while len(found) < len(risky):
        page = await queries.sagas(SagaSearch(sort="-at_risk", limit=7, start=start))
        found += page.sagas
        assert page.more == (len(found) < len(risky))
        start = (found[-1].at_risk, found[-1].saga_id)
    assert [saga.saga_id for saga in found] == [saga.saga_id for saga in risky]
    back = await queries.sagas(SagaSearch(sort="-at_risk", limit=7, start=start, backwards=True))
    assert [saga.saga_id for saga in back.sagas] == [saga.saga_id for saga in risky[-8:-1]]
    some = await queries.sagas(
        SagaSearch(sort="-at_risk", limit=99, states=["failed", "expiring"], statuses=["FAILED"])
    )
    assert [saga.saga_id for saga in some.sagas] == [saga.saga_id for saga in risky if saga.state == "failed"]
    queries.close()


async def test_the_summary_counts_the_unfinished_sagas_their_money_their_errors_and_the_backlog(
    filled: str, opener: Opener, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert filled
    queries = PostgresQueries(opener)
    everything = [saga for saga in (await queries.sagas(SagaSearch(limit=EVERYTHING))).sagas if saga.state is not None]
    summary = await queries.saga_summary()
    assert summary.states == {state: sum(saga.state == state for saga in everything) for state in summary.states}
    assert summary.statuses == {
        status: sum(saga.status == status for saga in everything) for status in ("RUNNING", "COMPENSATING", "FAILED")
    }
    for currency in ("USD", "JPY", "EUR"):
        amounts = [saga.open_amount or 0 for saga in everything if saga.currency == currency]
        assert summary.money_open[currency] == sum(amounts)
        assert summary.money_open[currency] == sum(of.get(currency, 0) for of in summary.at_risk.values())
    assert summary.at_risk["expiring"] == {"EUR": Decimal("10.00")}
    due = "SELECT count(*) FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING') AND due_at <= now()"
    assert summary.backlog.due == await admin.fetchval(due) > 0
    [error] = summary.errors
    assert (error.error, error.count, summary.capped) == ("order # got # times #", 5, False)
    queries.close()
    connection = await connect(filled, name="test")
    monkeypatch.setattr(saga_summary, "MOST_COUNTED", summary.statuses["FAILED"])
    assert (await saga_summary.summary_of_sagas(connection)).capped
    explaining: Any = Explaining(connection)
    await saga_summary.summary_of_sagas(explaining)
    assert explaining.read["sagas"] <= 3 * OPEN, "those that have ended are not read"
    await connection.close()


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


ENDS = """
INSERT INTO events
SELECT 100000 + n, md5('s' || n)::uuid, 'saga', 2, gen_random_uuid(), type, 1, '{}', '{}', md5('o' || n)::uuid,
       s.started_at + n * interval '10 s'
  FROM unnest($1::text[]) WITH ORDINALITY AS t(type, n) JOIN sagas s ON s.saga_id = md5('s' || n)::uuid
"""


async def test_the_sagas_that_ended_in_a_stretch_of_the_log_say_how_and_after_how_long(
    filled: str, opener: Opener
) -> None:
    connection = await connect(filled, name="test", role=None)
    types = ["SagaCompleted", "SagaCompensated", "SagaStepCompleted", "SagaFailed", "SagaCompleted"]
    await connection.execute(ENDS, types)
    await connection.execute("ANALYZE events")
    queries = PostgresQueries(opener)
    ended = await queries.ended_sagas(after=100_000, upto=100_004, limit=10)
    assert sorted((saga.outcome, saga.seconds) for saga in ended) == [
        ("compensated", 20), ("completed", 10), ("failed", 40),
    ]  # fmt: skip
    assert len(await queries.ended_sagas(after=0, upto=200_000, limit=2)) == 2
    explaining = Explaining(connection)
    await ended_sagas(cast("Any", explaining), after=100_000, upto=100_004, limit=10)
    assert explaining.read["events"] <= 5, "of the whole log"
    queries.close()
    await connection.close()
