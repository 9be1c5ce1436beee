"""The database's clock, for every process alike: what this machine believes the time is changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from core.adapters.postgres.connection import Connection, Link
from core.errors import DatabaseFault, Unavailable
from core.fault_board import FaultBoard

QUICK = 0.5  # seconds
LOOK_EVERY = 30.0  # seconds; what the monotonic clock drifts in that time, or sleeps, is made good
PART = "the clock"


class DatabaseClock:
    """See `core.ports.clock.Clock`.

    Its time is that of the last look, moved on by the monotonic clock. Call `look` before `now`.
    """

    def __init__(
        self, link: Link, monotonic: Callable[[], float] = time.monotonic, faults: FaultBoard | None = None
    ) -> None:
        self._link = link
        self._faults = faults or FaultBoard()
        self._monotonic = monotonic
        self._seen = datetime.min.replace(tzinfo=UTC)
        self._at = 0.0

    def now(self) -> datetime:
        return self._seen + timedelta(seconds=self._monotonic() - self._at)

    async def look(self) -> None:
        """Raises Unavailable and DatabaseFault, and then goes on from the last look.

        A look that took long is repeated: if the process was frozen before the answer, the time that it got is old.
        """
        for last in (False, False, True):
            seen, asked, answered = await self._link.run(self._ask)
            if answered - asked < QUICK or last:
                self._seen, self._at = seen, (asked + answered) / 2
                return

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Unavailable:
                pass  # the time goes on from the last look
            except DatabaseFault as fault:
                self._faults.report(PART, fault, seconds=2 * LOOK_EVERY)
            else:
                self._faults.clear(PART)

    async def _ask(self, connection: Connection) -> tuple[datetime, float, float]:
        asked = self._monotonic()
        seen = await connection.fetchval("SELECT clock_timestamp()")
        return seen, asked, self._monotonic()
