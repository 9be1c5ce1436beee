"""The Inspection port: streams are found by steps along the index on their ids, so that no list reads the whole log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.inspection.found_events import find_events
from core.ports.inspection import (
    Checkpoint,
    EventPage,
    EventSearch,
    HeldShare,
    SnapshotRow,
    SnapshotRows,
    SnapshotSearch,
    StreamRow,
    StreamRows,
    StreamSearch,
)
from core.projections import GROUPS

STREAMS_LOOKED_AT = 2_000  # streams that one page of those of some categories looks at: some 40 ms
SHOWN_OF_HASH = 12  # letters
PLANS = "enable_seqscan = off; SET enable_bitmapscan = off"
"""Every list here is a walk along an index. While a table is small or new, PostgreSQL would rather read all of it."""

WALK = """
WITH RECURSIVE walk(id, n) AS (
    SELECT (SELECT e.stream_id FROM events e WHERE e.stream_id >= $1 AND e.stream_id <= $2
             ORDER BY e.stream_id, e.version LIMIT 1), 1
     UNION ALL
    SELECT (SELECT e.stream_id FROM events e WHERE e.stream_id > w.id AND e.stream_id <= $2
             ORDER BY e.stream_id, e.version LIMIT 1), w.n + 1
      FROM walk w WHERE w.id IS NOT NULL AND w.n < $3
)
SELECT w.id, e.category FROM walk w JOIN events e ON e.stream_id = w.id AND e.version = 1 ORDER BY w.n
"""
STREAMS = """
SELECT w.id AS stream_id, f.category, l.version, f.position AS first_position, f.recorded_at AS first_at,
       l.position AS last_position, l.recorded_at AS last_at, l.event_type AS last_type, s.version AS snapshot_version
  FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, n)
  JOIN events f ON f.stream_id = w.id AND f.version = 1
 CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.stream_id = w.id ORDER BY e.version DESC LIMIT 1) AS l
  LEFT JOIN snapshots s ON s.stream_id = w.id
 ORDER BY w.n
"""
CHECKPOINTS = """
SELECT c.reader, split_part(c.reader, '@', 1) AS of_tables, c.revision, c.position, c.epoch, c.updated_at AS saved_at,
       coalesce(nullif(split_part(c.reader, '@', 2), '')::bigint,
                (SELECT g.id FROM generations g WHERE g.reader = c.reader AND g.state = 'live')) AS generation,
       greatest(least(h.head, coalesce(filled.end_position, h.head)) - c.position, 0) AS lag_events,
       CASE WHEN c.position < coalesce(filled.end_position, h.head) AND e.recorded_at IS NOT NULL
            THEN greatest(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)::float8 ELSE 0 END AS lag_seconds
  FROM checkpoints c
 CROSS JOIN (SELECT coalesce(max(position), 0) AS head FROM events) AS h
  LEFT JOIN events e ON e.position = c.position + 1
  LEFT JOIN generations filled ON filled.id::text = split_part(c.reader, '@', 2)
 ORDER BY c.reader
"""
SHARES = """
SELECT reader, share, position, epoch,
       CASE WHEN lease_until > clock_timestamp() THEN owner END AS owner,
       CASE WHEN lease_until > clock_timestamp() AND owner IS NOT NULL THEN lease_until END AS lease_until
  FROM reader_shares ORDER BY reader, share
"""
SNAPSHOTS = f"""
SELECT s.stream_id, s.category, s.version, s.taken_at, octet_length(s.state) AS bytes,
       left(encode(s.schema_hash, 'hex'), {SHOWN_OF_HASH}) AS schema,
       coalesce((SELECT e.version FROM events e WHERE e.stream_id = s.stream_id
                  ORDER BY e.version DESC LIMIT 1), 0) - s.version AS behind
  FROM snapshots s WHERE s.stream_id >= $1 AND s.stream_id <= $2 ORDER BY s.stream_id LIMIT $3
"""


class PostgresInspection:
    """See `core.ports.inspection.Inspection`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def events(self, search: EventSearch) -> EventPage:
        return await self._link.run(lambda c: find_events(c, search))

    async def streams(self, search: StreamSearch) -> StreamRows:
        looked_at = STREAMS_LOOKED_AT if search.categories else search.limit

        async def read(connection: Connection) -> StreamRows:
            walked = await connection.fetch(WALK, search.first, search.last, looked_at)
            fitting = [row["id"] for row in walked if not search.categories or row["category"] in search.categories]
            ids = fitting[: search.limit]
            more = len(fitting) > search.limit or len(walked) == looked_at
            last = ids[-1] if len(ids) == search.limit else walked[-1]["id"] if walked else None
            return StreamRows(streams=await _streams(connection, ids), next_after=last if more else None)

        return await self._link.run(read)

    async def stream(self, stream_id: UUID) -> StreamRow | None:
        found = await self._link.run(lambda c: _streams(c, [stream_id]))
        return found[0] if found else None

    async def checkpoints(self) -> Sequence[Checkpoint]:
        groups = {group.reader for group in GROUPS}

        async def read(connection: Connection) -> Sequence[Checkpoint]:
            shares: dict[str, list[HeldShare]] = {}
            for row in await connection.fetch(SHARES):
                share = _known(row)
                shares.setdefault(share.pop("reader"), []).append(HeldShare(**share))
            found: list[Checkpoint] = []
            for row in await connection.fetch(CHECKPOINTS):
                known = _known(row)
                tables = known.pop("of_tables")
                known["group"] = tables.rpartition(".")[2] if tables in groups else None
                known["shares"] = shares.get(known["reader"], [])
                found.append(Checkpoint(**known))
            return found

        return await self._link.run(read)

    async def snapshots(self, search: SnapshotSearch) -> SnapshotRows:
        rows = await self._link.run(lambda c: c.fetch(SNAPSHOTS, search.first, search.last, search.limit))
        found = [SnapshotRow(**_known(row)) for row in rows]
        return SnapshotRows(snapshots=found, next_after=found[-1].stream_id if len(found) == search.limit else None)


async def _streams(connection: Connection, ids: Sequence[UUID]) -> Sequence[StreamRow]:
    return [StreamRow(**_known(row)) for row in await connection.fetch(STREAMS, list(ids))]


def _known(row: Any) -> dict[str, Any]:
    return {**row}
