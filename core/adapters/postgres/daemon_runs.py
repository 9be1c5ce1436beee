"""The runs of daemons in the table `daemon_runs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from asyncpg import Record

from core.adapters.postgres.connection import Link
from core.ports.daemon_runs import MOST_LISTED, DaemonRun

COLUMNS = "process, host, settings, version, pid, began_at, ended_at"
BEFORE = f"SELECT {COLUMNS} FROM daemon_runs WHERE process = $1 ORDER BY host = $2 DESC, began_at DESC LIMIT 1"
BEGIN = """
INSERT INTO daemon_runs (process, host, settings, version, pid) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (process, host) DO UPDATE
   SET settings = $3, version = $4, pid = $5, began_at = clock_timestamp(), ended_at = NULL
"""
# In containers each run has a machine of its own; of those that are long gone nobody asks.
FORGET = (
    "DELETE FROM daemon_runs WHERE began_at < clock_timestamp() - interval '30 days' AND process = $1 AND host <> $2"
)
END = "UPDATE daemon_runs SET ended_at = clock_timestamp() WHERE process = $1 AND host = $2 AND pid = $3"
NEWEST = f"SELECT {COLUMNS} FROM daemon_runs ORDER BY began_at DESC LIMIT {MOST_LISTED}"


class PostgresDaemonRuns:
    """See `core.ports.daemon_runs.DaemonRuns`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def begin(
        self, process: str, host: str, settings: Mapping[str, str], version: str, pid: int
    ) -> DaemonRun | None:
        before = await self._link.run(lambda c: c.fetchrow(BEFORE, process, host))
        text = msgspec.json.encode(settings).decode()
        await self._link.run(lambda c: c.execute(BEGIN, process, host, text, version, pid))
        await self._link.run(lambda c: c.execute(FORGET, process, host))
        return None if before is None else _run(before)

    async def end(self, process: str, host: str, pid: int) -> None:
        await self._link.run(lambda c: c.execute(END, process, host, pid))

    async def newest(self) -> Sequence[DaemonRun]:
        return [_run(row) for row in await self._link.run(lambda c: c.fetch(NEWEST))]


def _run(row: Record) -> DaemonRun:
    known: dict[str, Any] = {**row, "settings": msgspec.json.decode(row["settings"], type=dict[str, str])}
    return DaemonRun(**known)
