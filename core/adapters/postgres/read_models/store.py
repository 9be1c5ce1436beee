"""A group of read models in PostgreSQL. It saves the changes of a batch together with its last position, or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from msgspec.structs import replace

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.event_store import HEAD
from core.adapters.postgres.lanes import opened_with
from core.adapters.postgres.queries.readers import progress_of
from core.adapters.postgres.read_models import inventory_levels, order_views, set_aside
from core.adapters.postgres.read_models.revisions import go_on_with, sums_at
from core.adapters.postgres.read_models.table import DocumentTable, SumTable, Table, ViewTable, insert, upsert
from core.adapters.postgres.read_models.written import NULL
from core.errors import CheckpointMoved, LogShorter, Unavailable
from core.ports.dead_letters import Aside
from core.ports.generations import GenerationGone
from core.ports.reading import Changes, FilledOtherwise, Opened, ReaderProgress, RowShare
from core.projections.inventory_level import INVENTORY_LEVEL
from core.projections.order_view import ORDER_VIEW
from core.projections.projection import Group, Sum

log = structlog.get_logger(__name__)

# The head of the log is read after it, by a statement of its own: while a claim waits for its row, the log grows, and
# whoever has the row reads on. By the head of before, the log would seem to be shorter than what was read of it.
CLAIM = """
INSERT INTO checkpoints (reader, position, revision, epoch) VALUES ($1, 0, $2, 1)
    ON CONFLICT (reader) DO UPDATE SET epoch = checkpoints.epoch + 1
RETURNING position, revision, epoch
"""
# One that has never been read has nothing after its position; one that was filled from Kafka may have.
CLAIM_GENERATION = """
UPDATE checkpoints c SET epoch = c.epoch + 1
  FROM generations g WHERE g.id = $2 AND c.reader = $1
RETURNING c.position, c.revision, c.epoch, g.ended_at IS NOT NULL AS was_live,
          EXISTS (SELECT FROM unnest($3::text[]) AS s(name)
                   WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = s.name::regclass AND i.indisprimary))
              AS adds_later
