"""Connections to PostgreSQL: with the limits and the role of the daemons, and opened again after they were lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, cast

import asyncpg

from core.adapters.postgres.driver_errors import AWAY, connection_lost, translated, translating
from core.errors import DatabaseFault, OrderdeckError, Unavailable, ValuesRefused

R = TypeVar("R")

ROLE = "orderdeck_app"
"""The role of the daemons. It owns no table, so neither a daemon nor its callers can change what is in the log."""

LIMITS = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s", "jit": "off"}
CONNECT_TIMEOUT = 5.0  # seconds


class Connection(Protocol):
    """The part of asyncpg.Connection that we use, with the types that asyncpg leaves out."""

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]: ...
    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...
    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...
    def add_termination_listener(self, callback: Callable[..., None]) -> None: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...
    async def close(self) -> None: ...


async def connect(dsn: str, *, name: str, role: str | None = ROLE, limits: bool = True) -> Connection:
    """Open a connection. `name` is shown in pg_stat_activity. Raises Unavailable or DatabaseFault."""
    session = {"application_name": f"orderdeck {name}", **(LIMITS if limits else {})}
    if role:
        session["role"] = role
    connect_: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    try:
        opened = await connect_(
            dsn, timeout=CONNECT_TIMEOUT, command_timeout=10 if limits else None, server_settings=session
        )
    except Exception as error:
        ours = translated(error)
        if ours is None:
            raise
        if isinstance(ours, Unavailable) and str(error):
            ours = Unavailable(f"{AWAY}: {error}")  # the driver's text names the host or socket
        raise ours from error
    return cast("Connection", opened)


class Link:
    """One connection, which one caller uses at a time, and which is opened again after it was lost.

    It is no pool, because a pool resets a connection after each use, and that costs a round trip. Every method raises
    the driver's errors as Unavailable or DatabaseFault.
    """

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._open = open_
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Connection:
        """The connection, opened if there is none. The caller must pass errors that occur on it to `failed`."""
        if self._connection is None or self._connection.is_closed():
            with translating():
                self._connection = await self._open()
        return self._connection

    def drop(self) -> None:
        """Close the connection without waiting for the server, which may never answer."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def run(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Run something that is safe to repeat. If the connection is lost, run it once more on a new one."""
        async with self._lock:
            connection = await self.get()
            try:
                return await self._attempt(connection, work)
            except (Unavailable, DatabaseFault) as error:
                if not connection_lost(error.__cause__):
                    raise
            return await self._attempt(await self.get(), work)

    async def once(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Run something that must not be repeated. After Unavailable, nobody knows whether it was done."""
        async with self._lock:
            return await self._attempt(await self.get(), work)

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
        return ours

    def close(self) -> None:
        self.drop()

    async def _attempt(self, connection: Connection, work: Callable[[Connection], Awaitable[R]]) -> R:
        try:
            return await work(connection)
        except Exception as error:
            ours = self.failed(error)
            raise ours from error
        except BaseException:
            self.drop()  # the work was cancelled, and the next caller would get its answer
            raise
