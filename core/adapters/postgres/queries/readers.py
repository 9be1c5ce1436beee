"""How far the readers of the log have come. Their delay is measured by the clock of the database."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.postgres.connection import Connection
from core.ports.reading import ReaderProgress

POSITION = "SELECT position FROM checkpoints WHERE reader = $1"
PROGRESS = """
SELECT c.reader, c.revision, c.position, h.head,
       greatest(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)::float8 AS behind
  FROM checkpoints c
 CROSS JOIN (SELECT coalesce(max(position), 0) AS head FROM events) AS h
  LEFT JOIN events e ON e.position = c.position + 1
 ORDER BY c.reader
"""


async def progress(connection: Connection) -> Sequence[ReaderProgress]:
    """The progress of every reader that has ever saved a checkpoint."""
    rows = await connection.fetch(PROGRESS)
    return [
        ReaderProgress(
            row["reader"], row["revision"], row["position"], max(row["head"], row["position"]), row["behind"] or 0
        )
        for row in rows
    ]


async def position_of(connection: Connection, reader: str) -> int:
    """The position that a reader saved last; 0 if it never saved one."""
    return int(await connection.fetchval(POSITION, reader) or 0)
