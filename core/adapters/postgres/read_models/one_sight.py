"""Several statements that see the read models as of one moment, and of one generation."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.adapters.postgres.connection import Connection

# The lock comes before the first read, at which the snapshot is taken. Else the tables could be switched between the
# two, and the snapshot would show the new ones as they were before they had caught up.
BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE {} IN ACCESS SHARE MODE"


@asynccontextmanager
async def one_sight(connection: Connection, *tables: str) -> AsyncGenerator[None]:
    """Within it, nothing changes for the reader. One inside another does nothing.

    Several tables are given in the order of their group, in which everybody locks them.
    """
    if connection.is_in_transaction():
        yield
        return
    try:
        await connection.execute(BEGIN.format(", ".join(tables)))  # it may begin, and then not get the lock
        yield
    except Exception:
        await connection.execute("ROLLBACK")
        raise
    await connection.execute("COMMIT")
