"""The runs of daemons: with which settings each process runs, and whether the run before it ended by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

MOST_LISTED = 500


class DaemonRun(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` has no secret: of one it says `(set)`. `ended_at` None: it runs, or was killed."""

    process: str
    host: str
    settings: Mapping[str, str]
    version: str
    pid: int
    began_at: datetime
    ended_at: datetime | None


class DaemonRuns(Protocol):
    """The methods raise Unavailable and DatabaseFault."""

    async def begin(
        self, process: str, host: str, settings: Mapping[str, str], version: str, pid: int
    ) -> DaemonRun | None:
        """Note that a process begins. Returns the run before it, or, on a new machine, the last one elsewhere."""
        ...

    async def end(self, process: str, host: str, pid: int) -> None:
        """Note that it ends by itself."""
        ...

    async def newest(self) -> Sequence[DaemonRun]:
        """The last run of each process on each machine, the newest first, at most MOST_LISTED."""
        ...