"""
RESTART = "UPDATE checkpoints SET position = 0, revision = $2, updated_at = clock_timestamp() WHERE reader = $1"

# Whoever fills the group from Kafka at present.
BY_SHARES = "SELECT owner FROM reader_shares WHERE reader = $1 AND lease_until > clock_timestamp() LIMIT 1"
# The lock of keep_shares, which locks rows in an order of its own.
LOCK_SHARES = "SELECT pg_advisory_xact_lock(hashtext('reader_shares'), hashtext($1))"
# Whoever filled the group from Kafka before can save nothing any more.
TAKE_SHARES = "UPDATE reader_shares SET epoch = epoch + 1, owner = NULL, lease_until = '-infinity' WHERE reader = $1"
EMPTY_SHARES = "UPDATE reader_shares SET position = 0, offsets = '{}' WHERE reader = $1"

# A batch is one statement, so it takes one round trip, and the server works on it while the projector folds the next.
# `moved` has no row if the reader is not at the position $2, or another process has opened the read models since: this
# one was frozen or cut off for a while. Then nothing is saved. All rows to save are joined to `moved`, so the
# checkpoint is locked before any other row, and only one of two projectors can save.
SAVE = """
WITH moved AS (
    UPDATE checkpoints SET position = $3, updated_at = clock_timestamp()
     WHERE reader = $1 AND position = $2 AND epoch = $4
    RETURNING position
){saved}
SELECT pg_notify('views', position::text) FROM moved
"""

Saving = Callable[[Connection], Awaitable[Any]]
"""Saves changes, and answers None if it may not."""

VIEW_TABLES: Mapping[str, ViewTable | DocumentTable] = {
    ORDER_VIEW.name: order_views.TABLE,
    INVENTORY_LEVEL.name: inventory_levels.TABLE,
}


class PostgresReadModels(set_aside.ReadsRows):
    """See `core.ports.reading.ReadModels`.

    With a `generation`, the connections have to be opened in it, and its reader is not the one of the live tables. Each
    `share` of its rows has a checkpoint of its own.
    """

    def __init__(
        self,
        open_: Callable[[], Awaitable[Connection]],
        group: Group[Any],
        generation: int | None = None,
        share: RowShare | None = None,
    ) -> None:
        self._group = group
        self._generation = generation
        self._share = share
        self._reader = group.reader if generation is None else f"{group.reader}@{generation}"
        self._checkpoint = self._reader if share is None else f"{self._reader}@{share.number}"
        self._views = VIEW_TABLES[group.projection.name]
        self._move = _save_statement([])  # for a batch that changes nothing in the group
        self._fill(group.sums)
        self._epoch = 0
        self._loader = Link(open_)
        # A commit need not wait for the disk: if it is lost, its rows and its checkpoint are lost together, and the log
        # still has the events.
        self._saver = Link(lambda: opened_with(open_, "synchronous_commit = off"))

    def _fill(self, sums: Sequence[Sum[Any, Any, Any]], *, adds_later: bool = False) -> None:
        """Save to these sums. `adds_later`: their tables have no keys yet, and the rows are added up at the end."""
        self._sums = [SumTable(one) for one in sums]
        save = insert if adds_later else upsert
        tables = [(self._views, upsert), *((table, save) for table in self._sums)]
        self._save = _save_statement(tables)
        self._park = _save_statement(tables, parks=True)
        self._copies = adds_later

    async def open(self) -> Opened:
        return await self._saver.run(self._open_live if self._generation is None else self._open_generation)

    async def _open_live(self, connection: Connection) -> Opened:
        reader, revision = self._group.reader, self._group.revision
        async with connection.transaction():
            row = await connection.fetchrow(CLAIM, reader, revision)
            assert row is not None  # noqa: S101 - RETURNING
            if (owner := await connection.fetchval(BY_SHARES, reader)) is not None:
                raise FilledOtherwise(self._group.name, owner, "from Kafka")
            head = await connection.fetchval(HEAD)
            kept = 0 < row["position"] <= head
            if kept:
                await go_on_with(connection, self._group, row["revision"])
            else:
                if row["position"]:
                    log.warning("an older log was put in place, the read models are filled again", reader=reader)
                await truncate(connection, self._group)
            await connection.execute(LOCK_SHARES, reader)
            await connection.execute(TAKE_SHARES, reader)
            if not kept:
                await empty(connection, self._group)
        self._fill(sums_at(self._group, row["revision"]) if kept else self._group.sums)
        self._epoch = row["epoch"]
        return Opened(row["position"], head, self._epoch) if kept else Opened(0, 0, self._epoch)

    async def _open_generation(self, connection: Connection) -> Opened:
        names = [one.name for one in self._group.sums]
        row = await connection.fetchrow(CLAIM_GENERATION, self._checkpoint, self._generation, names)
        if row is None:
            raise GenerationGone(self._generation or 0)
        head = await connection.fetchval(HEAD)
        if row["position"] > head:
            raise LogShorter(row["position"], head)
        self._fill(sums_at(self._group, row["revision"]), adds_later=row["adds_later"])
        self._epoch = row["epoch"]
        return Opened(row["position"], head if row["was_live"] else row["position"], self._epoch)

    async def save(self, changes: Changes) -> None:
        if self._share is not None and changes.parked:
            parked = await self._loader.run(lambda c: set_aside.with_their_events(c, changes.parked))
            changes = replace(changes, parked=parked)
        parks = bool(changes.parked or changes.freed)
        saving = self._copied(changes) if self._copies and not parks else self._in_one_statement(changes, parks=parks)
        if await self._saver.once(saving) is None:
            raise CheckpointMoved(self._reader, changes.after)

    def _in_one_statement(self, changes: Changes, *, parks: bool) -> Saving:
        statement, values = self._move, []
        if parks or changes.views or any(changes.sums.values()):
            statement, values = self._park if parks else self._save, self._views.parameters(changes.views)
            for table in self._sums:
                values += table.parameters(changes.sums.get(table.name, {}))
        if parks:
            values += set_aside.parameters(self._reader, changes.parked, changes.freed)
        moves = (self._checkpoint, changes.after, changes.position, self._epoch)
        return lambda connection: connection.fetchrow(statement, *moves, *values)

    def _copied(self, changes: Changes) -> Saving:
        """The same for tables that are filled for the first time, most of whose rows are new, with a third less work.

        The tables are locked before the checkpoint, as by the one statement.
        """
        new, older = changes.views[: changes.new], changes.views[changes.new :]
        copies: list[tuple[Table, bytes]] = [(self._views, self._views.copied(new))] if new else []
        copies += [(table, table.copied(rows)) for table in self._sums if (rows := changes.sums.get(table.name))]
        update, values = f"WITH moved AS (SELECT) {upsert(self._views, 1)}", self._views.parameters(older)
        lock = f"LOCK TABLE {', '.join(model.name for model in self._group.models)} IN ROW EXCLUSIVE MODE"
        moves = (self._checkpoint, changes.after, changes.position, self._epoch)

        async def save(connection: Connection) -> Any:
            async with connection.transaction():
                await connection.execute(lock)
                if (moved := await connection.fetchrow(self._move, *moves)) is None:
                    return None
                for table, text in copies:
                    how = {"columns": list(table.columns), "format": "text", "null": NULL}
                    await connection.copy_to_table(table.name, source=memoryview(text), **how)
                if older:
                    await connection.execute(update, *values)
            return moved

        return save

    async def aside(self) -> Aside:
        blocked, skipped = await super().aside()
        if self._share is not None:
            blocked = {row: event for row, event in blocked.items() if self._share.has(row)}
        return Aside(blocked, skipped)

    async def progress(self) -> ReaderProgress | None:
        return await self._loader.run(lambda c: progress_of(c, self._reader))

    def close(self) -> None:
        self._loader.close()
        self._saver.close()


async def truncate(connection: Connection, group: Group[Any]) -> None:
    """Empty the tables, before LOCK_SHARES: a save that waits for that lock has its locks on the tables.

    Tables without rows are not locked. Another process that saves has its locks on them, and waits for the checkpoint
    that we have locked: it would wait for us, and we for it.
    """
    if await _has_rows(connection, group):
        await connection.execute(f"TRUNCATE {', '.join(model.name for model in group.models)}")


async def empty(connection: Connection, group: Group[Any]) -> None:
    """Begin anew: nothing was read. Raises Unavailable if another process has saved since `truncate`."""
    if await _has_rows(connection, group):
        raise Unavailable(f"another process fills the read models of {group.name}; try again")
    await connection.execute(RESTART, group.reader, group.revision)
    await connection.execute(set_aside.EMPTY, group.reader)
    await connection.execute(EMPTY_SHARES, group.reader)


async def _has_rows(connection: Connection, group: Group[Any]) -> bool:
    tables = " UNION ALL ".join(f"(SELECT true FROM {model.name} LIMIT 1)" for model in group.models)
    return bool(await connection.fetchval(f"SELECT EXISTS ({tables})"))


def _save_statement(tables: Sequence[tuple[Table, Callable[[Table, int], str]]], *, parks: bool = False) -> str:
    saved, first = "", 5  # after the reader, its two positions and its epoch
    for table, save in tables:
        saved += f", {table.name}_saved AS ({save(table, first)})"
        first += table.source.count("{}")
    return SAVE.replace("{saved}", saved + set_aside.parking(first) if parks else saved)
