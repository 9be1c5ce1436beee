"""The log in PostgreSQL. A batch of appends is one statement; if its answer is lost, we find out what was recorded."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg
import structlog
from prometheus_client import Counter

from core import tracing
from core.adapters.coalesce import Coalescer
from core.adapters.postgres.append import ANSWERS, OURS, Prepared, prepare, replay, statement, verdict
from core.adapters.postgres.batcher import Batcher, Waiting
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.driver_errors import connection_lost
from core.adapters.postgres.snapshots import PostgresSnapshots
from core.codec import StoredEvent
from core.domain.message import Recorded, StreamId
from core.errors import DatabaseFault, OrderdeckError, OutcomeUnknown, Unavailable, ValuesRefused
from core.fault_board import FaultBoard
from core.metrics import APPEND_BATCH, APPEND_SECONDS, APPENDED_EVENTS, APPENDS
from core.ports.log import Accepted, Append, Conflict, LeaseLost, Replay, Verdict
from core.ports.sagas import READER as SAGA_RUNNER

LOAD = f"""
SELECT l.*, ARRAY (SELECT s.reader FROM skipped_events s
                    WHERE s.reader = '{SAGA_RUNNER}' AND s.event_id = l.event_id) AS skipped_by
  FROM load_streams($1, $2) l
