"""A group of read models in PostgreSQL that several processes fill by shares: rows and shares are saved together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.event_store import HEAD, stored
from core.adapters.postgres.lanes import opened_with
from core.adapters.postgres.queries.readers import progress_of
from core.adapters.postgres.read_models import set_aside
from core.adapters.postgres.read_models.comparison import differing
from core.adapters.postgres.read_models.revisions import go_on_with, sums_at
from core.adapters.postgres.read_models.store import (
    CLAIM,
    LOCK_SHARES,
    TAKE_SHARES,
    VIEW_TABLES,
    empty,
    truncate,
)
from core.adapters.postgres.read_models.table import SumTable, upsert
from core.codec import StoredEvent
from core.errors import CheckpointMoved, ShareLost
from core.ports.deliveries import TopicMark, TopicPlace
from core.ports.reading import FilledOtherwise, ReaderProgress
from core.ports.shared_models import SharedChanges, ShareState, Standing, StreamGap
from core.projections.projection import Group, Sum

RELAY = "relay"  # the reader that says up to where the log is in Kafka

log = structlog.get_logger(__name__)

# Whoever fills the group from the log at present, by shares of the whole projector.
FROM_LOG = """
SELECT owner FROM reader_shares WHERE lease_until > clock_timestamp() AND reader = split_part($1, '.', 1) LIMIT 1
"""
SHARES = """
SELECT share, position, offsets, epoch, saves, lease_until > clock_timestamp() AS live
  FROM reader_shares WHERE reader = $1 ORDER BY share
"""
# What was read from the log since is in the tables too.
CATCH_UP = """
UPDATE reader_shares s SET position = c.position
  FROM checkpoints c WHERE s.reader = $1 AND c.reader = $1 AND s.position < c.position
"""
REVISION = "SELECT revision FROM checkpoints WHERE reader = $1"
HEAD_AND_RELAY = """
SELECT (SELECT coalesce(max(position), 0) FROM events) AS head,
       coalesce((SELECT position FROM checkpoints WHERE reader = $1), 0) AS relayed
"""
KNOWN_MARKS = """
SELECT count(*) FROM unnest($1::bigint[], $2::uuid[]) AS k(position, event_id) JOIN events e USING (position, event_id)
"""
MISSING = """
SELECT e.* FROM unnest($1::uuid[], $2::int[], $3::int[]) AS gap(stream, after, before)
 CROSS JOIN LATERAL (SELECT * FROM events e
                      WHERE e.stream_id = gap.stream AND e.version > gap.after AND e.version < gap.before
                      ORDER BY e.version LIMIT $4) AS e
 LIMIT $4
"""

# A batch is one statement. `locked` has each share that is still ours by its epoch, and at the save that we know of. If
# one is missing, another process has it, or a save whose answer was lost has been done: then `moved` has no row, and
# nothing is saved. The lock of the first line is the one of keep_shares, which locks rows in an order of its own.
SAVE = """
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(hashtext('reader_shares'), hashtext($1))
), locked AS MATERIALIZED (
    SELECT s.share, w.offsets
      FROM turn CROSS JOIN unnest($2::int[], $3::bigint[], $4::bigint[], $5::text[]) AS w(share, epoch, saves, offsets)
      JOIN reader_shares s ON s.reader = $1 AND s.share = w.share AND s.epoch = w.epoch AND s.saves = w.saves
     ORDER BY s.share FOR UPDATE OF s
), moved AS MATERIALIZED (
    SELECT count(*) FROM locked HAVING count(*) = cardinality($2)
), marked AS (
    UPDATE reader_shares s SET offsets = l.offsets::jsonb, saves = s.saves + 1, updated_at = clock_timestamp()
      FROM locked l CROSS JOIN moved WHERE s.reader = $1 AND s.share = l.share
){saved}
SELECT pg_notify('views', '') FROM moved
"""
# Its commit does not wait for the disk, since saves wait for its locks. A share of which the database has fewer saves
# than were done is left out: it has crashed and lost the last ones, and nobody would make them again.
REACH = """
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(hashtext('reader_shares'), hashtext($1)),
           set_config('synchronous_commit', 'off', true)
), locked AS MATERIALIZED (
    SELECT s.share, w.position
      FROM turn
     CROSS JOIN unnest($2::int[], $3::bigint[], $4::bigint[], $5::bigint[]) AS w(share, epoch, saves, position)
      JOIN reader_shares s ON s.reader = $1 AND s.share = w.share AND s.epoch = w.epoch AND s.saves >= w.saves
     ORDER BY s.share FOR UPDATE OF s
), moved AS (
    UPDATE reader_shares s SET position = l.position, updated_at = clock_timestamp()
      FROM locked l WHERE s.reader = $1 AND s.share = l.share AND s.position < l.position
)
SELECT share FROM locked
"""
# Statements of their own: of processes that reach a position at the same time, the last one sees what all have reached.
# The lock comes first: a statement that waits would still save what was the lowest before, although another process may
# have begun to fill the tables anew meanwhile, of which the positions of before say nothing.
# The row is always updated, so that the commit waits until the disk has it and every save and position before it.
OUR_TURN = "SELECT FROM checkpoints WHERE reader = $1 FOR UPDATE"
LOWEST = """
WITH moved AS (
    UPDATE checkpoints c SET position = lowest.position, updated_at = clock_timestamp()
      FROM (SELECT min(position) AS position FROM reader_shares WHERE reader = $1) AS lowest
     WHERE c.reader = $1 AND c.position <= lowest.position
    RETURNING c.position
)
SELECT pg_notify('views', position::text) FROM moved
"""


class SavedMark(msgspec.Struct, frozen=True, array_like=True):
    """A mark as a share's offsets hold it."""

    topic: str
    partition: int
    mark: TopicMark


