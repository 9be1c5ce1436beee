"""The rows of a generation in PostgreSQL, on one connection with one snapshot."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.driver_errors import translating
from core.adapters.postgres.event_store import stored
from core.adapters.postgres.read_models.set_aside import read_aside
from core.adapters.postgres.read_models.store import VIEW_TABLES
from core.adapters.postgres.read_models.table import SumTable, select
from core.codec import StoredEvent
from core.domain.message import StreamId
from core.errors import CheckpointMoved
from core.ports.dead_letters import Aside
from core.projections.projection import Amounts, Group, RowKey, Sum

AT_ONCE = 5_000  # events that are read into memory

POSITION = "SELECT position FROM checkpoints WHERE reader = $1"
SOME = """
SELECT chosen.stream_id, (SELECT max(e.version) FROM events e WHERE e.stream_id = chosen.stream_id)
  FROM (SELECT DISTINCT stream_id FROM events WHERE position = ANY ($1) AND category = $2) AS chosen
 ORDER BY random()
"""
STREAMS = """
SELECT stream_id, position FROM events
 WHERE position > $1 AND position <= $2 AND category = $3 AND version = 1 ORDER BY position LIMIT $4
"""
# An event of another source belongs to the row of the stream that its correlation id names.
EVENTS = """
SELECT * FROM events WHERE position <= $2 AND stream_id = ANY ($1)
 UNION ALL
SELECT * FROM events WHERE position <= $2 AND correlation_id = ANY ($1) AND category = ANY ($3)
 ORDER BY position
"""


class PostgresGenerationRows:
    """See `core.ports.generation_rows.GenerationRows`."""

    def __init__(self, connection: Connection, group: Group[Any], reader: str, position: int) -> None:
        self._connection = connection
        self._reader = reader
        self._projection = group.projection
        self._table = VIEW_TABLES[group.projection.name]
        self._first, *others = [source.category for source in group.projection.sources]
        self._others = others
        self.position = position

    async def aside(self) -> Aside:
        return await read_aside(self._connection, self._reader)

    async def some_streams(self, most: int) -> Sequence[tuple[StreamId, int]]:
        places = [random.randint(1, self.position) for _ in range(most)] if self.position else []  # noqa: S311 - a sample
        return [(StreamId(row[0]), row[1]) for row in await self._connection.fetch(SOME, places, self._first)]

    async def streams(self, *, after: int, limit: int) -> tuple[Sequence[StreamId], int]:
        rows = await self._connection.fetch(STREAMS, after, self.position, self._first, limit)
        return [StreamId(row[0]) for row in rows], rows[-1][1] if rows else self.position

    async def events(self, streams: Sequence[StreamId]) -> AsyncGenerator[Sequence[StoredEvent]]:
        cursor = await self._connection.cursor(EVENTS, streams, self.position, self._others)
        while rows := await cursor.fetch(AT_ONCE):
            yield [stored(row) for row in rows]

    async def views(self, streams: Sequence[StreamId]) -> Mapping[StreamId, Any]:
        rows = await self._connection.fetch(f"{select(self._table)} WHERE {self._table.of_streams}", streams)
        views = [self._table.view(row) for row in rows]
        return {self._projection.stream(view): view for view in views}

    async def count(self) -> int:
        return int(await self._connection.fetchval(f"SELECT count(*) FROM {self._table.name}"))

    async def sums(self, one: Sum[Any, Any, Any]) -> Mapping[RowKey, Amounts]:
        table = SumTable(one)
        width = len(table.key)
        return {tuple(row[:width]): tuple(row[width:]) for row in await self._connection.fetch(select(table))}


@asynccontextmanager
async def open_generation_rows(
    open_: Callable[[], Awaitable[Connection]], group: Group[Any], reader: str
) -> AsyncGenerator[PostgresGenerationRows]:
    """`open_` opens connections on which the tables of the generation are found first."""
    connection = await open_()
    try:
        with translating():
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            position = await connection.fetchval(POSITION, reader)
            if position is None:
                raise CheckpointMoved(reader, 0)
            yield PostgresGenerationRows(connection, group, reader, position)
    finally:
        connection.terminate()
