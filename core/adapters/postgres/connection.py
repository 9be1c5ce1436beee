"""Connections to PostgreSQL: with the limits and the role of the daemons, and opened again after they were lost."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import asyncpg

from core.adapters.postgres.driver_errors import AWAY, connection_lost, translated, translating
from core.adapters.postgres.outage import LOSES_EACH, losses_in_a_row, outage_of
from core.adapters.postgres.session import ROLE, set_up
from core.database_address import FILES, DatabaseAddress, read_address
from core.errors import ConfigurationError, DatabaseFault, OrderdeckError, Unavailable, ValuesRefused
from core.metrics import CONNECTIONS, DATABASE_CALLS, DATABASE_WAIT

R = TypeVar("R")

CONNECT_TIMEOUT = 5.0  # seconds
HEAD_START = 0.5  # seconds that a server has before the next one of the address is tried beside it


class Connection(Protocol):
    """The part of asyncpg.Connection that we use, with the types that asyncpg leaves out."""

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]: ...
    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...
    async def copy_to_table(self, table_name: str, *, source: memoryview, **how: Any) -> str: ...
    def cursor(self, query: str, *args: Any) -> Awaitable[Any]: ...
    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...
    async def remove_listener(self, channel: str, callback: Callable[..., None]) -> None: ...
    def add_termination_listener(self, callback: Callable[..., None]) -> None: ...
    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[Any]: ...
    def is_closed(self) -> bool: ...
    def is_in_transaction(self) -> bool: ...
    def terminate(self) -> None: ...
    def get_server_pid(self) -> int: ...
    async def close(self) -> None: ...


async def connect(dsn: str, *, name: str, role: str | None = ROLE, limits: bool = True) -> Connection:
    """Open a connection and set up its session. `name` is shown in pg_stat_activity.

    Raises Unavailable, DatabaseFault, and ConfigurationError when the session is not as it has to be. While the
    database is away, most calls raise Unavailable at once; the log says when that begins and ends.
    """
    return await outage_of(dsn).connect(lambda: open_session(dsn, name=name, role=role, limits=limits))


async def see_through(dsn: str, *, name: str) -> None:
    """Until cancelled: while the database is away, try to connect, also when nothing else of this process does."""
    await outage_of(dsn).see_through(lambda: connect(dsn, name=name))


async def open_session(dsn: str, *, name: str, role: str | None = ROLE, limits: bool = True) -> Connection:
    """As `connect`, but it tries each time, and logs nothing."""
    address = address_of(dsn)
    connection = await open_connection(address, wait=10 if limits else None)
    CONNECTIONS.inc()
    connection.add_termination_listener(_gone)
    try:
        with translating():
            await set_up(connection, name=name, role=role, limits=limits, address=address)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _gone(_: object) -> None:
    CONNECTIONS.dec()


async def open_connection(address: DatabaseAddress, *, wait: float | None, prepare: bool = True) -> Connection:
    """Connect and send no statement: the session has the server's defaults. A statement may take `wait` seconds.

    With `prepare`, the server keeps statements prepared, which needs a session of our own. Nothing is set by startup
    parameters, because poolers such as PgBouncer refuse or drop most of them.
    """
    connect_: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]

    async def open_one(hosts: Sequence[tuple[str, int]]) -> Connection:
        opened = await connect_(
            address.driver_url,
            host=[host for host, _ in hosts] or None,
            port=[port for _, port in hosts] or None,
            user=address.user,
            password=address.password,
            database=address.database,
            timeout=CONNECT_TIMEOUT,
            command_timeout=wait,
            **({} if prepare else {"statement_cache_size": 0}),
        )
        return cast("Connection", opened)

    role = address.driver.get("target_session_attrs", "any")
    try:
        if role == "prefer-standby" or len(address.hosts) < 2:
            return await open_one(address.hosts)
        return await first_to_open([partial(open_one, [host]) for host in address.hosts])
    except Exception as error:
        ours = translated(error)
        if ours is None:
            raise
        if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
            ours = Unavailable(f"{AWAY}: no server that answers at its address is {role}")
        elif isinstance(ours, Unavailable):
            ours = Unavailable(f"{AWAY}: {_why(error)}" if str(error) else ours.reason)
        raise ours from error


def _why(error: Exception) -> str:
    """The driver's text names the host and port, but says nothing of a socket that is not there."""
    return "no server has opened its socket" if isinstance(error, FileNotFoundError) else str(error)


