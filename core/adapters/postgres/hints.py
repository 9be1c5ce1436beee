"""Hints: everyone who waits is woken when PostgreSQL notifies; if a notification is lost, they look again soon."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from core.adapters.postgres.connection import Connection, Link
from core.errors import Unavailable

POLL = 0.25  # seconds between looks without a notification


class Hints:
    """One listening connection for any number of waiters, opened when the first one comes."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]], channel: str) -> None:
        self._open = open_
        self._channel = channel
        self._link = Link(self._open_listening)
        self._next = asyncio.Event()

    async def listen(self) -> None:
        """Open the connection, so that `wait` returns at a notification; while there is none, `wait` polls."""
        with contextlib.suppress(Unavailable):
            await self._link.run(_nothing)  # the link is taken in turn, so all waiters share one connection

    def coming(self) -> asyncio.Event:
        """Set at the next notification. Take it before looking, so that none falls between the look and the wait."""
        return self._next

    async def wait(self, coming: asyncio.Event, *, at_most: float) -> None:
        """Return at that notification or when it is time to look again, at the latest after `at_most` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(coming.wait(), min(POLL, at_most))

    def close(self) -> None:
        self._link.close()

    async def _open_listening(self) -> Connection:
        connection = await self._open()
        try:
            await connection.add_listener(self._channel, self._hinted)
        except BaseException:  # also when whoever waits for the connection has gone
            connection.terminate()
            raise
        return connection

    def _hinted(self, *_: Any) -> None:
        past, self._next = self._next, asyncio.Event()
        past.set()


async def _nothing(_: Connection) -> None:
    pass
