"""Finds events by any filter. An index gives the candidates, of which a page looks at 50,000 at most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from core import codec
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import stored
from core.adapters.postgres.queries.log import position_at
from core.codec import StoredEvent
from core.ports.inspection import EventPage, EventSearch

LOOKED_AT = 50_000  # candidates that one page looks at: some 50 ms
HEAD = "SELECT coalesce(max(position), 0) FROM events"

# The versions of a stream have no gaps, and positions rise with them: this is `position_at` within a stream.
VERSION_AT = """
WITH RECURSIVE search(low, high) AS (
       SELECT 1, coalesce((SELECT version FROM events WHERE stream_id = $1 ORDER BY version DESC LIMIT 1), 0) + 1
       UNION ALL
       SELECT CASE WHEN e.position < $2 THEN e.version + 1 ELSE s.low END,
              CASE WHEN e.position < $2 THEN s.high ELSE e.version END
         FROM search s JOIN events e ON e.stream_id = $1 AND e.version = (s.low + s.high) / 2
        WHERE s.low < s.high
       )
SELECT low FROM search WHERE low >= high
"""
POSITION_OF = "SELECT position FROM events WHERE stream_id = $1 AND version = $2"


class Candidates(NamedTuple):
    """Where candidates come from: the events whose `column` is one of `keys`, by the index on it and on `number`."""

    column: str
    number: str
    kind: str
    keys: Sequence[Any]


async def find_events(connection: Connection, search: EventSearch) -> EventPage:
    """The newest events that fit between two positions, and where the next page goes on."""
    after, before = await _bounds(connection, search)
    source = _source(search)
    if source is None:
        floor = max(after, before - 1 - LOOKED_AT)
        rows = await _page(connection, search, "events e", "position", before, floor)
        return _page_of(rows, search.limit, floor if floor > after else None)
    if source.number == "version":
        return await _of_stream(connection, search, source, after, before)
    floor = max(after, await _floor(connection, source, before) or 0)
    rows = await _page(connection, search, source, source.number, before, floor)
    return _page_of(rows, search.limit, floor if floor > after else None)


def _source(search: EventSearch) -> Candidates | None:
    if search.stream_id is not None:
        return Candidates("stream_id", "version", "uuid", [search.stream_id])
    if search.correlation_id is not None:
        return Candidates("correlation_id", "position", "uuid", [search.correlation_id])
    types = search.types or sorted(
        name for category in search.categories for name in codec.stored_types(codec.EVENTS_OF.get(category, ()))
    )
    return Candidates("event_type", "position", "text", types) if types else None


async def _bounds(connection: Connection, search: EventSearch) -> tuple[int, int]:
    """The positions between which the events are; neither is among them."""
    head = int(await connection.fetchval(HEAD))
    after, before = search.after, head + 1
    if search.before is not None:
        before = min(before, search.before)
    if search.since is not None:
        after = max(after, await position_at(connection, search.since) - 1)
    if search.until is not None:
        before = min(before, await position_at(connection, search.until))
    return min(after, head), before


async def _of_stream(
    connection: Connection, search: EventSearch, source: Candidates, after: int, before: int
) -> EventPage:
    """A page of one stream, whose index counts versions."""
    [stream] = source.keys
    lowest = int(await connection.fetchval(VERSION_AT, stream, after + 1)) - 1
    highest = int(await connection.fetchval(VERSION_AT, stream, before))
    floor = max(lowest, highest - 1 - LOOKED_AT)
    rows = await _page(connection, search, source, "version", highest, floor)
    more = await connection.fetchval(POSITION_OF, stream, floor) if floor > lowest else None
    return _page_of(rows, search.limit, more)


async def _floor(connection: Connection, source: Candidates, before: int) -> int | None:
    """The highest position of a candidate that is left for the next page; None when all can be looked at."""
    # A comparison of rows, and an order by both columns, can only be had from the index on both.
    return await connection.fetchval(
        f"""
        SELECT max(candidate.number) FROM unnest($1::{source.kind}[]) AS w(key) CROSS JOIN LATERAL (
            SELECT e.{source.number} AS number FROM events e
             WHERE (e.{source.column}, e.{source.number}) < (w.key, $2) AND e.{source.column} >= w.key
             ORDER BY e.{source.column} DESC, e.{source.number} DESC OFFSET $3 LIMIT 1
        ) AS candidate
        """,
        list(source.keys),
        before,
        LOOKED_AT // len(source.keys),
    )


async def _page(
    connection: Connection, search: EventSearch, source: Candidates | str, number: str, before: int, floor: int
) -> Sequence[StoredEvent]:
    values: list[Any] = [before, floor, search.limit]
    conditions = ""
    for text, value in (
        ("e.category = ANY ($::text[])", list(search.categories) or None),
        ("e.event_type = ANY ($::text[])", list(search.types) or None),
        ("e.correlation_id = $", search.correlation_id),
        ("e.metadata->>'causation_id' = $", str(search.causation_id) if search.causation_id else None),
        ("e.metadata->>'user_id' = $", search.actor),
        ("e.metadata->>'request_id' = $", search.request_id),
    ):
        if value is not None:
            values.append(value)
            conditions += f" AND {text.replace('$', f'${len(values)}')}"
    if isinstance(source, str):
        where = f"e.{number} < $1 AND e.{number} > $2{conditions}"
        statement = f"SELECT e.* FROM {source} WHERE {where} ORDER BY e.{number} DESC LIMIT $3"
    else:
        values.append(list(source.keys))
        both = f"(e.{source.column}, e.{number})"
        statement = f"""
        SELECT page.* FROM unnest(${len(values)}::{source.kind}[]) AS w(key) CROSS JOIN LATERAL (
            SELECT e.* FROM events e
             WHERE {both} < (w.key, $1) AND {both} > (w.key, $2){conditions}
             ORDER BY e.{source.column} DESC, e.{number} DESC LIMIT $3
        ) AS page ORDER BY page.{number} DESC LIMIT $3
        """
    return [stored(row) for row in await connection.fetch(statement, *values)]


def _page_of(events: Sequence[StoredEvent], limit: int, floor: int | None) -> EventPage:
    """`floor` is the position of the newest candidate that was not looked at; None: all were."""
    if len(events) == limit:
        return EventPage(events=events, next_before=events[-1].position)
    return EventPage(events=events, next_before=None if floor is None else floor + 1)
