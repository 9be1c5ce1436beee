"""Hints: a notification of PostgreSQL wakes all who wait for one; in case it is lost, they look by themselves, too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from core.adapters.postgres.connection import Connection, Link
from core.errors import Unavailable

R = TypeVar("R")


class Hints:
    """One connection that listens for all waiters. It is opened when the first of them comes."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]], channel: str) -> None:
        self._open = open_
        self._channel = channel
        self._link = Link(self._open_listening)
        self._next = asyncio.Event()

    async def listen(self) -> None:
        """Open the connection, so that `wait` returns at a notification. Without a connection, `wait` only polls."""
        with contextlib.suppress(Unavailable):
            await self._link.run(
                _nothing
            )  # a link serves one caller after the other, so it opens one connection for all

    async def run(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Run a read on the connection that listens. After it, `wait` returns at a notification."""
        return await self._link.run(work)

    def coming(self) -> asyncio.Event:
        """The event that the next notification sets.

        Call this before you look, so that a notification between the look and `wait` is not missed.
        """
        return self._next

    async def wait(self, coming: asyncio.Event, *, at_most: float, stop: asyncio.Event | None = None) -> None:
        """Return at the notification, when the connection is lost, when `stop` is set, or after `at_most` seconds."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (coming, stop) if event is not None]
        try:
            await asyncio.wait(waiting, timeout=at_most, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def close(self) -> None:
        self._link.close()

    async def _open_listening(self) -> Connection:
        connection = await self._open()
        try:
            await connection.add_listener(self._channel, self._on_notification)
            connection.add_termination_listener(self._on_notification)
        except BaseException:  # also if the caller is cancelled
            connection.terminate()
            raise
        return connection

    def _on_notification(self, *_: Any) -> None:
        event, self._next = self._next, asyncio.Event()
        event.set()


async def _nothing(_: Connection) -> None:
    pass
