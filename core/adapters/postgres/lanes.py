"""Lanes: a few connections for all reads, so that a long read delays only the reads on its own connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.adapters.postgres.connection import Connection, Link

R = TypeVar("R")


async def opened_with(open_: Callable[[], Awaitable[Connection]], *settings: str) -> Connection:
    """Open a connection, and set some of its settings for as long as it is open."""
    connection = await open_()
    try:
        await connection.execute("; ".join(f"SET {setting}" for setting in settings))
    except BaseException:
        connection.terminate()
        raise
    return connection


class Lanes:
    """Runs each read on the connection with the shortest queue."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]], *, count: int = 4) -> None:
        self._lanes = [Link(open_) for _ in range(count)]
        self._queued = [0] * count

    async def run(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        lane = self._queued.index(min(self._queued))
        self._queued[lane] += 1
        try:
            return await self._lanes[lane].run(work)
        finally:
            self._queued[lane] -= 1

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()
