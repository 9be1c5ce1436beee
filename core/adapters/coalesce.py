"""Coalescing: reads that arrive while a statement runs are done together, by the next statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from core.tracing import elsewhere

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coalescer(Generic[K, V]):
    """`get` never joins a read that already runs, which may have looked before the caller wrote something."""

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
                    for future in batch.values():
                        future.set_exception(error)
                        future.exception()  # else asyncio warns when its caller has gone
                else:
                    for key, future in batch.items():
                        future.set_result(values.get(key))
        finally:
            self._task = None
