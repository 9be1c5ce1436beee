"""The list of sagas costs what is shown, however many there are that have ended, and shows what their rows say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.queries.sagas import page_of_sagas

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
ASKED: list[dict[str, str]] = [
    {},
    *({"status": name} for name in ("RUNNING", "COMPENSATING", "FAILED", "COMPLETED", "COMPENSATED", "RESOLVED")),
    *({"state": name} for name in ("running", "waiting", "retrying", "overdue", "failed")),
]


class Explaining:
    """A connection that tells what a query reads instead of reading it."""

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
    await connection.execute("ANALYZE")
    await connection.close()
    return dsn


async def test_a_page_reads_no_more_than_is_open_whatever_has_ended(filled: str) -> None:
    connection = await connect(filled, name="test")
    for asked in ASKED:
        explaining: Any = Explaining(connection)
        await page_of_sagas(explaining, asked, start=None, backwards=False, limit=20)
        assert explaining.read.get("sagas", 0) <= OPEN, asked
        assert explaining.read.get("events", 0) <= OPEN, asked
    await connection.close()


async def test_every_saga_is_in_the_list_of_its_status_and_of_its_state_and_in_no_other(filled: str) -> None:
    connection = await connect(filled, name="test")
    rows, _ = await page_of_sagas(connection, {}, start=None, backwards=True, limit=100)
    everything, more = await page_of_sagas(connection, {}, start=None, backwards=False, limit=ENDED + OPEN)
    assert (len(everything), more) == (ENDED + OPEN, False)
    assert rows == everything[-100:]
    for asked in ASKED[1:]:
        ((name, value),) = asked.items()
        found, _ = await page_of_sagas(connection, asked, start=None, backwards=False, limit=ENDED + OPEN)
        assert found == [row for row in everything if row[name] == value], asked
        assert bool(found) == (value != "COMPENSATED")
    await connection.close()
