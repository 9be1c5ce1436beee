"""Reads events in order: those of the whole log, those of several streams at once, or those about one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import stored
from core.codec import StoredEvent

LOG = "SELECT * FROM events WHERE position > $1"
OF_STREAMS = """
SELECT page.*, w.n
  FROM unnest($1::uuid[], $2::int[], $3::int[]) WITH ORDINALITY AS w(id, after, most, n)
 CROSS JOIN LATERAL (
       SELECT * FROM events e WHERE e.stream_id = w.id AND e.version > w.after ORDER BY e.version LIMIT w.most
       ) AS page
 ORDER BY w.n, page.version
"""
OF_CORRELATION = "SELECT * FROM events WHERE correlation_id = $1 AND position > $2 ORDER BY position LIMIT $3"

StreamPart: TypeAlias = tuple[UUID, int, int]
"""Asks for some events of a stream: the stream, the version after which they begin, and how many at most."""


async def events_of_log(
    connection: Connection, *, after: int, limit: int, categories: Sequence[str] = (), types: Sequence[str] = ()
) -> Sequence[StoredEvent]:
    """The events after a position; only those of the given categories and types, if there are any."""
    values: list[Any] = [after]
    conditions = ""
    for column, names in (("category", categories), ("event_type", types)):
        if names:
            values.append(list(names))
            conditions += f" AND {column} = ANY (${len(values)}::text[])"
    rows = await connection.fetch(f"{LOG}{conditions} ORDER BY position LIMIT {limit}", *values)
    return [stored(row) for row in rows]


async def events_of_streams(
    connection: Connection, parts: Sequence[StreamPart]
) -> Mapping[StreamPart, Sequence[StoredEvent]]:
    """The events of each part, in order; a part without events is left out."""
    rows = await connection.fetch(OF_STREAMS, *map(list, zip(*parts, strict=True)))
    events: dict[StreamPart, list[StoredEvent]] = {}
    for row in rows:
        *columns, n = tuple(row)
        events.setdefault(parts[int(n) - 1], []).append(StoredEvent(*columns))
    return events


async def events_of_correlation(connection: Connection, id_: UUID, *, after: int, limit: int) -> Sequence[StoredEvent]:
    return [stored(row) for row in await connection.fetch(OF_CORRELATION, id_, after, limit)]
