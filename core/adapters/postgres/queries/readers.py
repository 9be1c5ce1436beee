"""How far the readers of the log have come. Their delay is measured by the clock of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncpg import Record

from core.adapters.postgres.connection import Connection
from core.ports.reading import ReaderProgress

POSITIONS = """
SELECT reader, position FROM checkpoints WHERE reader = ANY ($1::text[])
 UNION ALL
SELECT '', coalesce((SELECT max(position) FROM events), 0) WHERE '' = ANY ($1::text[])
"""
PROGRESS = """
SELECT c.reader, c.revision, c.position, h.head,
       greatest(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)::float8 AS behind
  FROM checkpoints c
 CROSS JOIN (SELECT coalesce(max(position), 0) AS head FROM events) AS h
  LEFT JOIN events e ON e.position = c.position + 1
 WHERE c.reader NOT LIKE '%@%'  -- those that fill a generation that nobody reads
"""
OF_ALL = f"{PROGRESS} ORDER BY c.reader"
OF_ONE = f"{PROGRESS} AND c.reader = $1"


async def progress(connection: Connection) -> Sequence[ReaderProgress]:
    """The progress of every reader that has ever saved a checkpoint."""
    return [_progress(row) for row in await connection.fetch(OF_ALL)]


async def progress_of(connection: Connection, reader: str) -> ReaderProgress | None:
    """The progress of one reader; None if it has never saved a checkpoint."""
    row = await connection.fetchrow(OF_ONE, reader)
    return None if row is None else _progress(row)


def _progress(row: Record) -> ReaderProgress:
    return ReaderProgress(
        row["reader"], row["revision"], row["position"], max(row["head"], row["position"]), row["behind"] or 0
    )


async def positions_of(connection: Connection, readers: Sequence[str]) -> Mapping[str, int]:
    """The position that each reader saved last; one that never saved one is left out. LOG is the end of the log."""
    return {row["reader"]: row["position"] for row in await connection.fetch(POSITIONS, readers)}
