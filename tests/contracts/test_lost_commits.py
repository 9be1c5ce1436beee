"""PostgreSQL crashes and loses the last commits of read models: they are made again, also when nothing else happens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from core.projections import ORDERS
from core.services import project
from tests.support.feeds import LogFeed, TopicFeed, as_if_undisturbed
from tests.support.opener import Opener
from tests.support.orders import READ_MODELS, Sample, write
from tests.support.sharing import reached, relayed

TABLES = [*READ_MODELS, "checkpoints", "reader_shares"]


class Crash:
    """Saves of read models as a crash leaves them: as they were at an earlier moment, all of them together.

    Leases and epochs stay, because their commits wait for the disk.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._rows: dict[str, Sequence[Any]] = {}

    async def remember(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        for table in TABLES:
            self._rows[table] = await connection.fetch(f"SELECT row_to_json(t)::text FROM {table} t")
        await connection.close()

    async def happen(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {', '.join(TABLES)}")
            for table in READ_MODELS:
                await connection.execute(f"DELETE FROM {table}")
                await connection.execute(f"INSERT INTO {table} {_rows_of(table)}", self._before(table))
            for table, columns in (("checkpoints", "position"), ("reader_shares", "position, offsets, saves")):
                same = "t.reader = b.reader" if table == "checkpoints" else "(t.reader, t.share) = (b.reader, b.share)"
                values = ", ".join(f"b.{column}" for column in columns.split(", "))
                await connection.execute(
                    f"UPDATE {table} t SET ({columns}) = ROW({values}) FROM ({_rows_of(table)}) b"
                    f" WHERE {same} AND t.reader = $2",
                    self._before(table),
                    ORDERS.reader,
                )
        await connection.close()

    def _before(self, table: str) -> Sequence[str]:
        return [row[0] for row in self._rows[table]]


def _rows_of(table: str) -> str:
    return f"SELECT (json_populate_record(NULL::{table}, r::json)).* FROM unnest($1::text[]) r"


async def folded(dsn: str) -> int:
    """How many events of orders and payments the read model has."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT coalesce(sum(version + payment_version), 0) FROM order_views")
    finally:
        await connection.close()


async def test_saves_from_the_log_that_a_crash_has_lost_are_made_again_although_no_event_comes(
    opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "LOOK_EVERY", 0.1)
    log, crash, feed = Sample(20, payments=True).events(), Crash(dsn), LogFeed(opener, dsn)
    async with feed.filling():
        await feed.deliver(log[:40])
        await reached(dsn, 40)
        await crash.remember()
        await feed.deliver(log[40:])
        await reached(dsn, len(log))
        await crash.happen()
        await reached(dsn, len(log))
    await as_if_undisturbed(opener, dsn)


@pytest.mark.parametrize("topics", ["stay", "are emptied"])
async def test_saves_from_topics_that_a_crash_has_lost_are_made_again_although_no_event_comes(
    opener: Opener, dsn: str, topics: str
) -> None:
    log, crash, feed = Sample(20, payments=True).events(), Crash(dsn), TopicFeed(opener, dsn)
    async with feed.filling():
        await feed.deliver(log[:40])
        await reached(dsn, 40)
        await crash.remember()
        await write(dsn, log[40:])
        feed.topics.copy(log[40:])  # the relay has not saved yet that they are there
        async with asyncio.timeout(10):
            while await folded(dsn) < len(log):
                await asyncio.sleep(0.01)
        await crash.happen()
        if topics == "are emptied":
            for records in feed.topics.records.values():
                records.clear()
        await relayed(dsn, len(log))
        await reached(dsn, len(log))
    await as_if_undisturbed(opener, dsn)
