"""Follows the log in PostgreSQL: it polls the log, and a notification makes it look sooner.

During an outage it waits and tries again. A fault of the database is raised to the caller.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import structlog

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import HEAD, READ, stored
from core.adapters.postgres.hints import Hints
from core.codec import StoredEvent
from core.errors import LogShorter, Unavailable
from core.pace import Pace
from core.ports.reading import BUSY, RowShare

# Positions have no gaps, so the next `limit` positions have a known end. Of the events of other categories, only one at
# that end is returned, because it tells the caller how far the log has been read. Metadata is left out unless it names
# a trace, since no fold reads it, and it takes a sixth of the time of a read.
READ_CATEGORIES = """
SELECT position, stream_id, category, version, event_id, event_type, schema_version, payload,
       CASE WHEN metadata ? 'traceparent' THEN metadata::text ELSE '' END AS metadata,
       correlation_id, recorded_at
  FROM events
 WHERE position > $1 AND position <= $1::bigint + $2
   AND (category = ANY ($3) OR position = (SELECT max(position) FROM events WHERE position <= $1::bigint + $2))
 ORDER BY position
"""
# For a share: the row of an event of the first category is its stream, of another one the stream that its correlation
# id names. Each id that is read takes the driver as long as several texts, so there is no more of them.
READ_SHARE = """
SELECT position, CASE category WHEN $4 THEN stream_id ELSE correlation_id END AS row_stream, category, version,
       CASE WHEN EXISTS (SELECT FROM skipped_events) THEN event_id END AS event_id, event_type, schema_version, payload,
       recorded_at
  FROM events
 WHERE position > $1 AND position <= $1::bigint + $2
   AND (category = ANY ($3)
        AND get_byte(uuid_send(CASE category WHEN $4 THEN stream_id ELSE correlation_id END), 15) % $5 = $6
        OR position = (SELECT max(position) FROM events WHERE position <= $1::bigint + $2))
 ORDER BY position
"""

QUIET = 0.25  # seconds after the last events until the next read, in case a notification is lost
LONGEST_QUIET = 2.0  # seconds between looks while none have come for long
# Seconds after a look at the head of the log until a read begins with one, even after a notification.
LOOK_AT_HEAD = 3.0
AWAY = 0.4  # seconds between tries while the database is away

log = structlog.get_logger(__name__)


class PostgresSubscription:
    """See `core.ports.reading.Subscription`. With a `share`, callers name categories, that of the rows first."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]], share: RowShare | None = None) -> None:
        self._hints = Hints(open_, "events")
        self._looked_on: Connection | None = None  # where the head was looked at; on a new one the log may be another
        self._looked_at = -math.inf
        self._share = share
        self._pace = Pace(QUIET, LONGEST_QUIET)

    async def batches(
        self,
        stop: asyncio.Event,
        *,
        after: int,
        limit: int,
        categories: Sequence[str] = (),
        pause: float = BUSY,
    ) -> AsyncGenerator[Sequence[StoredEvent]]:
        query, values = self._reading(limit, categories)
        read = stored if self._share is None else _of_share
        stopping = asyncio.ensure_future(stop.wait())
        away, hinted = False, False
        try:
            while not stop.is_set():
                coming = self._hints.coming()  # before the read, so that what comes meanwhile is read next time
                try:
                    rows = await self._hints.run(
                        lambda c, after=after, hinted=hinted: self._rows(c, query, after, values, hinted=hinted)
                    )
                except Unavailable as error:
                    if not (away or error.logged):
                        log.warning("the log cannot be read", reason=str(error))
                        away = True
                    await asyncio.wait([stopping], timeout=AWAY)
                    continue
                if away:
                    log.info("the log can be read again")
                    away = False
                full = bool(rows) and rows[-1]["position"] - after >= limit
                if rows:
                    self._pace.came()
                    batch = [read(row) for row in rows]
                    after = batch[-1].position
                    yield batch
                    if not full:
                        await asyncio.wait([stopping], timeout=pause)
                if not (full or (rows and self._hints.by_the_clock)):
                    at_most = QUIET if self._hints.by_the_clock else self._pace.pause()
                    await self._hints.wait(coming, at_most=at_most, stop=stop)
                hinted = full or coming.is_set() or self._hints.by_the_clock
        finally:
            stopping.cancel()
            self._hints.close()

    def _reading(self, limit: int, categories: Sequence[str]) -> tuple[str, Sequence[Any]]:
        if not categories:
            return READ, (limit,)
        if self._share is None:
            return READ_CATEGORIES, (limit, categories)
        return READ_SHARE, (limit, categories, categories[0], self._share.shares, self._share.number)

    async def _rows(
        self, connection: Connection, query: str, after: int, values: Sequence[Any], *, hinted: bool
    ) -> Sequence[asyncpg.Record]:
        """The events after a position. Raises LogShorter if the log does not reach that far."""
        recent = connection is self._looked_on and time.monotonic() - self._looked_at < LOOK_AT_HEAD
        if not (hinted and recent):  # without a hint there is mostly nothing, and that costs least to see at the head
            if (head := int(await connection.fetchval(HEAD))) < after:
                raise LogShorter(after, head)
            self._looked_on, self._looked_at = connection, time.monotonic()
            if head == after:
                return []
        return await connection.fetch(query, after, *values)


def _of_share(columns: asyncpg.Record) -> StoredEvent:
    position, row, category, version, event_id, event_type, schema, payload, recorded_at = columns
    return StoredEvent(position, row, category, version, event_id, event_type, schema, payload, "", row, recorded_at)
