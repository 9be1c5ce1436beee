"""Coalescing: reads that arrive while a statement runs are done together, by the next statement.

So nobody joins a read that already runs, which may have looked before the caller wrote something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from core.errors import Unavailable
from core.tracing import elsewhere

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

GIVEN_UP = "the read was given up before it had an answer"


class Coalescer(Generic[K, V]):
    """One statement at a time reads the values of all keys that are waited for."""

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, most: int = 256) -> None:
        self._fetch = fetch
        self._most = most
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The value that `fetch` returns for the key, or None. Raises what `fetch` raises."""
        future = self._waiting.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=elsewhere())
        return await asyncio.shield(future)  # shielded, because other callers may wait for the same read

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._most]
                batch = {key: self._waiting.pop(key) for key in keys}
                try:
                    values = await self._fetch(keys)
                except Exception as error:  # noqa: BLE001 - every caller raises it
                    _fail(batch.values(), error)
                except BaseException:  # the read was cancelled, and nobody will do it any more
                    _fail([*batch.values(), *self._waiting.values()], Unavailable(GIVEN_UP))
                    self._waiting.clear()
                    raise
                else:
                    for key, future in batch.items():
                        future.set_result(values.get(key))
        finally:
            self._task = None


class SameReads(Generic[K, V]):
    """Of each key one read at a time, for all who wait for it then; the reads of several keys run side by side."""

    def __init__(self, read: Callable[[K], Awaitable[V]]) -> None:
        self._read = read
        self._waiting: dict[K, asyncio.Future[V]] = {}
        self._tasks: dict[K, asyncio.Task[None]] = {}

    async def get(self, key: K) -> V:
        """What `read` returns for the key. Raises what `read` raises."""
        future = self._waiting.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
            if key not in self._tasks:
                self._tasks[key] = asyncio.create_task(self._run(key), context=elsewhere())
        return await asyncio.shield(future)  # shielded, because other callers may wait for the same read

    async def _run(self, key: K) -> None:
        try:
            while (future := self._waiting.pop(key, None)) is not None:
                try:
                    value = await self._read(key)
                except Exception as error:  # noqa: BLE001 - every caller raises it
                    _fail([future], error)
                except BaseException:  # as above
                    later = self._waiting.pop(key, None)
                    _fail([future] if later is None else [future, later], Unavailable(GIVEN_UP))
                    raise
                else:
                    future.set_result(value)
        finally:
            del self._tasks[key]


def _fail(futures: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    for future in futures:
        future.set_exception(error)
        future.exception()  # else asyncio warns when its caller has gone
