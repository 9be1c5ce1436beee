"""Statements that differ in values only are read together, and each caller gets what its statement alone would give."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.lanes import Lanes, opened_with
from core.adapters.postgres.read_models.read_together import ReadTogether, Statement
from core.errors import Unavailable, ValuesRefused
from tests.support.query_api import database

SHOWN = """
WITH given AS MATERIALIZED (SELECT $1::text[] AS words, $2::text AS word, $3::timestamptz AS at, $4::uuid AS id)
SELECT words, word, at, id, $5::numeric AS amount, $6::bigint AS number, xmin_now.n AS seen
  FROM given, (SELECT count(*) AS n FROM checkpoints WHERE reader LIKE 'r%') AS xmin_now"""
HARD = ["", "null", 'say "hi"', "back\\slash", "{a,b}", "Zoë, ☃", "tab\tand\nline"]


def values_of(n: int) -> list[Any]:
    return [HARD[: n % 8], HARD[n % 7], datetime(2026, 1, 1 + n, 12, 30, 0, n, UTC), UUID(int=n), Decimal(n) / 100, -n]


class Counted:
    """Its connection notes how many rows each statement has, and keeps the answer until `given`."""

    def __init__(self, dsn: str) -> None:
        self.rows: list[int] = []
        self.given = asyncio.Event()
        self.given.set()
        self.lanes = Lanes(lambda: connect(dsn, name="test"), count=1)
        self.run_on_lane = self.lanes.run
        self.lanes.run = self._run  # type: ignore[method-assign]

    async def _run(self, work: Any) -> Any:
        answer = await self.run_on_lane(work)
        self.rows.append(len(answer) if isinstance(answer, list) else 1)
        await self.given.wait()
        return answer


@pytest.fixture(scope="module")
async def dsn(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    async with database(postgres, template, "read_together") as dsn:
        yield dsn


@pytest.fixture
async def counted(dsn: str) -> AsyncIterator[Counted]:
    counted = Counted(dsn)
    yield counted
    counted.lanes.close()


async def test_each_gets_the_row_of_its_own_values_and_sixteen_are_read_at_once(counted: Counted) -> None:
    reads = ReadTogether(counted.lanes, at_once=1)
    rows = await asyncio.gather(*(reads.row(Statement(SHOWN, values_of(n))) for n in range(28)))
    assert [list(row.values())[:6] for row in rows] == [values_of(n) for n in range(28)]
    assert counted.rows in ([16, 12], [1, 16, 11])


async def test_who_asks_while_a_statement_runs_is_read_by_the_next(dsn: str, counted: Counted) -> None:
    reads = ReadTogether(counted.lanes, at_once=1)
    counted.given.clear()
    early = asyncio.create_task(reads.row(Statement(SHOWN, values_of(1))))
    while not counted.rows:
        await asyncio.sleep(0)
    writer = await connect(dsn, name="test")
    await writer.execute("INSERT INTO checkpoints (reader, position, revision) VALUES ('r', 0, '')")
    await writer.close()
    late = [asyncio.create_task(reads.row(Statement(SHOWN, values_of(n)))) for n in range(3)]
    await asyncio.sleep(0)
    counted.given.set()
    assert [row["seen"] for row in await asyncio.gather(early, *late)] == [0, 1, 1, 1]
    assert counted.rows == [1, 3]


async def test_values_that_are_refused_are_so_for_their_own_caller_only(counted: Counted) -> None:
    reads = ReadTogether(counted.lanes, at_once=1)
    text = "SELECT 10 / $1::bigint AS share"
    answers = await asyncio.gather(*(reads.row(Statement(text, [n])) for n in (1, 0, 2, 5, 0)), return_exceptions=True)
    assert [one["share"] if not isinstance(one, BaseException) else type(one) for one in answers] == [
        10,
        ValuesRefused,
        5,
        2,
        ValuesRefused,
    ]


async def test_who_asks_for_what_takes_too_long_takes_the_answer_from_nobody(dsn: str) -> None:
    lanes = Lanes(lambda: opened_with(lambda: connect(dsn, name="test"), "statement_timeout = '100ms'"), count=2)
    reads = ReadTogether(lanes, at_once=1)
    text = "SELECT $1::bigint AS n, pg_sleep($1::bigint)::text"
    answers = await asyncio.gather(*(reads.row(Statement(text, [n])) for n in (0, 0, 60, 0)), return_exceptions=True)
    assert [one["n"] if not isinstance(one, BaseException) else type(one) for one in answers] == [0, 0, Unavailable, 0]
    lanes.close()


async def test_a_caller_who_goes_takes_the_answer_from_nobody(counted: Counted) -> None:
    reads = ReadTogether(counted.lanes, at_once=1)
    callers = [asyncio.create_task(reads.row(Statement("SELECT $1::bigint AS n", [n]))) for n in range(4)]
    await asyncio.sleep(0)
    callers[2].cancel()
    rows = await asyncio.gather(*callers, return_exceptions=True)
    assert [row["n"] for row in rows if not isinstance(row, BaseException)] == [0, 1, 3]


async def test_who_waits_for_a_read_that_is_cancelled_is_told_at_once_and_the_next_caller_reads_anew(
    counted: Counted,
) -> None:
    reads, text, others = ReadTogether(counted.lanes, at_once=1), "SELECT $1::bigint AS n", asyncio.all_tasks()
    counted.given.clear()
    waiting = [asyncio.create_task(reads.row(Statement(text, [0])))]
    await asyncio.sleep(0)
    [reader] = asyncio.all_tasks() - others - {*waiting}
    while not counted.rows:
        await asyncio.sleep(0)
    waiting.append(asyncio.create_task(reads.row(Statement(text, [1]))))  # for the read after that one
    await asyncio.sleep(0)
    reader.cancel()
    async with asyncio.timeout(5):
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, Unavailable)
        counted.given.set()
        assert (await reads.row(Statement(text, [2])))["n"] == 2