_marks = msgspec.json.Decoder(list[SavedMark])


class PostgresSharedReadModels(set_aside.ReadsRows):
    """See `core.ports.shared_models.SharedReadModels`."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]], group: Group[Any]) -> None:
        self._group, self._reader = group, group.reader
        self._views = VIEW_TABLES[group.projection.name]
        # A plan that was made while a table was small would read all of it again and again when it has grown.
        self._loader = Link(lambda: opened_with(open_, "plan_cache_mode = force_custom_plan"))
        self._checker = Link(lambda: opened_with(open_, "plan_cache_mode = force_custom_plan"))
        self._watcher = Link(open_)
        # A commit need not wait for the disk: if it is lost, its rows and its shares are lost together, and the log
        # still has the events.
        self._saver = Link(lambda: opened_with(open_, "synchronous_commit = off"))
        self._revision = group.revision
        self._fill(group.sums)

    def _fill(self, sums: Sequence[Sum[Any, Any, Any]]) -> None:
        self._sums = [SumTable(one) for one in sums]
        # PostgreSQL runs these from the last to the first. So the rows of sums, which others save too, are locked last.
        saved, first = "", 6
        for table in (*self._sums, self._views):
            saved += f", {table.name}_saved AS ({upsert(table, first)})"
            first += table.source.count("{}")
        self._save = SAVE.replace("{saved}", saved)
        self._park = SAVE.replace("{saved}", saved + set_aside.parking(first))

    async def open(self) -> None:
        reader, revision = self._group.reader, self._group.revision

        async def claim(connection: Connection) -> str:
            async with connection.transaction():
                row = await connection.fetchrow(CLAIM, reader, revision)
                assert row is not None  # noqa: S101 - RETURNING
                if (owner := await connection.fetchval(FROM_LOG, reader)) is not None:
                    raise FilledOtherwise(self._group.name, owner, "from the log")
                shares = await connection.fetch(SHARES, reader)
                positions = [row["position"], *(share["position"] for share in shares)]
                older = max(positions) > await connection.fetchval(HEAD) or await _foreign_marks(connection, shares)
                if older:
                    log.warning("an older log was put in place, the read models are filled again", reader=reader)
                begun = any(positions) or any(share["saves"] or share["live"] for share in shares)
                kept = begun and not older
                if kept:
                    await go_on_with(connection, self._group, row["revision"])
                else:
                    await truncate(connection, self._group)
                await connection.execute(LOCK_SHARES, reader)
                if kept:
                    await connection.execute(CATCH_UP, reader)
                else:
                    await connection.execute(TAKE_SHARES, reader)
                    await empty(connection, self._group)
                return row["revision"] if kept else revision

        self._revision = await self._watcher.run(claim)
        self._fill(sums_at(self._group, self._revision))

    async def take(self, held: Mapping[int, int]) -> tuple[Mapping[int, ShareState], int]:
        async def read(connection: Connection) -> tuple[Mapping[int, ShareState], int]:
            shares = {share["share"]: share for share in await connection.fetch(SHARES, self._group.reader)}
            lost = {n for n, epoch in held.items() if n not in shares or shares[n]["epoch"] != epoch}
            if lost:
                raise ShareLost(self._group.reader, tuple(sorted(lost)))
            if await connection.fetchval(REVISION, self._group.reader) != self._revision:
                raise CheckpointMoved(self._group.reader, min(shares[n]["position"] for n in held))
            row = await connection.fetchrow(HEAD_AND_RELAY, RELAY)
            assert row is not None  # noqa: S101 - it has no condition
            states = {
                n: ShareState(shares[n]["position"], shares[n]["saves"], marks_of(shares[n]["offsets"])) for n in held
            }
            return states, row["head"]

        return await self._watcher.run(read)

    async def missing(self, gaps: Sequence[StreamGap], *, limit: int) -> Sequence[StoredEvent]:
        values = [list(column) for column in zip(*gaps, strict=True)]
        rows = await self._loader.run(lambda connection: connection.fetch(MISSING, *values, limit))
        return [stored(row) for row in rows]

    async def differing(self, events: Sequence[StoredEvent]) -> Mapping[int, StoredEvent | None]:
        return await self._checker.run(lambda connection: differing(connection, events))

    async def save(self, changes: SharedChanges) -> None:
        shares = changes.shares
        values = [
            list(shares),
            [share.epoch for share in shares.values()],
            [share.saves for share in shares.values()],
            [json_of(share.marks) for share in shares.values()],
        ]
        for table in self._sums:
            values += table.parameters(changes.sums.get(table.name, {}))
        values += self._views.parameters(changes.views)
        statement = self._save
        if changes.parked or changes.freed:
            statement = self._park
            values += set_aside.parameters(self._group.reader, changes.parked, changes.freed)
        row = await self._saver.once(lambda connection: connection.fetchrow(statement, self._group.reader, *values))
        if row is None:
            raise ShareLost(self._group.reader, tuple(shares))

    async def reach(self, positions: Mapping[int, int], epochs: Mapping[int, int], saves: Mapping[int, int]) -> None:
        shares = list(positions)

        async def both(connection: Connection) -> None:
            known = [epochs[number] for number in shares], [saves[number] for number in shares]
            rows = await connection.fetch(REACH, self._group.reader, shares, *known, list(positions.values()))
            if lost := set(shares) - {row["share"] for row in rows}:
                raise ShareLost(self._group.reader, tuple(sorted(lost)))
            async with connection.transaction():
                await connection.execute(OUR_TURN, self._group.reader)
                await connection.fetch(LOWEST, self._group.reader)

        await self._watcher.run(both)

    async def standing(self) -> Standing:
        row = await self._watcher.run(lambda connection: connection.fetchrow(HEAD_AND_RELAY, RELAY))
        assert row is not None  # noqa: S101 - it has no condition
        return Standing(row["head"], min(row["head"], row["relayed"]))

    async def progress(self) -> ReaderProgress | None:
        return await self._watcher.run(lambda c: progress_of(c, self._group.reader))

    def close(self) -> None:
        for link in (self._loader, self._checker, self._watcher, self._saver):
            link.close()


async def _foreign_marks(connection: Connection, shares: Sequence[Any]) -> bool:
    """Whether the log lacks an event that was read before one of the marks."""
    marks = [mark for share in shares for mark in marks_of(share["offsets"]).values() if mark.event_id is not None]
    positions, ids = [mark.position for mark in marks], [mark.event_id for mark in marks]
    return await connection.fetchval(KNOWN_MARKS, positions, ids) < len(marks)


def marks_of(offsets: str) -> Mapping[TopicPlace, TopicMark]:
    """The marks in a share's column `offsets`, which is {} at first."""
    return {TopicPlace(one.topic, one.partition): one.mark for one in _marks.decode(offsets)} if offsets != "{}" else {}


def json_of(marks: Mapping[TopicPlace, TopicMark]) -> str:
    return msgspec.json.encode([SavedMark(*place, mark) for place, mark in marks.items()]).decode()
