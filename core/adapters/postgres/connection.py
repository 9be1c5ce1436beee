"""Connections to PostgreSQL: with the daemons' limits and role, opened when needed and again after they were lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, cast

import asyncpg

from core.errors import Unavailable

R = TypeVar("R")

ROLE = "orderdeck_app"
"""Owns no table: a daemon, or whoever talks through it, cannot change the log."""

LIMITS = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s", "jit": "off"}
CONNECT_TIMEOUT = 5.0  # seconds

LOST = (
    OSError,  # TimeoutError and refused connections among them
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says when the connection is cut while it prepares a statement
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)
"""The server is away, or the connection to it is: whatever was under way may or may not have happened."""

AWAY = "the database is away"


class Connection(Protocol):
    """The part of asyncpg.Connection that we use, with the types that asyncpg does not give."""

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
    """Open a connection, or raise Unavailable. `name` is what pg_stat_activity shows."""
    session = {"application_name": f"orderdeck {name}", **(LIMITS if limits else {})}
    if role:
        session["role"] = role
    try:
        connect_: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
        opened = await connect_(
            dsn, timeout=CONNECT_TIMEOUT, command_timeout=10 if limits else None, server_settings=session
        )
        return cast("Connection", opened)
    except (*LOST, asyncpg.TooManyConnectionsError, asyncpg.InvalidCatalogNameError, asyncpg.PostgresError) as error:
        raise Unavailable(f"{AWAY}: {error}" if str(error) else AWAY) from error


class Link:
    """One connection for one caller at a time, reopened after it was lost; a pool's reset costs a round trip each."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._open = open_
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Connection:
        """The connection; raises Unavailable when there is none to be had."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._open()
        return self._connection

    def drop(self) -> None:
        """Give up the connection without waiting for a server that may never answer."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def run(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Run something that is safe to repeat: once more on a fresh connection when the first was lost."""
        async with self._lock:
            for last in (False, True):
                connection = await self.get()
                try:
                    return await work(connection)
                except LOST as error:
                    self.drop()
                    if last:
                        raise Unavailable(AWAY) from error
                except asyncpg.PostgresError as error:
                    raise Unavailable(f"the database refused: {error}") from error
                except BaseException:
                    self.drop()  # cancelled half way: its answer would be the next caller's
                    raise
        raise AssertionError  # the loop above returns or raises

    async def once(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Run something that must not be repeated; raises Unavailable when it may or may not have been done."""
        async with self._lock:
            connection = await self.get()
            try:
                return await work(connection)
            except LOST as error:
                self.drop()
                raise Unavailable(AWAY) from error
            except asyncpg.PostgresError as error:
                raise Unavailable(f"the database refused: {error}") from error
            except BaseException:
                self.drop()  # cancelled half way: its answer would be the next caller's
                raise

    def close(self) -> None:
        self.drop()
