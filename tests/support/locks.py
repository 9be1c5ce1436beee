"""Lets something happen while a piece of work waits for a lock of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from core.adapters.postgres.connection import Connection

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"


@asynccontextmanager
async def while_it_waits(work: Awaitable[Any], holder: Connection, lock: str, *values: object) -> AsyncIterator[None]:
    """Run the block while `work` waits for a lock that `holder` has; then let it go on to its end."""
    async with holder.transaction():
        await holder.execute(lock, *values)
        working = asyncio.ensure_future(work)
        async with asyncio.timeout(10):
            while not await holder.fetchval(WAITING) and not working.done():
                await asyncio.sleep(0.01)
        assert not working.done()
        yield
    await working
