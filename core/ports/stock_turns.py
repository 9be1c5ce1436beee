"""Turns at the stock: processes that would decide on the same SKUs at the same time do it one after the other."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class StockTurns(Protocol):
    def take(self) -> AbstractAsyncContextManager[None]:
        """Wait for our turn, and keep it until the block ends. Never raises.

        A turn saves work and guards nothing: when the database is away, or when another process keeps its turn for too
        long, the block begins without one. So what is decided in it must be safe without a turn.
        """
        ...