"""
READ = "SELECT * FROM events WHERE position > $1 ORDER BY position LIMIT $2"
HEAD = "SELECT coalesce(max(position), 0) FROM events"

NO_ROOM_LASTS = 15.0  # seconds for which an append that found no room on the disk makes the daemon not ready
SETTLE_WITHIN = 8.0  # seconds for finding out an unknown outcome, before the callers get OutcomeUnknown

OUTCOMES: dict[type[Verdict], Counter] = {
    Accepted: APPENDS.labels("accepted"),
    Replay: APPENDS.labels("replayed"),
    Conflict: APPENDS.labels("conflict"),
    LeaseLost: APPENDS.labels("lease_lost"),
}
FAILED = APPENDS.labels("failed")

Batch = Sequence[Waiting[Prepared, Verdict]]

log = structlog.get_logger(__name__)


def stored(row: asyncpg.Record) -> StoredEvent:
    """The event of a row of the table `events`, with all its columns in order, and maybe with `skipped_by`."""
    return StoredEvent(*row)


class PostgresEventStore:
    """See `core.ports.log.EventStore`. One connection writes, one loads, one reads the log, one keeps snapshots."""

    def __init__(
        self, open_: Callable[[], Awaitable[Connection]], faults: FaultBoard | None = None, *, spacing: float = 0.0
    ) -> None:
        self._writer = Link(open_)
        self._loader = Link(open_)
        self._reader = Link(open_)
        self._batcher = Batcher[Prepared, Verdict](self._measured_send, spacing=spacing)
        self._faults = faults or FaultBoard()
        self.snapshots = PostgresSnapshots(self._loader, open_, faults)
        self._loads = Coalescer[tuple[StreamId, int], list[Recorded | Exception]](self._load_many)

    async def append(self, append: Append) -> Verdict:
        if not tracing.place().recorded:
            return await self._batcher.submit(prepare(append))
        prepared = prepare(append)
        with tracing.span("append", kind="client", notes=tracing.DATABASE) as span:
            verdict = await self._batcher.submit(prepared)
            if span is not None:
                span.note("orderdeck.events", prepared.events)
                span.note("orderdeck.verdict", type(verdict).__name__)
            return verdict

    async def load(self, stream: StreamId, *, after: int = 0) -> Sequence[Recorded]:
        results = await self._loads.get((stream, after)) or []
        for event in results:
            if isinstance(event, Exception):
                raise event
        return [event for event in results if isinstance(event, Recorded)]

    async def read_log(self, *, after: int, limit: int) -> Sequence[StoredEvent]:
        rows = await self._reader.run(lambda c: c.fetch(READ, after, limit))
        return [stored(row) for row in rows]

    async def head(self) -> int:
        return int(await self._reader.run(lambda c: c.fetchval(HEAD)))

    async def answered(self, scope: str, key: str) -> Replay | None:
        rows = await self._loader.run(lambda c: c.fetch(ANSWERS, [0], [scope], [key]))
        return replay(rows[0]) if rows else None

    @property
    def full(self) -> bool:
        """Whether the queue of appends is full. If so, the daemon is not ready."""
        return self._batcher.full

    async def close(self) -> None:
        await self._batcher.close()
        await self.snapshots.close()
        for link in (self._writer, self._loader, self._reader):
            link.close()

    async def _load_many(
        self, keys: Sequence[tuple[StreamId, int]]
    ) -> Mapping[tuple[StreamId, int], list[Recorded | Exception]]:
        lowest: dict[StreamId, int] = {}
        for stream, after in keys:
            lowest[stream] = min(after, lowest.get(stream, after))
        rows = await self._loader.run(lambda c: c.fetch(LOAD, list(lowest), list(lowest.values())))
        streams: dict[StreamId, list[Recorded | Exception]] = {}
        for row in rows:
            event = stored(row)
            try:  # what is left out for the runners of sagas is left out by all who decide on what they have read
                results: Sequence[Recorded | Exception] = event.recorded_for(SAGA_RUNNER)
            except Exception as error:  # noqa: BLE001 - raised to the readers of this stream only
                results = [error]
            streams.setdefault(event.stream, []).extend(results)
        return {
            (stream, after): [e for e in streams.get(stream, ()) if isinstance(e, Exception) or e.version > after]
            for stream, after in keys
        }

    async def _measured_send(self, batch: Batch) -> None:
        APPEND_BATCH.observe(len(batch))
        with APPEND_SECONDS.time():
            await self._send(batch)

    async def _send(self, batch: Batch) -> None:
        """Send a batch until every append has a verdict. After a lost answer it is sent again, with the same event ids.

        A batch that the server refuses is not recorded by this try. But an earlier try, whose answer was lost, may have
        recorded it. While that is in doubt, no caller gets an answer until it is known, or the time is over.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_WITHIN
        append, columns = statement([waiting.item for waiting in batch])
        doubt, pause = False, 0.02
        while True:
            sent = False
            try:
                connection = await self._writer.get()
                sent = True
                rows = await connection.fetch(append, *columns)
                sent_before, doubt = doubt, True
                verdicts = [verdict(row) for row in sorted(rows, key=_append_number)]
                self._writer.worked()
                await self._settle(connection, batch, verdicts, sent_before=sent_before)
            except Exception as error:  # noqa: BLE001 - `_failure` raises it again if it is not one of the driver
                failure = self._failure(error)
                doubt = doubt or (sent and connection_lost(error))
            except BaseException:
                self._writer.drop()
                raise
            else:
                return
            if isinstance(failure, ValuesRefused) and len(batch) > 1:
                for waiting in batch:  # only one append has the wrong values, so each is sent on its own
                    await self._send([waiting])
                return
            if not sent:
                self._batcher.refuse_waiting(failure)  # those that were never sent need not wait
            if not doubt or isinstance(failure, ValuesRefused):
                self._fail(batch, failure)
                return
            if loop.time() > deadline:
                self._fail(batch, _unknown(failure))
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.5)

    def _failure(self, error: Exception) -> OrderdeckError:
        """Our error for an error of an append, which becomes its cause. Raises `error` if it is not the driver's."""
        if isinstance(error, (Unavailable, DatabaseFault)):  # it comes from opening a connection
            return error
        failure = self._writer.failed(error)
        failure.__cause__ = error
        if isinstance(error, (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)):  # /ready says it as long as it lasts
            self._faults.note("recording events", failure, seconds=NO_ROOM_LASTS)
        return failure

    @staticmethod
    def _fail(batch: Batch, error: Exception) -> None:
        for waiting in batch:
            waiting.fail(error)
            FAILED.inc()

    async def _settle(
        self, connection: Connection, batch: Batch, verdicts: list[Verdict | None], *, sent_before: bool
    ) -> None:
        if sent_before:
            await self._find_ours(connection, batch, verdicts)
        replays = [n for n, known in enumerate(verdicts) if known is None]
        if replays:
            keys = [batch[n].item.append.key for n in replays]
            rows = await connection.fetch(ANSWERS, replays, [k.scope for k in keys if k], [k.key for k in keys if k])
            for row in rows:
                verdicts[row["n"]] = replay(row)
        events = 0
        for waiting, known in zip(batch, verdicts, strict=True):
            if known is None:  # the key was deleted between the two statements
                waiting.fail(Unavailable("the key has just expired; try again"))
                continue
            waiting.settle(known)
            if isinstance(known, Accepted):
                events += waiting.item.events
        APPENDED_EVENTS.inc(events)
        for kind, count in Tally(type(known) for known in verdicts if known is not None).items():
            OUTCOMES[kind].inc(count)

    @staticmethod
    async def _find_ours(connection: Connection, batch: Batch, verdicts: list[Verdict | None]) -> None:
        """Accept the appends that an earlier try has recorded: those whose event ids are in the log."""
        doubtful: list[tuple[Any, ...]] = []
        for n, known in enumerate(verdicts):
            append = batch[n].item.append
            first_entry = next((entry for entry in append.entries if entry.events), None)
            if not isinstance(known, Accepted) and first_entry:
                first_id = first_entry.events[0].event_id
                doubtful.append((n, first_entry.stream, first_entry.expected + 1, first_id))
        if doubtful:
            for row in await connection.fetch(OURS, *map(list, zip(*doubtful, strict=True))):
                n, first = int(row["n"]), int(row["position"])
                verdicts[n] = Accepted(first + batch[n].item.events - 1)


def _append_number(row: asyncpg.Record) -> int:
    return row["append"]


def _unknown(failure: OrderdeckError) -> OutcomeUnknown:
    if isinstance(failure, DatabaseFault):  # its callers get OutcomeUnknown, so the fault would not be logged
        log.error("appends cannot be settled", exc_info=failure)
    unknown = OutcomeUnknown("whether this was recorded is not known: the database did not answer in time")
    unknown.__cause__ = failure
    return unknown
