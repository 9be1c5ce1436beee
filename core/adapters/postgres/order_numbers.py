"""Order numbers from a sequence in the database, fetched in blocks, so that most numbers cost no round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from core.adapters.postgres.connection import Link
from core.domain.order_number import order_number

BLOCK = 1_000  # numbers
TAKE = "SELECT nextval('order_number_blocks') AS block, (SELECT key FROM order_number_key) AS key"


class PostgresOrderNumbers:
    """See `core.ports.log.OrderNumbers`. Numbers of a block that are left when the process ends are never used."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._left: Iterator[int] = iter(())
        self._key = b""
        self._lock = asyncio.Lock()

    async def take(self) -> str:
        n = next(self._left, None)
        if n is None:
            n = await self._refill()
        return order_number(n, self._key)

    async def _refill(self) -> int:
        async with self._lock:
            n = next(self._left, None)  # another caller may have refilled while we waited
            if n is None:
                row = await self._link.run(lambda c: c.fetchrow(TAKE))
                assert row is not None  # noqa: S101 - a SELECT without FROM has one row
                self._key = row["key"]
                self._left = iter(range(row["block"] * BLOCK, (row["block"] + 1) * BLOCK))
                n = next(self._left)
        return n
