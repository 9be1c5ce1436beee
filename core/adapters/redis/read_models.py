"""The ReadModels port of the orders with a cache: orders are marked before they are saved, and stored afterwards."""

from __future__ import annotations

from typing import Any

from core.adapters.redis.writer import OrderWriter
from core.ports.reading import Changes, Opened, ReadModels


class CachedReadModels:
    """See `core.ports.reading.ReadModels`. It passes on the methods that it does not have."""

    def __init__(self, read_models: ReadModels, writer: OrderWriter) -> None:
        self._read_models = read_models
        self._writer = writer

    async def open(self) -> Opened:
        self._writer.lost()
        opened = await self._read_models.open()
        self._writer.opened({0: opened.epoch}, 1)
        return opened

    async def save(self, changes: Changes) -> None:
        try:
            async with self._writer.changing(changes.views):
                await self._read_models.save(changes)
        except BaseException:
            self._writer.lost()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read_models, name)
