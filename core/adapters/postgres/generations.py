"""Generations of read models in PostgreSQL: each has its tables in a schema of its own, see migrations/."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.lanes import opened_with
from core.errors import Unavailable
from core.ports.generations import UNFINISHED, Generation, GenerationGone, NewGeneration, State
from core.projections.projection import Group

COLUMNS = """
SELECT g.id, g.reader, g.revision, g.purpose, g.state, g.end_position, g.max_rate, g.check_all,
       g.requested_by, g.requested_at, g.started_at, g.ended_at, g.keep_until, g.rate, g.note,
       coalesce((SELECT min(c.position) FROM checkpoints c
                  WHERE c.reader = g.reader || CASE g.state WHEN 'live' THEN '' ELSE '@' || g.id END
                     OR starts_with(c.reader, g.reader || '@' || g.id || '@')), 0) AS position,
       coalesce((SELECT max(e.position) FROM events e), 0) AS head
"""
READ = f"{COLUMNS} FROM generations g WHERE g.id = $1"
NEWEST = f"{COLUMNS} FROM generations g ORDER BY g.id DESC LIMIT $1"
TO_BUILD = f"""
{COLUMNS} FROM generations g WHERE g.state IN ({", ".join(f"'{state}'" for state in UNFINISHED)}) ORDER BY g.id
"""  # with their list as a parameter, PostgreSQL would plan it anew each time, which takes a millisecond
# Of two requests at the same time, one finds the row of the other.
REQUEST = """
INSERT INTO generations (reader, tables, revision, purpose, end_position, max_rate, check_all, command_id, requested_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT DO NOTHING
RETURNING id
"""
OTHER = """
SELECT id FROM generations
 WHERE command_id = $3 OR (reader = $1 AND purpose = 'rebuild' AND state = ANY ($2))
 ORDER BY (command_id = $3) IS TRUE DESC LIMIT 1
"""
CANCEL = """
UPDATE generations
   SET state = CASE WHEN ended_at IS NULL THEN 'cancelled' ELSE 'kept' END,
       keep_until = CASE WHEN ended_at IS NOT NULL THEN clock_timestamp() + interval '24 hours' END, note = '', rate = 0
 WHERE reader = $1 AND purpose = 'rebuild' AND state = ANY ($2)
RETURNING id
"""
SWITCH_BACK = """
UPDATE generations g SET state = 'switching', keep_until = NULL
 WHERE g.id = (SELECT k.id FROM generations k WHERE k.reader = $1 AND k.state = 'kept'
                ORDER BY k.keep_until DESC LIMIT 1)
RETURNING id
"""
FORGET = "UPDATE generations SET keep_until = clock_timestamp() WHERE reader = $1 AND state = 'kept' RETURNING id"
# Once it is indexed, a builder that still fills it can save nothing more: of two, one was frozen for a while. The sums
# are added up at that time, and what is saved meanwhile would be lost.
MOVE = """
WITH moved AS (
    UPDATE generations SET state = $3, note = '' WHERE id = $1 AND state = $2 RETURNING id, reader
), fenced AS (
    UPDATE checkpoints c SET epoch = c.epoch + 1
      FROM moved m WHERE c.reader = m.reader || '@' || m.id AND $3 = 'indexing'
)
SELECT id FROM moved
"""
LACKS = """
SELECT EXISTS (SELECT FROM checkpoints c JOIN generations g ON c.reader = g.reader || '@' || g.id || '@' || $2::int
                WHERE g.id = $1 AND c.position < $3)
"""
INDEX_READY = "SELECT index_ready_generations($1, $2) AS id"
TELL = "UPDATE generations SET rate = $2, note = $3 WHERE id = $1 AND state = ANY ($4)"
# Of each reader, only what was read last before is kept.
EXPIRED = """
SELECT id FROM generations g
 WHERE keep_until < clock_timestamp() AND state IN ('kept', 'ready')
    OR state = 'kept' AND EXISTS (SELECT FROM generations newer WHERE newer.reader = g.reader AND newer.state = 'kept'
                                     AND newer.keep_until > g.keep_until)
    OR state IN ('cancelled', 'failed') AND to_regnamespace(quote_ident(place_of_generation(id))) IS NOT NULL
 ORDER BY id
"""
# Names are looked up in its schema first, and then in those of everybody.
ENTER = """
SELECT set_config('search_path', quote_ident(place_of_generation($1)) || ', ' || current_setting('search_path'), false)
  FROM generations g
 WHERE g.id = $1 AND to_regnamespace(quote_ident(place_of_generation($1))) IS NOT NULL
"""

AT_ONCE = 2  # connections that index a generation
# Each makes an index by itself. A commit need not wait for the disk: the one that ends the state comes after them.
WHILE_INDEXING = ("max_parallel_maintenance_workers = 0", "synchronous_commit = off")


class PostgresGenerations:
    """See `core.ports.generations.Generations`. `open_` opens connections on which a statement may take minutes."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._open = open_
        self._link = Link(open_)  # for what is quick
        self._working = Link(open_)  # for what takes long

    async def request(self, group: Group[Any], wanted: NewGeneration) -> Generation:
        values = (wanted.purpose, wanted.end_position, wanted.max_rate, wanted.check_all, wanted.command_id)
        tables = [model.name for model in group.models]  # in the order in which saves and reads lock them

        async def insert(connection: Connection) -> Generation:
            id_ = await connection.fetchval(
                REQUEST, group.reader, tables, group.revision, *values, wanted.requested_by
            ) or await connection.fetchval(OTHER, group.reader, list(UNFINISHED), wanted.command_id)
            if id_ is None:
                raise Unavailable("the rebuild that was under way has ended at this moment")
            return _generation(await connection.fetchrow(READ, id_))

        return await self._link.once(insert)

    async def cancel(self, reader: str) -> bool:
        return await self._link.run(lambda c: c.fetchval(CANCEL, reader, list(UNFINISHED))) is not None

    async def switch_back(self, reader: str) -> bool:
        async def ask(connection: Connection) -> bool:
            try:
                return await connection.fetchval(SWITCH_BACK, reader) is not None
            except asyncpg.UniqueViolationError:
                return False

        return await self._link.run(ask)

    async def forget_kept(self, reader: str) -> bool:
        return await self._link.run(lambda c: c.fetchval(FORGET, reader)) is not None

    async def read(self, id_: int) -> Generation | None:
        row = await self._link.run(lambda c: c.fetchrow(READ, id_))
        return _generation(row) if row is not None else None

    async def newest(self, *, limit: int) -> Sequence[Generation]:
        return [_generation(row) for row in await self._link.run(lambda c: c.fetch(NEWEST, limit))]

    async def unfinished(self) -> Sequence[Generation]:
        return [_generation(row) for row in await self._link.run(lambda c: c.fetch(TO_BUILD))]

    async def make(self, id_: int) -> None:
        await self._working.run(lambda c: c.execute("SELECT make_generation($1)", id_))

    async def share(self, id_: int, shares: int, *, begin: bool = True) -> bool:
        return await self._link.run(lambda c: c.fetchval("SELECT share_generation($1, $2, $3)", id_, shares, begin))

    async def share_lacks_events(self, id_: int, share: int, upto: int) -> bool:
        return await self._link.run(lambda c: c.fetchval(LACKS, id_, share, upto))

    async def join(self, id_: int, upto: int) -> bool:
        return await self._link.run(lambda c: c.fetchval("SELECT join_generation($1, $2)", id_, upto))

    async def index_ready(self, group: Group[Any]) -> Sequence[int]:
        rows = await self._link.run(lambda c: c.fetch(INDEX_READY, group.reader, group.revision))
        return [row["id"] for row in rows]

    async def index(self, id_: int) -> None:
        steps = deque(await self._link.run(lambda c: c.fetch("SELECT steps_of_generation($1)", id_)))

        async def work() -> None:
            link = Link(lambda: opened_with(self._open, *WHILE_INDEXING))
            try:
                while steps:
                    [step] = steps.popleft()
                    await link.run(lambda c, step=step: c.execute("SELECT make_step_of_generation($1, $2)", id_, step))
            finally:
                link.close()

        working = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*working)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def move(self, id_: int, before: State, after: State) -> None:
        if await self._link.once(lambda c: c.fetchval(MOVE, id_, before, after)) is None:
            raise GenerationGone(id_)

    async def tell(self, id_: int, *, rate: float, note: str) -> Generation | None:
        await self._link.run(lambda c: c.execute(TELL, id_, rate, note, list(UNFINISHED)))
        return await self.read(id_)

    async def switch(self, id_: int, *, within: timedelta, keep: timedelta) -> str:
        async def switch(connection: Connection) -> str:
            limit = f"{round(within.total_seconds() * 1000)}ms"
            await connection.fetchval("SELECT set_config('lock_timeout', $1, false)", limit)
            try:
                return await connection.fetchval("SELECT switch_generation($1, $2, $3)", id_, within, keep)
            except asyncpg.LockNotAvailableError:
                return "others read or fill the tables just now"

        return await self._working.once(switch)

    async def drop(self, id_: int, becomes: State) -> bool:
        return await self._link.run(lambda c: c.fetchval("SELECT drop_generation($1, $2)", id_, becomes))

    async def expired(self) -> Sequence[int]:
        return [row["id"] for row in await self._link.run(lambda c: c.fetch(EXPIRED))]

    def close(self) -> None:
        self._link.close()
        self._working.close()


async def opened_in(open_: Callable[[], Awaitable[Connection]], id_: int) -> Connection:
    """Open a connection on which the tables of a generation are found first. Raises GenerationGone."""
    connection = await open_()
    entered = False
    try:
        entered = await connection.fetchval(ENTER, id_) is not None
    finally:
        if not entered:
            connection.terminate()
    if not entered:
        raise GenerationGone(id_)
    return connection


def _generation(row: Any) -> Generation:
    return Generation(**row)
