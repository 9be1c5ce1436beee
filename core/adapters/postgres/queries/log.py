"""Stretches of the log as they are asked for: of everything, of one stream, of one order's whole story."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import stored
from core.codec import StoredEvent

LOG = "SELECT * FROM events WHERE position > $1"
OF_STREAM = "SELECT * FROM events WHERE stream_id = $1 AND version > $2 ORDER BY version LIMIT $3"
OF_CORRELATION = "SELECT * FROM events WHERE correlation_id = $1 AND position > $2 ORDER BY position LIMIT $3"


async def events_of_log(
    connection: Connection, *, after: int, limit: int, categories: Sequence[str] = (), types: Sequence[str] = ()
) -> Sequence[StoredEvent]:
    """Of these categories and types only, when there are any given."""
    values: list[Any] = [after]
    conditions = ""
    for column, wanted in (("category", categories), ("event_type", types)):
        if wanted:
            values.append(list(wanted))
            conditions += f" AND {column} = ANY (${len(values)}::text[])"
    rows = await connection.fetch(f"{LOG}{conditions} ORDER BY position LIMIT {limit}", *values)
    return [stored(row) for row in rows]


async def events_of_stream(connection: Connection, stream: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
    return [stored(row) for row in await connection.fetch(OF_STREAM, stream, after, limit)]


async def events_of_correlation(connection: Connection, id_: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
    return [stored(row) for row in await connection.fetch(OF_CORRELATION, id_, after, limit)]
