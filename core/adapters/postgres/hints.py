"""Hints: a notification of PostgreSQL wakes all who wait for one; in case it is lost, they look by themselves, too.

A reader that finds something each time it looks would be woken by each commit for nothing, and so would the process of
the server that it is connected to. So it does not listen as long as that lasts, and looks by the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from core.adapters.postgres.connection import Connection, Link
from core.errors import Unavailable

R = TypeVar("R")

STEADY = 40  # reads in a row that a reader did not have to wait for, after which it does not listen
IN_VAIN = 4  # looks in a row that found nothing, after which it listens again
PAUSE = 0.005  # seconds between those looks


class Hints:
    """One connection that listens for all waiters. It is opened when the first of them comes.

    `by_the_clock`: the only reader, which uses `run`, does not listen at present.
    """

    def __init__(self, open_: Callable[[], Awaitable[Connection]], channel: str) -> None:
        self._open = open_
        self._channel = channel
        self._link = Link(self._open_listening)
        self._next = asyncio.Event()
        self.by_the_clock = False
        self._reads = 0  # since somebody waited
        self._in_vain = 0

    async def listen(self) -> None:
        """Open the connection, so that `wait` returns at a notification. Without a connection, `wait` only polls."""
        with contextlib.suppress(Unavailable):
            await self._link.run(
                _nothing
            )  # a link serves one caller after the other, so it opens one connection for all

    async def run(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Run a read on the connection that listens. After it, `wait` returns at a notification."""
        self._reads += 1
        return await self._link.run(partial(self._read, work))

    async def _read(self, work: Callable[[Connection], Awaitable[R]], connection: Connection) -> R:
        if self._reads > STEADY and not self.by_the_clock:
            await connection.remove_listener(self._channel, self._on_notification)
            self.by_the_clock, self._in_vain = True, 0
        return await work(connection)

    def coming(self) -> asyncio.Event:
        """The event that the next notification sets.

        Call this before you look, so that a notification between the look and `wait` is not missed.
        """
        return self._next

    async def wait(self, coming: asyncio.Event, *, at_most: float, stop: asyncio.Event | None = None) -> None:
        """Return at the notification, when the connection is lost, when `stop` is set, or it is time to look.

        That is within `at_most` seconds.
        """
        if coming.is_set():
            return
        reads, self._reads = self._reads, 0
        if self.by_the_clock:
            self._in_vain = self._in_vain + 1 if reads <= 1 else 1
            if self._in_vain < IN_VAIN:
                await asyncio.sleep(min(PAUSE, at_most))
            else:
                await self._listen_again()  # the caller looks at once, and finds what came before that
            return
        waiting = [asyncio.ensure_future(event.wait()) for event in (coming, stop) if event is not None]
        try:
            await asyncio.wait(waiting, timeout=at_most, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def close(self) -> None:
        self._link.close()

    async def _listen_again(self) -> None:
        try:
            await self._link.run(lambda c: c.add_listener(self._channel, self._on_notification))
            self.by_the_clock = False
        except Unavailable:
            await asyncio.sleep(PAUSE)  # who has nothing to read meanwhile, would come again at once

    async def _open_listening(self) -> Connection:
        connection = await self._open()
        self.by_the_clock = False
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
