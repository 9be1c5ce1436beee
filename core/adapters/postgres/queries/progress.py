"""How far the readers of the log have come, by the database's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from core.adapters.postgres.connection import Connection

PROGRESS = """
SELECT c.reader, c.revision, c.position, h.head,
       greatest(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)::float8 AS behind
  FROM checkpoints c
 CROSS JOIN (SELECT coalesce(max(position), 0) AS head FROM events) AS h
  LEFT JOIN events e ON e.position = c.position + 1
 ORDER BY c.reader
"""


class Progress(NamedTuple):
    """`behind`: for how many seconds the next event has been waiting for this reader; 0 when none is."""

    reader: str
    revision: str
    position: int
    head: int
    behind: float


async def progress(connection: Connection) -> Sequence[Progress]:
    """Of every reader that has ever saved a checkpoint."""
    rows = await connection.fetch(PROGRESS)
    return [
        Progress(row["reader"], row["revision"], row["position"], max(row["head"], row["position"]), row["behind"] or 0)
        for row in rows
    ]
