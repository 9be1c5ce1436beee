"""What a cache of orders has done in this process, and what is wrong with it, for metrics and /ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CacheUse = Literal["hit", "miss", "bypass"]
"""How an order was read: from the cache; from the database, and then cached; from the database without the cache."""


@dataclass
class CacheReport:
    """The adapters of a cache count here. Without a cache, nothing changes.

    `errors`: calls and tries to connect that failed. `marked` and `written` are orders that a projector marked before
    it saved them, and whose documents it stored afterwards.
    """

    wrong: str | None = None
    hits: int = 0
    misses: int = 0
    bypasses: int = 0
    errors: int = 0
    marked: int = 0
    written: int = 0

    @property
    def hit_ratio(self) -> float:
        """The part of all reads that the cache answered; 0 before the first."""
        reads = self.hits + self.misses + self.bypasses
        return self.hits / reads if reads else 0.0
