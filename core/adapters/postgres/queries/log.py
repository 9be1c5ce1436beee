"""Reads events in order: those of the whole log, those of several streams at once, or those about one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import stored
from core.codec import StoredEvent
from core.ports.queries import LogSearch
from core.ports.sagas import READER as SAGA_RUNNER
from core.projections import GROUPS

# Positions have no gaps, and no event was recorded before the one at the position below it. So the half of the range in
# which the moment lies is found with one look at the primary key: 20 looks in a log of a million events. An index on
# the time would slow down every append.
POSITION_AT = """
WITH RECURSIVE search(low, high) AS (
       SELECT 1::bigint, coalesce((SELECT position FROM events ORDER BY position DESC LIMIT 1), 0) + 1
       UNION ALL
       SELECT CASE WHEN e.recorded_at < $1 THEN e.position + 1 ELSE s.low END,
              CASE WHEN e.recorded_at < $1 THEN s.high ELSE e.position END
         FROM search s JOIN events e ON e.position = (s.low + s.high) / 2
        WHERE s.low < s.high
       )
SELECT low FROM search WHERE low >= high
"""
READERS = (SAGA_RUNNER, *(group.reader for group in GROUPS))
"""The readers for which operators leave events out."""

OF_STREAMS = f"""
SELECT page.*,
       ARRAY (SELECT s.reader FROM skipped_events s
               WHERE s.reader = ANY ('{{{", ".join(READERS)}}}') AND s.event_id = page.event_id) AS skipped_by,
       w.n
  FROM unnest($1::uuid[], $2::int[], $3::int[]) WITH ORDINALITY AS w(id, after, most, n)
 CROSS JOIN LATERAL (
       SELECT * FROM events e WHERE e.stream_id = w.id AND e.version > w.after ORDER BY e.version LIMIT w.most
       ) AS page
 ORDER BY w.n, page.version
"""
OF_CORRELATION = "SELECT * FROM events WHERE correlation_id = $1 AND position > $2 ORDER BY position LIMIT $3"

StreamPart: TypeAlias = tuple[UUID, int, int]
"""Asks for some events of a stream: the stream, the version after which they begin, and how many at most."""


async def events_of_log(connection: Connection, search: LogSearch) -> Sequence[StoredEvent]:
    backwards = search.before is not None
    conditions = [
        ("position > $", search.after if not backwards else None),
        ("position < $", search.before),
        ("category = ANY ($::text[])", list(search.categories) or None),
        ("event_type = ANY ($::text[])", list(search.types) or None),
        ("correlation_id = $", search.order_id),
        ("stream_id = $", search.stream_id),
    ]
    given = [(text, value) for text, value in conditions if value is not None]
    where = " AND ".join(text.replace("$", f"${n}") for n, (text, _) in enumerate(given, start=1))
    # In one stream the versions follow the positions, and there is an index on a stream's versions.
    order = f"{'position' if search.stream_id is None else 'version'} {'DESC' if backwards else 'ASC'}"
    values: list[Any] = [value for _, value in given]
    rows = await connection.fetch(f"SELECT * FROM events WHERE {where} ORDER BY {order} LIMIT {search.limit}", *values)
    return [stored(row) for row in (reversed(rows) if backwards else rows)]


async def position_at(connection: Connection, moment: datetime) -> int:
    [row] = await connection.fetch(POSITION_AT, moment)
    return row["low"]


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
