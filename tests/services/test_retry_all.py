"""Retries of all dead letters: two operators at once, and more of them than are tried at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from core.adapters.postgres.dead_letters import PostgresDeadLetters
from core.domain.message import reader_stream
from core.ports.dead_letters import DeadLetter, DeadLetterSearch
from core.services import dead_letters
from core.services.dead_letters import LetterDesk, LetterResult, retry_all
from core.services.execute import Terms
from daemons.query_api.parked_rows import ParkedRows
from tests.support.order_desk import Desk

READER = "projector.orders"
MADE = """
INSERT INTO dead_letters (id, reader, row_stream, category, event_id, stream_id, version, position, event_type,
                          schema_version, correlation_id, error, fingerprint, last_failed_at)
SELECT gen_random_uuid(), $1, md5('r' || n)::uuid, 'order', gen_random_uuid(), md5('r' || n)::uuid, 1, n,
       'OrderCreated', 1, md5('r' || n)::uuid, 'broken', 'f', now() - n * interval '1 min'
  FROM generate_series(1, 4) n
"""


class Overtaken(PostgresDeadLetters):
    """After the first look, another operator's retry ends one of the letters that were found."""

    def __init__(self, desk: Desk, dsn: str) -> None:
        super().__init__(desk.open)
        self._dsn = dsn
        self.ended: Sequence[UUID] = ()

    async def find(self, search: DeadLetterSearch) -> Sequence[DeadLetter]:
        page = await super().find(search)
        if not self.ended:
            self.ended = [page[0].id]
            owner = await asyncpg.connect(self._dsn)
            await owner.execute("DELETE FROM dead_letters WHERE id = ANY ($1)", self.ended)
            await owner.close()
        return page


async def made(dsn: str) -> None:
    owner = await asyncpg.connect(dsn)
    await owner.execute(MADE, READER)
    await owner.close()


async def retried(letters: PostgresDeadLetters, desk: Desk, limit: int) -> Sequence[LetterResult]:
    search = DeadLetterSearch(reader=READER, limit=limit)
    return (await retry_all(LetterDesk(desk.store, letters, desk.clock), search, "mended", Terms()))[1]


async def test_a_retry_of_all_passes_over_what_another_operators_retry_has_ended(
    desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "WITHIN", 0.0)
    await made(dsn)
    letters = Overtaken(desk, dsn)
    assert [result.position for result in await retried(letters, desk, 3)] == [3, 2], "not tried for the longest first"
    assert len(await desk.store.load(reader_stream(READER))) == 2
    letters.close()


async def test_two_operators_who_retry_all_at_once_are_both_answered(
    desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "WITHIN", 0.0)
    await made(dsn)
    letters = PostgresDeadLetters(desk.open)
    both = await asyncio.gather(retried(letters, desk, 4), retried(letters, desk, 4))
    assert [len(results) for results in both] == [4, 4]
    assert len(await desk.store.load(reader_stream(READER))) == 8, "each act is recorded"
    letters.close()


async def test_what_waits_behind_dead_letters_is_not_counted_while_they_are_retried(
    desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "WITHIN", 0.1)
    await made(dsn)
    statements: list[str] = []

    async def watched() -> Any:
        connection: Any = await asyncpg.connect(dsn)
        connection.add_query_logger(lambda done: statements.append(done.query))
        return connection

    letters = PostgresDeadLetters(watched)
    results = await retried(letters, desk, 4)
    assert [result.state for result in results] == ["waits"] * 4
    assert (await ParkedRows(letters).now(results[0].row)) is not None
    await letters.summary()  # by now all statements before it were noted
    assert sum("FROM dead_letters" in each for each in statements) > 4
    assert not [each for each in statements if "FROM events" in each]
    assert await letters.one(results[0].id) is not None
    await letters.summary()
    assert [each for each in statements if "FROM events" in each], "who looks at a letter is told what waits behind it"
    letters.close()


async def test_dead_letters_are_counted_by_cause_and_found_page_by_page_some_of_each(desk: Desk, dsn: str) -> None:
    await made(dsn)
    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE dead_letters SET fingerprint = 'rare', error = 'odd' WHERE position = 4")
    await owner.execute("UPDATE dead_letters SET retry_at = now() WHERE position = 3")
    await owner.close()
    letters = PostgresDeadLetters(desk.open)

    async def positions(**more: Any) -> list[int]:
        return [letter.position for letter in await letters.find(DeadLetterSearch(**more))]

    told = await letters.summary()
    assert (told.total, told.counts) == (4, {READER: 4})
    assert [(cause.fingerprint, cause.letters, cause.error) for cause in told.causes] == [
        ("f", 3, "broken"),
        ("rare", 1, "odd"),
    ]
    assert (await letters.summary(fingerprint="f")).total == 3
    assert (await letters.summary(reader="another")).total == 0
    assert await positions(each=1) == [1, 4]
    assert await positions(each=2, fingerprint="f") == [1, 2]
    first = await letters.find(DeadLetterSearch(limit=2))
    assert await positions(after=(first[-1].position, first[-1].id)) == [3, 4]
    newest = await letters.find(DeadLetterSearch(order="newest", limit=3))
    assert [letter.position for letter in newest] == [4, 3, 2]
    assert await positions(order="newest", after=(newest[-1].position, newest[-1].id)) == [1]
    assert await positions(order="untried") == [4, 2, 1, 3], "what its reader is to try now comes last"
    assert await positions(readers=["another"]) == []
    letters.close()
