"""Follows the log in PostgreSQL: it polls the log, and a notification makes it look sooner.

During an outage it waits and tries again. A fault of the database is raised to the caller.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.event_store import HEAD, READ, stored
from core.codec import StoredEvent
from core.errors import LogShorter, Unavailable
from core.pace import Pace
from core.ports.reading import RowShare

# Positions have no gaps, so the next `limit` positions have a known end. Of the events of other categories, only one at
# that end is returned, because it tells the caller how far the log has been read. Metadata is left out unless it names
# a trace, since no fold reads it, and it takes a sixth of the time of a read.
READ_CATEGORIES = """
SELECT position, stream_id, category, version, event_id, event_type, schema_version, payload,
       CASE WHEN metadata ? 'traceparent' THEN metadata::text ELSE '' END AS metadata,
       correlation_id, recorded_at
  FROM events
 WHERE position > $1 AND position <= $1::bigint + $2
   AND (category = ANY ($3){share} OR position = (SELECT max(position) FROM events WHERE position <= $1::bigint + $2))
 ORDER BY position
"""
# The row of an event of the first category is its stream, of another one the stream that its correlation id names.
OF_SHARE = """
        AND get_byte(uuid_send(CASE category WHEN $4 THEN stream_id ELSE correlation_id END), 15) % $5 = $6"""

BUSY = 0.005  # seconds between reads while events come; with a shorter pause, the batches would only be smaller
QUIET = 0.25  # seconds after the last events until the next read, in case a notification is lost
LONGEST_QUIET = 2.0  # seconds between reads while none have come for long
LOOK_AT_HEAD = 2.0  # seconds between two looks whether the log is shorter than what was read of it
AWAY = 1.0  # seconds between tries while the database is away

log = structlog.get_logger(__name__)


class PostgresSubscription:
    """See `core.ports.reading.Subscription`. With a `share`, callers name categories, that of the rows first."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]], share: RowShare | None = None) -> None:
        self._open = open_
        self._share = share
        self._link = Link(self._open_listening)
        self._hint = asyncio.Event()
        self._pace = Pace(QUIET, LONGEST_QUIET)

    async def _open_listening(self) -> Connection:
        connection = await self._open()
        try:
            await connection.add_listener("events", self._on_notification)
            connection.add_termination_listener(self._on_notification)
        except BaseException:  # also if the caller is cancelled
            connection.terminate()
            raise
        return connection

    def _on_notification(self, *_: Any) -> None:
        self._hint.set()

    async def batches(
        self, stop: asyncio.Event, *, after: int, limit: int, categories: Sequence[str] = ()
    ) -> AsyncGenerator[Sequence[StoredEvent]]:
        query, values = self._reading(limit, categories)
        stopping = asyncio.ensure_future(stop.wait())
        away, looked_at = False, -math.inf
        try:
            while not stop.is_set():
                self._hint.clear()  # before the read, so that an event that comes meanwhile is read next time
                try:
                    rows = await self._link.run(lambda c, after=after: c.fetch(query, after, *values))
                except Unavailable as error:
                    if not away:
                        log.warning("the log cannot be read", reason=str(error))
                    away = True
                    await asyncio.wait([stopping], timeout=AWAY)
                    continue
                if away:
                    log.info("the log can be read again")
                    away = False
                full = bool(rows) and rows[-1]["position"] - after >= limit
                if not rows and time.monotonic() - looked_at > LOOK_AT_HEAD:
                    await self._must_not_be_shorter(after)
                    looked_at = time.monotonic()
                if rows:
                    batch = [stored(row) for row in rows]
                    after = batch[-1].position
                    yield batch
                if not full:
                    await self._wait(stopping, busy=bool(rows))
        finally:
            stopping.cancel()
            self._link.close()

    def _reading(self, limit: int, categories: Sequence[str]) -> tuple[str, Sequence[Any]]:
        if not categories:
            return READ, (limit,)
        if self._share is None:
            return READ_CATEGORIES.format(share=""), (limit, categories)
        share = (categories[0], self._share.shares, self._share.number)
        return READ_CATEGORIES.format(share=OF_SHARE), (limit, categories, *share)

    async def _must_not_be_shorter(self, after: int) -> None:
        with suppress(Unavailable):
            if (head := int(await self._link.run(lambda c: c.fetchval(HEAD)))) < after:
                raise LogShorter(after, head)

    async def _wait(self, stopping: asyncio.Future[Any], *, busy: bool) -> None:
        if busy:
            self._pace.came()
            await asyncio.wait([stopping], timeout=BUSY)
        hint = asyncio.ensure_future(self._hint.wait())
        try:
            await asyncio.wait([stopping, hint], timeout=self._pace.pause(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            hint.cancel()
