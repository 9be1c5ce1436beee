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
COUNT = "SELECT count(*) FROM generations WHERE purpose = 'as_of' AND reader = $1 AND state = ANY ($2)"
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
GIVE_UP = """
UPDATE generations SET keep_until = clock_timestamp()
 WHERE id = (SELECT id FROM generations
              WHERE purpose = 'as_of' AND reader = $1 AND state = 'ready'
                AND keep_until < clock_timestamp() + $2
              ORDER BY keep_until LIMIT 1)
RETURNING id
"""


class PostgresPastGenerations:
    """See `core.ports.past_generations.PastGenerations`."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._link = Link(open_)

    async def find(self, group: Group[Any], position: int) -> Generation | None:
        row = await self._link.run(lambda c: c.fetchrow(FIND, group.reader, group.revision, position, ALIVE))
        return Generation(**row) if row is not None else None

    async def count(self, group: Group[Any]) -> int:
        return await self._link.run(lambda c: c.fetchval(COUNT, group.reader, ALIVE))

    async def request(self, group: Group[Any], position: int, *, keep: timedelta) -> Generation:
        tables = sorted(model.name for model in group.models)

        async def insert(connection: Connection) -> Any:
            id_ = await connection.fetchval(REQUEST, group.reader, tables, group.revision, position, keep)
            return await connection.fetchrow(READ, id_)

        return Generation(**await self._link.run(insert))

    async def use(self, id_: int, *, keep: timedelta) -> bool:
        return await self._link.run(lambda c: c.fetchval(USE, id_, keep)) is not None

    async def give_up_unused(self, group: Group[Any], *, unused: timedelta, keep: timedelta) -> bool:
        """One that was last used `unused` ago is kept for `keep - unused` from now on."""
        return await self._link.run(lambda c: c.fetchval(GIVE_UP, group.reader, keep - unused)) is not None

    def close(self) -> None:
        self._link.close()
