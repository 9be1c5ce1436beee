"""When PostgreSQL crashes, the last changes of the read models may be lost; this knows when they are made again."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass

import asyncpg

from core.projections import ORDERS

LOOK = 0.1  # seconds
HEAD = "SELECT coalesce(max(position), 0) FROM events"
REACHED = "SELECT coalesce((SELECT position FROM checkpoints WHERE reader = $1), 0)"


@dataclass
class Refills:
    """Only between a crash and the moment when the orders have every event of before, they may be older than they were.

    Whatever was answered is in the log, whose commits wait for the disk. So once the reader of the orders has come to
    where the log ended after the crash, no answer may lack any of it.
    """

    dsn: str
    _going_on: int = 0
    _ended_at: float = -math.inf  # by the monotonic clock

    def begin(self) -> None:
        self._going_on += 1

    async def end(self) -> None:
        """Wait until PostgreSQL answers again, and until the orders have every event that the log has by then."""
        head: int | None = None
        while True:
            try:
                connection = await asyncpg.connect(self.dsn)
                try:
                    if head is None:
                        head = int(await connection.fetchval(HEAD))
                    while await connection.fetchval(REACHED, ORDERS.reader) < head:
                        await asyncio.sleep(LOOK)
                    break
                finally:
                    connection.terminate()
            # It is away, or crashes once more. InternalClientError: while a statement was being prepared.
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                await asyncio.sleep(LOOK)
        self._going_on -= 1
        self._ended_at = time.monotonic()

    def cover(self, asked_at: float) -> bool:
        """Whether an answer to a question of this moment may still lack changes."""
        return self._going_on > 0 or asked_at <= self._ended_at
