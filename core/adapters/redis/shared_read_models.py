"""Shared read models of the orders with a cache: orders are marked before they are saved, and stored afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.adapters.redis.writer import OrderWriter
from core.ports.shared_models import SharedChanges, SharedReadModels, ShareState


class CachedSharedReadModels:
    """See `core.ports.shared_models.SharedReadModels`. It passes on the methods that it does not have."""

    def __init__(self, read_models: SharedReadModels, writer: OrderWriter, count: int) -> None:
        self._read_models = read_models
        self._writer = writer
        self._count = count

    async def open(self) -> None:
        self._writer.lost()
        await self._read_models.open()

    async def take(self, held: Mapping[int, int]) -> tuple[Mapping[int, ShareState], int]:
        self._writer.lost()
        taken = await self._read_models.take(held)
        self._writer.opened(held, self._count)
        return taken

    async def save(self, changes: SharedChanges) -> None:
        try:
            async with self._writer.changing(changes.views):
                await self._read_models.save(changes)
        except BaseException:
            self._writer.lost()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read_models, name)
