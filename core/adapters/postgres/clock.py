"""The database's clock, so that all processes have the same time, whatever the clock of their machine says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from core.adapters.postgres.connection import Connection, Link
from core.errors import DatabaseFault, Unavailable
from core.fault_board import FaultBoard

QUICK = 0.5  # seconds
LOOK_EVERY = 30.0  # seconds; each look corrects the monotonic clock, which drifts, and stops while a machine sleeps
PART = "the clock"


LOG_AHEAD = "SELECT extract(epoch FROM recorded_at - clock_timestamp()) FROM events ORDER BY position DESC LIMIT 1"


async def log_ahead(connection: Connection) -> float:
    """By how many seconds the last event is later than the database's clock, which then must have jumped back."""
    return float(await connection.fetchval(LOG_AHEAD) or 0)


class DatabaseClock:
    """See `core.ports.clock.Clock`.

    The time is that of the last look, plus what the monotonic clock has counted since. Call `look` before `now`.
    """

    def __init__(
        self, link: Link, monotonic: Callable[[], float] = time.monotonic, faults: FaultBoard | None = None
    ) -> None:
        self._link = link
        self._faults = faults or FaultBoard()
        self._monotonic = monotonic
        self._database_time = datetime.min.replace(tzinfo=UTC)
        self._at = 0.0

    def now(self) -> datetime:
        return self._database_time + timedelta(seconds=self._monotonic() - self._at)

    async def look(self) -> None:
        """Ask the database for the time. Raises Unavailable or DatabaseFault; then the last look still counts.

        A look that took long is repeated, because the process may have been frozen after the database answered.
        """
        for last in (False, False, True):
            database_time, start, end = await self._link.run(self._ask)
            if end - start < QUICK or last:
                self._database_time, self._at = database_time, (start + end) / 2
                return

    async def keep(self) -> None:
        """Look every `LOOK_EVERY` seconds, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Unavailable:
                pass  # the last look still counts
            except DatabaseFault as fault:
                self._faults.report(PART, fault, seconds=2 * LOOK_EVERY)
            else:
                self._faults.clear(PART)

    async def _ask(self, connection: Connection) -> tuple[datetime, float, float]:
        start = self._monotonic()
        database_time = await connection.fetchval("SELECT clock_timestamp()")
        return database_time, start, self._monotonic()
