"""One connection to Redis that never delays its users for long: it is made in the background, and left alone when slow.

Every call has a time limit of some milliseconds. A call that fails drops the connection; until a new one has been made
and has answered in time, calls fail at once. The pauses between two tries grow.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as TooSlow

from core.adapters.redis import scripts
from core.ports.order_cache import CacheReport
from core.printable import clean
from core.redis_address import RedisAddress

CONNECT_LIMIT = 2.0  # seconds, in the background
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0  # seconds between two tries to connect
STEADY = 10.0  # seconds after which a connection that was lost is no sign that the next one is lost soon
NOT_REDIS = "answers with something else than Redis's protocol"
LOG_EVERY = 10.0  # seconds between two log lines about being away and back

log = structlog.get_logger(__name__)

Argument = str | bytes | int


class CacheAway(Exception):
    """Redis did not do it, or nobody knows whether it did. The text is for operators."""


class CacheFull(Exception):
    """Redis has no memory for what it should store, and evicts nothing."""


class RedisLink:
    """`limit`: seconds that a call may take. `name` is shown by CLIENT LIST. Callers wait for each other.

    `what` is named in the log: what does not work while Redis is away.
    """

    def __init__(
        self, address: RedisAddress, *, limit: float, name: str, report: CacheReport, what: str = "the cache"
    ) -> None:
        self._address = address
        self._limit = limit
        self._name = name
        self._what = what
        self._connection: Any = None
        self._lock = asyncio.Lock()
        self._lost = asyncio.Event()
        self._names: Mapping[str, str] = {
            script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in scripts.ALL
        }
        self._logged_at, self._logged = 0.0, True
        self._report = report
        self.away: str | None = f"Redis at {address.place} has not been reached yet"
        """Why it cannot be used now, in words for operators; None while it can."""
        report.wrong = self.away

    async def keep(self) -> None:
        """Connect, and connect again after each loss. Call it in a task of its own, and cancel that to end."""
        pause = FIRST_PAUSE
        try:
            while True:
                began = time.monotonic()
                self._lost.clear()
                try:
                    self._connection = await self._connect()
                except Exception as error:  # noqa: BLE001 - a server that is not Redis may answer anything
                    self._failed(error)
                else:
                    self._is(None)
                    await self._wait_until_lost()
                if time.monotonic() - began > STEADY:
                    pause = FIRST_PAUSE
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            await self._drop()

    async def _wait_until_lost(self) -> None:
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOG_EVERY):  # wait_for loses a cancellation that comes with the event
                    await self._lost.wait()
            self._tell()  # what could not be logged when it changed, since that was too soon

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Any:
        """Run one of the scripts. Raises CacheAway and CacheFull."""
        async with self._lock:
            if self._connection is None:
                raise CacheAway(self.away)
            try:
                return await self._call(self._connection, script, keys, arguments)
            except OutOfMemoryError as error:
                self._report.errors += 1
                raise CacheFull(str(error)) from None
            except Exception as error:  # noqa: BLE001 - a server that is not Redis may answer anything
                self._failed(error)
                await self._drop()
                raise CacheAway(self.away) from None
            except BaseException:
                await self._drop()  # the call was cancelled, and the next caller would get its answer
                raise

    async def _call(self, connection: Any, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        async with asyncio.timeout(self._limit):
            await connection.send_command("EVALSHA", self._names[script], len(keys), *keys, *arguments)
            return await connection.read_response()

    async def _connect(self) -> Any:
        connection = self._new()
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await connection.connect()
                for script in scripts.ALL:
                    await connection.send_command("SCRIPT", "LOAD", script)
                    await connection.read_response()
            await self._call(connection, scripts.READ, ["-"], ["", 1])  # refused by a replica, and timed
        except BaseException:
            await _close(connection)
            raise
        return connection

    def _new(self) -> Any:
        address = self._address
        kinds: dict[str, Any] = {
            "db": address.db,
            "username": address.user,
            "password": address.password,
            "client_name": self._name,
            "socket_timeout": None,  # each call has its own limit
            "socket_connect_timeout": None,
            "driver_info": None,  # else two more commands at each connect, which a restricted user may not send
        }
        if address.path:
            return UnixDomainSocketConnection(path=address.path, **kinds)
        if address.tls:
            return SSLConnection(host=address.host, port=address.port, **address.files, **kinds)
        return Connection(host=address.host, port=address.port, **kinds)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._lost.set()
        if connection is not None:
            await _close(connection)

    def _failed(self, error: Exception) -> None:
        self._report.errors += 1
        self._is(f"Redis at {self._address.place} {_in_words(self._address, error)}")

    def _is(self, away: str | None) -> None:
        self.away = self._report.wrong = away
        self._tell()

    def _tell(self) -> None:
        """Log that Redis is away or back, once for each change, and at most once in LOG_EVERY seconds."""
        works, now = self.away is None, time.monotonic()
        if works == self._logged or (self._logged_at and now - self._logged_at < LOG_EVERY):
            return
        self._logged, self._logged_at = works, now
        if works:
            log.info("%s works again", self._what)
        else:
            log.warning("works without %s", self._what, reason=self.away)


async def _close(connection: Any) -> None:
    await connection.disconnect(nowait=True)


def _in_words(address: RedisAddress, error: Exception) -> str:
    said = clean(str(error))[:200]
    match error:
        case TimeoutError() | TooSlow():
            return "does not answer in time"
        case AuthenticationError() if address.password is None:
            return "wants a password, and REDIS_URL has none"
        case AuthenticationError():
            return "refuses the user or the password of REDIS_URL"
        case NoPermissionError():
            return f"does not give the user of REDIS_URL the rights that the cache needs: {said}"
        case ReadOnlyError():
            return "is a replica, which may not be written: REDIS_URL has to lead to the primary"
        case BusyLoadingError():
            return "is still loading its data"
        case InvalidResponse():
            return NOT_REDIS
        case ResponseError() if "compiling script" in said:
            return "is too old: version 7 or newer is needed"
        case ResponseError():
            return f"answers with an error: {said}"
        case NotConnected() | OSError():
            return f"cannot be reached: {said}"
        case _:  # the client stumbles over what it has not expected
            return NOT_REDIS
