"""Shares of readers in PostgreSQL: who holds which, by the clock of the database, and how far each has been done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import msgspec

from core.adapters.postgres.connection import Connection, Link
from core.errors import ShareLost, SharesDivided
from core.ports.shares import Share

KEEP = "SELECT share, epoch, divided_by FROM keep_shares($1, $2, $3, $4)"
OWNERS = """
SELECT owner FROM reader_members WHERE reader = $1
 UNION
SELECT owner FROM reader_shares WHERE reader = $1 AND owner IS NOT NULL
"""
LEAVE = """
WITH gone AS (DELETE FROM reader_members WHERE reader = $1 AND owner = ANY ($2))
UPDATE reader_shares SET owner = NULL, lease_until = '-infinity' WHERE reader = $1 AND owner = ANY ($2)
"""
READ = """
SELECT reader, share, position, offsets, epoch, saves,
       CASE WHEN lease_until > clock_timestamp() THEN owner END AS owner,
       CASE WHEN lease_until > clock_timestamp() THEN lease_until END AS lease_until
  FROM reader_shares WHERE $1 IN ('', reader) ORDER BY reader, share
"""
REACH = "SELECT share FROM reach_shares($1, $2, $3, $4) AS share"
# The lock of keep_shares first, by a statement of its own: by a head that was read before a wait, the log would seem to
# be shorter than what others have read of it meanwhile.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('reader_shares'), hashtext($1))"
REWIND = """
WITH head AS (SELECT coalesce(max(position), 0) AS position FROM events),
     moved AS (UPDATE reader_shares s SET position = 0 FROM head h WHERE s.reader = $1 AND s.position > h.position)
UPDATE checkpoints c SET position = 0 FROM head h WHERE c.reader = $1 AND c.position > h.position
"""
START_OVER = """
WITH moved AS (
    UPDATE reader_shares s SET position = 0
      FROM unnest($2::int[], $3::bigint[]) AS w(share, epoch)
     WHERE s.reader = $1 AND s.share = w.share AND s.epoch = w.epoch
    RETURNING s.share
), saved AS (
    UPDATE checkpoints c SET position = 0, updated_at = clock_timestamp()
     WHERE c.reader = $1 AND EXISTS (SELECT FROM moved)
)
SELECT share FROM moved
"""


class PostgresShares:
    """See `core.ports.shares.Shares`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def keep(self, reader: str, owner: str, *, count: int, lease: timedelta) -> Mapping[int, int]:
        rows = await self._link.run(lambda c: c.fetch(KEEP, reader, owner, count, lease))
        if rows and rows[0]["divided_by"] is not None:
            raise SharesDivided(reader, count, rows[0]["divided_by"])
        return {row["share"]: row["epoch"] for row in rows}

    async def owners(self, reader: str) -> Collection[str]:
        return [row["owner"] for row in await self._link.run(lambda c: c.fetch(OWNERS, reader))]

    async def leave(self, reader: str, owners: Collection[str]) -> None:
        await self._link.run(lambda c: c.execute(LEAVE, reader, list(owners)))

    async def read(self, reader: str = "") -> Sequence[Share]:
        rows = await self._link.run(lambda c: c.fetch(READ, reader))
        return [
            Share(
                reader=row["reader"],
                number=row["share"],
                position=row["position"],
                offsets=msgspec.json.decode(row["offsets"]),
                owner=row["owner"],
                epoch=row["epoch"],
                lease_until=row["lease_until"],
                saves=row["saves"],
            )
            for row in rows
        ]

    async def reach(self, reader: str, positions: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        shares = list(positions)
        rows = await self._link.run(
            lambda c: c.fetch(REACH, reader, shares, [epochs[n] for n in shares], list(positions.values()))
        )
        if lost := set(shares) - {row["share"] for row in rows}:
            raise ShareLost(reader, tuple(sorted(lost)))

    async def rewind(self, reader: str) -> None:
        async def rewind(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(LOCK, reader)
                await connection.execute(REWIND, reader)

        await self._link.run(rewind)

    async def start_over(self, reader: str, epochs: Mapping[int, int]) -> None:
        rows = await self._link.run(lambda c: c.fetch(START_OVER, reader, list(epochs), list(epochs.values())))
        if lost := set(epochs) - {row["share"] for row in rows}:
            raise ShareLost(reader, tuple(sorted(lost)))
