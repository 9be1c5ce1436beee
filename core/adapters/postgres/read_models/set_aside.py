"""The table dead_letters as a group of read models uses it: what it saves there with its rows, and reads of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import uuid4

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.event_store import stored
from core.adapters.postgres.read_models.table import DocumentTable, ViewTable, select
from core.codec import StoredEvent
from core.domain.message import StreamId
from core.errors import LogShorter
from core.ports.dead_letters import TRY_AGAIN, Aside, Parked
from core.projections.projection import Group

# A row has at most one dead letter. When its event is applied and a later one cannot be, that one replaces it. After
# this text, the new value of retry_at follows.
REPLACE = """ON CONFLICT (reader, row_stream) DO UPDATE
       SET (id, category, event_id, stream_id, version, position, event_type, schema_version, correlation_id, error,
            fingerprint, tries, first_failed_at, last_failed_at, retry_at)
         = (CASE WHEN d.event_id = excluded.event_id THEN d.id ELSE excluded.id END, excluded.category,
            excluded.event_id, excluded.stream_id, excluded.version, excluded.position, excluded.event_type,
            excluded.schema_version, excluded.correlation_id, excluded.error, excluded.fingerprint,
            CASE WHEN d.event_id = excluded.event_id THEN d.tries ELSE 0 END + 1,
            CASE WHEN d.event_id = excluded.event_id THEN d.first_failed_at ELSE clock_timestamp() END,
            clock_timestamp()"""
PARK = """, parked AS (
    INSERT INTO dead_letters AS d (reader, id, row_stream, category, event_id, stream_id, version, position, event_type,
                                   schema_version, correlation_id, error, fingerprint, retry_at)
    SELECT {reader}, p.id, p.row_stream, p.category, p.event_id, p.stream_id, p.version, p.position, p.event_type,
           p.schema_version, p.correlation_id, p.error, p.fingerprint,
           CASE WHEN p.transient THEN clock_timestamp() + make_interval(secs => ({waits}::float8[])[1]) END
      FROM moved CROSS JOIN unnest({}::uuid[], {}::uuid[], {}::text[], {}::uuid[], {}::uuid[], {}::int[], {}::bigint[],
                                   {}::text[], {}::int[], {}::uuid[], {}::text[], {}::text[], {}::bool[])
           AS p(id, row_stream, category, event_id, stream_id, version, position, event_type, schema_version,
                correlation_id, error, fingerprint, transient)
        {REPLACE},
            CASE WHEN excluded.retry_at IS NOT NULL THEN clock_timestamp() + make_interval(secs =>
                 ({waits}::float8[])[CASE WHEN d.event_id = excluded.event_id THEN d.tries ELSE 0 END + 1]) END)
), freed AS (
    DELETE FROM dead_letters d USING moved WHERE d.reader = {reader} AND d.row_stream = ANY ({}::uuid[])
)""".replace("{REPLACE}", REPLACE)
COUNT = PARK.count("{}") + 2

ASIDE = "SELECT * FROM dead_letters WHERE reader = $1"
# A group that is filled anew beside the live one has the same name with @ and an id, and leaves out the same events.
SKIPPED = "SELECT event_id FROM skipped_events WHERE reader = split_part($1, '@', 1)"
AT = "SELECT * FROM events WHERE position = ANY ($1)"
DUE = "SELECT row_stream FROM dead_letters WHERE reader = $1 AND retry_at <= now()"
EMPTY = "DELETE FROM dead_letters WHERE reader = $1"
OF_ROW = """
SELECT * FROM events
 WHERE position IN ((SELECT position FROM events WHERE stream_id = $1 AND version > $2 ORDER BY version LIMIT $5)
                    UNION ALL
                    SELECT e.position FROM events e JOIN unnest($3::text[], $4::int[]) AS w(category, version)
                        ON e.category = w.category AND e.version > w.version
                     WHERE e.correlation_id = $1)
 ORDER BY position LIMIT $5
"""


def parking(first: int) -> str:
    """SQL after `moved` that saves and frees what the parameters from $first on say."""
    numbers = iter(range(first + 2, first + COUNT))
    text = PARK.replace("{reader}", f"${first}::text").replace("{waits}", f"${first + 1}")
    while "{}" in text:
        text = text.replace("{}", f"${next(numbers)}", 1)
    return text


def parameters(reader: str, parked: Sequence[Parked], freed: Sequence[StreamId]) -> list[Any]:
    rows = [
        (
            uuid4(),
            one.row,
            one.event.category,
            one.event.event_id,
            one.event.stream,
            one.event.version,
            one.event.position,
            one.event.event_type,
            one.event.schema_version,
            one.event.correlation_id,
            one.error,
            one.fingerprint,
            one.transient,
        )
        for one in parked
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(COUNT - 3)]
    return [reader, list(TRY_AGAIN), *columns, list(freed)]


async def with_their_events(connection: Connection, found: Sequence[Parked]) -> Sequence[Parked]:
    """The same with whole events: what reads a share of the log leaves out ids of them. Raises LogShorter."""
    rows = await connection.fetch(AT, [one.event.position for one in found])
    events = {row["position"]: stored(row) for row in rows}
    try:
        return [one._replace(event=events[one.event.position]) for one in found]
    except KeyError as error:
        raise LogShorter(error.args[0], max(events, default=0)) from error


async def read_aside(connection: Connection, reader: str) -> Aside:
    blocked = {StreamId(row["row_stream"]): _event(row) for row in await connection.fetch(ASIDE, reader)}
    return Aside(blocked, frozenset(row["event_id"] for row in await connection.fetch(SKIPPED, reader)))


class ReadsRows:
    """See `core.ports.dead_letters.RowModels`: what read models in PostgreSQL read, in whatever way they are filled."""

    _loader: Link
    _group: Group[Any]
    _reader: str
    _views: ViewTable | DocumentTable

    async def load(self, streams: Sequence[StreamId]) -> Mapping[StreamId, Any]:
        query = f"{select(self._views)} WHERE {self._views.of_streams}"
        rows = await self._loader.run(lambda connection: connection.fetch(query, streams))
        views = [self._views.view(row) for row in rows]
        return {self._group.projection.stream(view): view for view in views}

    async def aside(self) -> Aside:
        return await self._loader.run(lambda connection: read_aside(connection, self._reader))

    async def due(self) -> Collection[StreamId]:
        return {StreamId(row["row_stream"]) for row in await self._loader.run(lambda c: c.fetch(DUE, self._reader))}

    async def events_of_row(self, row: StreamId, after: Mapping[str, int], *, limit: int) -> Sequence[StoredEvent]:
        first, *others = (source.category for source in self._group.projection.sources)
        values = (row, after[first], others, [after[category] for category in others], limit)
        return [stored(found) for found in await self._loader.run(lambda c: c.fetch(OF_ROW, *values))]


def _event(row: Any) -> StoredEvent:
    """The event of a dead letter, without payload and metadata."""
    return StoredEvent(
        position=row["position"],
        stream=StreamId(row["stream_id"]),
        category=row["category"],
        version=row["version"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        schema_version=row["schema_version"],
        payload="",
        metadata="",
        correlation_id=row["correlation_id"],
        recorded_at=row["first_failed_at"],
    )
