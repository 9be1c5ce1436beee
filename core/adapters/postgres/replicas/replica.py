"""One replica: whether it follows our primary, how far it is behind, and the connections on which it is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.migrate import NEEDED
from core.adapters.postgres.queries.queries import PostgresQueries
from core.adapters.postgres.replicas.look import Seen, Who, look, who_is
from core.adapters.postgres.replicas.primary import LOOK_EVERY, LOOK_LIMIT, PrimaryWatch
from core.errors import DatabaseFault, OrderdeckError, Unavailable, in_words
from core.ports.queries import LOG
from core.ports.replicas import ReplicaState

BEHIND_FOR = 5.0  # seconds for which a replica may be behind before that is told
FAULT_LASTS = 5.0  # seconds for which a replica is not asked after a read met a fault there, or another server
SLOW_LASTS = 1.0  # seconds for which it is not asked after a read took too long
LOG_EVERY = 10.0  # seconds between two lines of the log about one replica

log = structlog.get_logger(__name__)


class PostgresReplica:
    """See `core.ports.replicas.Replica`. `place` says in words where it is, without a secret."""

    def __init__(
        self, name: str, place: str, open_: Callable[[], Awaitable[Connection]], primary: PrimaryWatch
    ) -> None:
        self.name = name
        self.place = place
        self.queries = PostgresQueries(self._open_the_same)
        self.chosen_at = 0.0  # by the monotonic clock
        self._open = open_
        self._primary = primary
        self._link = Link(self._open_and_identify)
        self._who: Who | None = None
        self._seen: Seen | None = None
        self._seen_at = 0.0
        self._wrong: str | None = None
        self._barred: tuple[float, str] = (0.0, "")  # until when it is not asked because a read failed, and why
        self._level_at = time.monotonic()
        self._told: tuple[bool, float] = (True, -LOG_EVERY)  # whether it was well, and when that was logged

    # --- what others ask ------------------------------------------------------------------------------------
    @property
    def usable(self) -> bool:
        """Whether nothing is wrong with it and it has everything that the primary had a moment ago."""
        return self._why_not() is None and not self._behind(self._primary.expected)

    def shows(self, reader: str, position: int) -> bool:
        if self._seen is None:
            return False
        return (self._seen.head if reader == LOG else self._seen.readers.get(reader, 0)) >= position

    def failed(self, error: Exception) -> None:
        if isinstance(error, TimeoutError):
            self._barred = (time.monotonic() + SLOW_LASTS, "a read took too long there")
        elif isinstance(error, DatabaseFault):
            self._barred = (time.monotonic() + FAULT_LASTS, in_words(error))

    @property
    def why_degraded(self) -> str | None:
        """Why it is not asked, unless it has been behind for a moment only."""
        why = self._why_not()
        if why is None and self._behind(self._primary.expected) and self.seconds_behind > BEHIND_FOR:
            paused = ", and its replay is paused" if self._seen is not None and self._seen.paused else ""
            why = f"it is {self.events_behind} events behind, for {self.seconds_behind:.0f} s{paused}"
        return f"{self.name} ({self.place}) is not asked: {why}" if why and self._primary.newest is not None else None

    @property
    def events_behind(self) -> int | None:
        newest = self._primary.newest
        return None if newest is None or self._seen is None else max(0, newest.head - self._seen.head)

    @property
    def seconds_behind(self) -> float:
        return time.monotonic() - self._level_at if self._behind(self._primary.newest) else 0.0

    @property
    def state(self) -> ReplicaState:
        known = self._seen is not None
        return ReplicaState(self.name, self.usable, self.events_behind, self.seconds_behind if known else None)

    # --- the watch ------------------------------------------------------------------------------------------
    async def keep(self) -> None:
        """Look every LOOK_EVERY seconds, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        newest, events = self._primary.newest, self._primary.events
        later = self._primary.newest_since(self._seen_at)
        ahead = self._seen is not None and later is not None and self._seen.head > later.head
        try:
            async with asyncio.timeout(LOOK_LIMIT):
                seen = await self._link.run(lambda c: look(c, list(events)))
        except TimeoutError:
            self._lost(f"it has not answered within {LOOK_LIMIT:g} s")
        except OrderdeckError as error:
            self._lost(in_words(error))
        else:
            other = ahead or any(events.get(at, id_) != id_ for at, id_ in seen.event_ids.items())
            self._seen_at = time.monotonic()
            self._seen, self._wrong = seen, self._what_is_wrong(seen, other_log=other)
            if not self._behind(newest):
                self._level_at = time.monotonic()
        self._log_change()

    def close(self) -> None:
        self._link.close()
        self.queries.close()

    def _why_not(self) -> str | None:
        until, why = self._barred
        if self._seen is None or self._wrong is not None:
            return self._wrong or "it has not been seen yet"
        return why if time.monotonic() < until else None

    def _behind(self, expected: Seen | None) -> bool:
        """Whether it lacks something of what the primary had; also while either of them has not been seen."""
        seen = self._seen
        if seen is None or expected is None:
            return True
        return seen.head < expected.head or any(
            seen.readers.get(reader, -1) < position for reader, position in expected.readers.items()
        )

    def _what_is_wrong(self, seen: Seen, *, other_log: bool) -> str | None:
        who, identity = self._who, self._primary.identity
        if who is None or identity is None:
            return "the primary has not been seen yet"
        if who.identity.system != identity.system:
            return "it is a copy of another server, not of the primary (another system identifier)"
        if who.identity.database != identity.database:
            return "it is another database of the primary's server"
        if not seen.standby:
            return "it takes writes, so it is no replica: it was promoted, or it is the primary itself"
        if who.superuser:
            return "its user is a superuser: give it the user of DATABASE_URL"
        if seen.schema < NEEDED:
            return f"it has schema {seen.schema}, and this release needs {NEEDED}"
        if other_log:
            return "its log is not the primary's: it follows another server, or was made from an older one"
        return None

    def _lost(self, why: str) -> None:
        if self._wrong is None:
            self.queries.close()  # reads that wait for it go to the primary now
        self._seen, self._wrong = None, why
        self._link.drop()

    def _log_change(self) -> None:
        why, (well, at) = self.why_degraded, self._told
        if (why is None) == well or time.monotonic() - at < LOG_EVERY:
            return
        self._told = (why is None, time.monotonic())
        if why is None:
            log.info("a replica is asked again", replica=self.name, place=self.place)
        else:
            log.warning("a replica is not asked", replica=self.name, place=self.place, reason=why)

    async def _open_and_identify(self) -> Connection:
        connection = await self._open()
        try:
            self._who = await who_is(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _open_the_same(self) -> Connection:
        """Open a connection for reads, which must lead to the server that is watched."""
        connection = await self._open()
        try:
            who = await who_is(connection)
            if who != self._who:
                self._barred = (
                    time.monotonic() + FAULT_LASTS,
                    "its address led to another server than a moment ago: name each server by itself",
                )
                raise Unavailable(self._barred[1])  # noqa: TRY301 - closed as after any error
        except BaseException:
            connection.terminate()
            raise
        return connection
