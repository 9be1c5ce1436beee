"""Finds, asks for and keeps generations of read models as of earlier positions, in the table `generations`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.generations import COLUMNS
from core.ports.generations import UNFINISHED, Generation
from core.projections.projection import Group

ALIVE = [*UNFINISHED, "ready"]
FIND = f"""
{COLUMNS} FROM generations g
 WHERE g.purpose = 'as_of' AND g.reader = $1 AND g.revision = $2 AND g.end_position = $3
   AND (g.state = ANY ($4) OR g.state = 'failed' AND g.ended_at > clock_timestamp() - interval '1 min')
 ORDER BY g.id DESC LIMIT 1
"""
COUNT = """
SELECT count(*) FROM generations
 WHERE purpose = 'as_of' AND reader = $1 AND state = ANY ($2) AND (state <> 'ready' OR keep_until > clock_timestamp())
"""
REQUEST = """
INSERT INTO generations (reader, tables, revision, purpose, end_position, requested_by, keep_until)
VALUES ($1, $2, $3, 'as_of', $4, 'as_of', clock_timestamp() + $5)
RETURNING id
"""
READ = f"{COLUMNS} FROM generations g WHERE g.id = $1"
# Whoever is told that it may be read has it for some time: nobody drops it before `keep_until`.
USE = """
UPDATE generations SET keep_until = clock_timestamp() + $2
 WHERE id = $1 AND purpose = 'as_of' AND state = 'ready' AND keep_until > clock_timestamp()
RETURNING id
"""
ASKED_FOR = """
UPDATE generations SET keep_until = clock_timestamp() + $4
 WHERE purpose = 'as_of' AND reader = $1 AND end_position = $2 AND state = ANY ($3)
"""
# One that is ready is dropped once its time is over. One that is still being built is given up, and its builder ends.
GIVE_UP = """
UPDATE generations
   SET keep_until = clock_timestamp(),
       state    = CASE WHEN state = 'ready' THEN state ELSE 'cancelled' END,
       ended_at = CASE WHEN state = 'ready' THEN ended_at ELSE clock_timestamp() END
 WHERE id = (SELECT id FROM generations
              WHERE purpose = 'as_of' AND reader = $1 AND state = ANY ($2)
                AND keep_until > clock_timestamp() AND keep_until < clock_timestamp() + $3
              ORDER BY keep_until LIMIT 1)
RETURNING id
"""
# Without it, two who ask for the same moment at once would have it built twice.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('past_generations'), hashtext($1))"


class PostgresPastGenerations:
    """See `core.ports.past_generations.PastGenerations`."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._link = Link(open_)

    async def find(self, group: Group[Any], position: int, *, keep: timedelta) -> Generation | None:
        async def look(connection: Connection) -> Generation | None:
            found = await _found(connection, group, position)
            if found is not None and found.unfinished:
                await connection.execute(ASKED_FOR, group.reader, position, list(UNFINISHED), keep)
            return found

        return await self._link.run(look)

    async def request(
        self, group: Group[Any], position: int, *, keep: timedelta, most: int, unused: timedelta
    ) -> Generation | None:
        tables = [model.name for model in group.models]

        async def insert(connection: Connection) -> Generation | None:
            async with connection.transaction():
                await connection.execute(LOCK, group.reader)
                if (found := await _found(connection, group, position)) is not None:
                    return found
                full = await connection.fetchval(COUNT, group.reader, ALIVE) >= most
                if full and not await connection.fetchval(GIVE_UP, group.reader, ALIVE, keep - unused):
                    return None
                id_ = await connection.fetchval(REQUEST, group.reader, tables, group.revision, position, keep)
                row = await connection.fetchrow(READ, id_)
                assert row is not None  # noqa: S101 - it was inserted just now
                return Generation(**row)

        return await self._link.run(insert)

    async def use(self, id_: int, *, keep: timedelta) -> bool:
        return await self._link.run(lambda c: c.fetchval(USE, id_, keep)) is not None

    def close(self) -> None:
        self._link.close()


async def _found(connection: Connection, group: Group[Any], position: int) -> Generation | None:
    row = await connection.fetchrow(FIND, group.reader, group.revision, position, ALIVE)
    return Generation(**row) if row is not None else None