async def first_to_open(servers: Sequence[Callable[[], Awaitable[Connection]]]) -> Connection:
    """The connection to the first server that takes us; each is tried when the one before it has failed or is slow.

    The driver would try one after the other within one time limit. A machine that is off says nothing, so it would use
    up the whole limit, and the server that took its place would never be tried. Raises the error that says most.
    """
    waiting, trying, errors = list(servers), set[asyncio.Task[Connection]](), list[BaseException]()
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.ensure_future(waiting.pop(0)()))
            done, _ = await asyncio.wait(
                trying, timeout=HEAD_START if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                if (error := task.exception()) is None:
                    trying.remove(task)
                    return task.result()
                trying.remove(task)
                errors.append(error)
    finally:
        for task in trying:
            task.cancel()
        for late in await asyncio.gather(*trying, return_exceptions=True):
            if not isinstance(late, BaseException):
                late.terminate()
    raise min(errors, key=_says_little)


def _says_little(error: BaseException) -> int:
    """Least for what a person has to change, such as a wrong password; most for a server that is away."""
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return 1
    return 2 if connection_lost(error) else 0


def address_of(dsn: str) -> DatabaseAddress:
    """Read a URL of the settings, whose files must be readable; raises ConfigurationError."""
    try:
        address = read_address(dsn)
    except ValueError as error:
        raise ConfigurationError(f"the address of the database {error}") from None
    if address.driver.get("sslrootcert") == "system":
        address.driver["sslrootcert"] = ssl.get_default_verify_paths().cafile or ""
    for name in FILES:
        if not os.access(path := address.driver.get(name, os.devnull), os.R_OK):
            raise ConfigurationError(f"the file {path} cannot be read: correct {name} in the address of the database")
    return address


class Link:
    """One connection, which one caller uses at a time, and which is opened again after it was lost.

    It is no pool, because a pool resets a connection after each use, and that costs a round trip. Every method raises
    the driver's errors as Unavailable or DatabaseFault.
    """

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._open = open_
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._losses = 0  # of connections, since the last success

    async def get(self) -> Connection:
        """The connection, opened if there is none. The caller must pass errors that occur on it to `failed`."""
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await self._open()
            except Exception as error:
                raise self.failed(error) from error
        return self._connection

    def worked(self) -> None:
        """Note that a statement has succeeded on the connection that `get` has returned."""
        self._losses = 0

    def drop(self) -> None:
        """Close the connection without waiting for the server, which may never answer."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def run(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Run something that is safe to repeat. If the connection is lost, run it once more on a new one."""
        await self._take()
        try:
            connection = await self.get()
            try:
                return await self._attempt(connection, work)
            except (Unavailable, DatabaseFault) as error:
                if not connection_lost(error.__cause__):
                    raise
            return await self._attempt(await self.get(), work)
        finally:
            self._leave()

    async def once(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Run something that must not be repeated. After Unavailable, nobody knows whether it was done."""
        await self._take()
        try:
            return await self._attempt(await self.get(), work)
        finally:
            self._leave()

    def failed(self, error: Exception) -> OrderdeckError:
        """Our error for an error of the driver. Raises `error` itself if it is not one of the driver.

        The connection is dropped if it is lost, and also after a fault, because a repair such as ALTER ROLE … SET has
        an effect only in sessions that begin after it.
        """
        ours = translated(error)
        if connection_lost(error) or not isinstance(ours, (Unavailable, ValuesRefused)):
            self.drop()
        if ours is None:
            raise error
        if connection_lost(error) and isinstance(ours, Unavailable):
            self._losses += 1
            if self._losses > 1:
                losses_in_a_row.note()
                return Unavailable(LOSES_EACH, logged=True)
        return ours

    def close(self) -> None:
        self.drop()

    async def _take(self) -> None:
        """Wait until no other caller uses the connection; how long that took, and how many use or want it, is measured.

        Every read does this, and a context manager would cost twice as much.
        """
        began = time.perf_counter()
        DATABASE_CALLS.inc()
        try:
            await self._lock.acquire()
        except BaseException:
            DATABASE_CALLS.dec()
            raise
        DATABASE_WAIT.observe(time.perf_counter() - began)

    def _leave(self) -> None:
        self._lock.release()
        DATABASE_CALLS.dec()

    async def _attempt(self, connection: Connection, work: Callable[[Connection], Awaitable[R]]) -> R:
        try:
            done = await work(connection)
        except Exception as error:
            ours = self.failed(error)
            raise ours from error
        except BaseException:
            self.drop()  # the work was cancelled, and the next caller would get its answer
            raise
        self._losses = 0
        return done
