"""Snapshots in PostgreSQL: one statement reads a snapshot and the events after it; a background task writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import asyncpg
import structlog

from core import codec
from core.adapters.coalesce import Coalescer
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.lanes import opened_with
from core.domain.message import StreamId
from core.errors import DatabaseFault, Unavailable, ValuesRefused
from core.fault_board import FaultBoard
from core.ports.sagas import READER as SAGA_RUNNER
from core.ports.snapshots import Snapshot, StreamPage

LOAD = f"""
SELECT p.*, EXISTS (SELECT FROM skipped_events s
                     WHERE s.reader = '{SAGA_RUNNER}' AND s.position = p.position) AS skipped
  FROM load_pages($1, $2, $3, $4) p
"""
KEEP = "SELECT keep_snapshots($1, $2, $3, $4, $5)"
FORGET = "DELETE FROM snapshots WHERE stream_id = $1 RETURNING stream_id"
FORGET_SOME = """
DELETE FROM snapshots WHERE stream_id IN (
    SELECT stream_id FROM snapshots WHERE stream_id >= $1 ORDER BY stream_id LIMIT $2)
RETURNING stream_id
"""

PAGE = 2_000  # events: they take about 20 ms, so many streams in one statement stay far below its time limit
TOGETHER = 32  # streams in one statement
FORGOTTEN_AT_ONCE = 2_000
PAUSE_AFTER_FAULT = 5.0  # seconds
MOST_WAITING = 1_000  # snapshots that wait in memory while the database has a fault
PART = "writing snapshots"
PAUSE = 0.1  # seconds between two writes, so that a popular stream causes at most ten writes a second
CLOSE_WITHIN = 1.0  # seconds for writing the snapshots that still wait when a process ends

PageKey = tuple[StreamId, int, bytes | None]

log = structlog.get_logger(__name__)


class PostgresSnapshots:
    """See `core.ports.snapshots.Snapshots`. Commits do not wait for the disk, because a lost snapshot does no harm."""

    def __init__(
        self, loader: Link, open_: Callable[[], Awaitable[Connection]], faults: FaultBoard | None = None
    ) -> None:
        self._loader = loader
        self._faults = faults or FaultBoard()
        self._writer = Link(lambda: opened_with(open_, "synchronous_commit = off"))
        self._pages = Coalescer[PageKey, list[asyncpg.Record]](self._load_pages, most=TOGETHER)
        self._waiting: dict[StreamId, Snapshot] = {}
        self._task: asyncio.Task[None] | None = None

    async def load(self, stream: StreamId, *, after: int, schema_hash: bytes | None) -> StreamPage:
        rows = await self._pages.get((stream, after, schema_hash))
        if not rows:
            return StreamPage(None, (), after, 0, more=False)
        state = rows[0]["state"]
        recorded = rows if state is None else rows[1:]
        events = [
            event
            for row in recorded
            if not row["skipped"]
            for event in codec.read_at(row["position"], row["event_type"], row["schema_version"], row["payload"])
        ]
        return StreamPage(state, events, rows[-1]["version"], rows[-1]["position"], more=len(recorded) == PAGE)

    def keep(self, snapshot: Snapshot) -> None:
        if PART in self._faults and len(self._waiting) >= MOST_WAITING:
            return
        self._waiting[snapshot.stream] = snapshot
        if self._task is None:
            self._task = asyncio.create_task(self._write())

    async def forget(self, stream: StreamId) -> bool:
        self._waiting.pop(stream, None)
        return bool(await self._writer.run(lambda c: c.fetch(FORGET, stream)))

    async def forget_all(self) -> int:
        self._waiting.clear()
        first, forgotten = UUID(int=0), 0
        while True:  # by their ids, so that one that is written anew meanwhile is not waited for
            rows = await self._writer.run(lambda c, first=first: c.fetch(FORGET_SOME, first, FORGOTTEN_AT_ONCE))
            forgotten += len(rows)
            if len(rows) < FORGOTTEN_AT_ONCE:
                return forgotten
            first = max(row["stream_id"] for row in rows)

    async def close(self) -> None:
        if self._task is not None:
            _, unfinished = await asyncio.wait([self._task], timeout=CLOSE_WITHIN)
            for task in unfinished:
                task.cancel()
        self._writer.close()

    async def _load_pages(self, keys: Sequence[PageKey]) -> Mapping[PageKey, list[asyncpg.Record]]:
        streams, after, hashes = map(list, zip(*keys, strict=True))
        rows = await self._loader.run(lambda c: c.fetch(LOAD, streams, after, hashes, PAGE))
        pages: dict[PageKey, list[asyncpg.Record]] = {}
        for row in rows:
            key = keys[int(row["n"]) - 1]
            pages.setdefault(key, []).append(row)
        return pages

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.pop(stream) for stream in list(self._waiting)[:TOGETHER]]
                await asyncio.sleep(PAUSE if await self._write_batch(batch) else PAUSE_AFTER_FAULT)
        finally:
            self._task = None

    async def _write_batch(self, batch: Sequence[Snapshot]) -> bool:
        """Write the snapshots. After a fault, let those wait again that no newer one has replaced, and return False."""
        rows = [(s.stream, s.category, s.version, s.schema_hash, s.state) for s in batch]
        columns = [list(column) for column in zip(*rows, strict=True)]
        try:
            await self._writer.run(lambda c: c.execute(KEEP, *columns))
        except (Unavailable, ValuesRefused) as error:
            log.warning("snapshots not written", streams=len(batch), error=str(error))
        except DatabaseFault as fault:
            self._faults.report(PART, fault, seconds=4 * PAUSE_AFTER_FAULT)
            for snapshot in batch[: max(0, MOST_WAITING - len(self._waiting))]:
                self._waiting.setdefault(snapshot.stream, snapshot)
            return False
        else:
            self._faults.clear(PART)
        return True
