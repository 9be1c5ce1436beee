"""Generations of the orders with a cache: what is cached of the tables of before is never answered after the switch."""

from __future__ import annotations

import contextlib
import secrets
from datetime import timedelta
from typing import Any

from core.adapters.redis import scripts
from core.adapters.redis.link import CacheAway, CacheFull, RedisLink
from core.ports.generations import Generations

HELD = 5_000  # milliseconds; a switch takes less, and whoever dies in the middle holds the cache no longer


class CachedGenerations:
    """See `core.ports.generations.Generations`. It passes on the methods that it does not have."""

    def __init__(self, generations: Generations, link: RedisLink, board: str) -> None:
        self._generations = generations
        self._link = link
        self._board = board

    async def switch(self, id_: int, *, within: timedelta, keep: timedelta) -> str:
        """Without Redis it waits: readers may still reach it, and would get orders of before."""
        try:
            await self._hold(HELD)
        except (CacheAway, CacheFull) as error:
            return f"the cache cannot be told: {error}"
        try:
            return await self._generations.switch(id_, within=within, keep=keep)
        finally:
            with contextlib.suppress(CacheAway, CacheFull):
                await self._hold(0)

    async def _hold(self, milliseconds: int) -> None:
        await self._link.run(scripts.HOLD, [self._board], (secrets.token_hex(8), milliseconds))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generations, name)
