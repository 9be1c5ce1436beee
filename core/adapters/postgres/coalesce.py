"""Coalescing: reads that arrive while one is in flight travel together in the next, as one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coalescer(Generic[K, V]):
    """`get` never joins a read already in flight: that one may have looked before the caller's own write."""

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, most: int = 256) -> None:
        self._fetch = fetch
        self._most = most
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """What `fetch` found for the key, or None; raises what `fetch` raised."""
        future = self._waiting.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await asyncio.shield(future)  # others may wait for it too

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._most]
                batch = {key: self._waiting.pop(key) for key in keys}
                try:
                    found = await self._fetch(keys)
                except Exception as error:  # noqa: BLE001 - every caller raises it
                    for future in batch.values():
                        future.set_exception(error)
                        future.exception()  # else asyncio warns when its caller has gone
                else:
                    for key, future in batch.items():
                        future.set_result(found.get(key))
        finally:
            self._task = None
