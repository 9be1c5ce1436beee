"""Why a group of read models is not up to date: an outage, a fault, or a standstill."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection

from prometheus_client import Gauge

from core.fault_board import FaultBoard
from core.ports.reading import ReaderProgress

STANDS_STILL = 5.0  # seconds without progress while an event waits

POSITION = Gauge("orderdeck_projector_position", "Position of the last event that the read models filled here have.")


def waiting_words(group: str, rows: int) -> str | None:
    """What /ready says while rows of a group wait behind events that could not be applied."""
    if not rows:
        return None
    what = "1 row waits" if rows == 1 else f"{rows} rows wait"
    return f"{group}: {what} behind an event that could not be applied, see `orderdeck deadletters list`"


class GroupState:
    """`progress` says how far the group's reader is; `saved_at` when this process saved something, monotonic."""

    def __init__(
        self,
        group: str,
        faults: FaultBoard,
        progress: Callable[[], Awaitable[ReaderProgress | None]],
        saved_at: Callable[[], float],
    ) -> None:
        self._group = group
        self._faults = faults
        self._part = f"the read models of {group}"  # its name on the FaultBoard
        self._progress = progress
        self._saved_at = saved_at
        self._outage: str | None = None
        self._waits_since = -math.inf  # by the monotonic clock

    def waits(self, reason: str) -> None:
        self._outage, self._waits_since = reason, time.monotonic()

    def failed(self, error: Exception) -> None:
        self._faults.report(self._part, error)

    def begins(self) -> None:
        """Forget the outage, since this process has just got the work."""
        self._outage = None

    def works(self) -> None:
        """Clear the outage and the fault, since the group has been followed for a while without an error."""
        self._outage = None
        self._faults.clear(self._part)

    async def why_not_ready(self, known: Collection[str | None] = ()) -> str | None:
        """An outage or a standstill of this group, in words; its faults are on the board, which /ready reads too.

        `known` are reasons that the caller knows of, which come first.
        """
        waits = self._outage is not None and self._saved_at() < self._waits_since
        reasons = [reason for reason in known if reason]
        reason = reasons[0] if reasons else self._outage if waits else await self._stands_still()
        return f"{self._group}: {reason}" if reason else None

    async def _stands_still(self) -> str | None:
        reader = await self._progress()
        since_save = time.monotonic() - self._saved_at()
        if reader is None or min(since_save, reader.behind) <= STANDS_STILL:
            return None
        where = f"position {reader.position} of {reader.head}"
        return f"stands still at {where}: the next event has been waiting for {reader.behind:.0f} s"
