"""The Queries port with a cache: an order is read from Redis by its id, as long as the projectors vouch for it.

An entry is never staler than the read model: see `core.adapters.redis.scripts`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from core.adapters.coalesce import Coalescer
from core.adapters.redis import entries, scripts
from core.adapters.redis.link import CacheAway, CacheFull, RedisLink
from core.domain.message import OrderId
from core.ports.listed_orders import OrderDocument
from core.ports.order_cache import CacheReport
from core.ports.queries import Queries

TOKEN_LASTS = 2_000  # milliseconds in which a reader must have read an order, to store it
ABSENCE_LASTS = 5_000  # milliseconds for which it is remembered that the read model does not have an order
MOST_FILLS_WAIT = 1_000  # orders that were read and wait to be stored; more are not stored
FILLS_TOGETHER = 64
SAME_PROMISE = 2.5  # seconds after which a promise that was not renewed is not believed, whatever Redis's clock says


class _Permit:
    """Allows one of the callers that read an order to store it."""

    __slots__ = ("generation", "token")

    def __init__(self, generation: bytes, token: str) -> None:
        self.generation = generation
        self.token: str | None = token

    def use(self) -> str | None:
        """The token, the first time."""
        token, self.token = self.token, None
        return token


class _Hit(NamedTuple):
    document: OrderDocument | None


class _Fill(NamedTuple):
    order_id: OrderId
    generation: bytes
    token: str
    document: OrderDocument | None


class CachedQueries:
    """See `core.ports.queries.Queries`. `board` is the key of the board on which the projectors make their promises."""

    def __init__(self, queries: Queries, link: RedisLink, *, board: str, seconds: float, report: CacheReport) -> None:
        self._queries = queries
        self._link = link
        self._board = board
        self._lasts = round(1000 * seconds)
        self._report = report
        self._process = secrets.token_hex(8)
        self._reads = 0
        self._promise = (b"", 0.0)  # the end of the promise as Redis says it, and when it was seen first
        self._entries = Coalescer[OrderId, _Hit | _Permit](self._read)
        self._fills: list[_Fill] = []
        self._filling: asyncio.Task[None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queries, name)  # everything else is read as without a cache

    async def order(self, order_id: OrderId) -> OrderDocument | None:
        found = await self._entries.get(order_id) if self._link.away is None else None
        if isinstance(found, _Hit):
            self._report.hits += 1
            return found.document
        document = await self._queries.order(order_id)
        if found is None or (token := found.use()) is None:
            self._report.bypasses += 1
            return document
        self._report.misses += 1
        self._fill(_Fill(order_id, found.generation, token, document))
        return replace(document, cache="miss") if document is not None else None

    async def _read(self, ids: Sequence[OrderId]) -> Mapping[OrderId, _Hit | _Permit]:
        """What the cache has for each order: an entry, or the permission to store one; else the order is left out."""
        self._reads += 1
        token = f"{self._process}-{self._reads}"
        keys = [self._board, *map(entries.key_of, ids)]
        try:
            answer: Any = await self._link.run(scripts.READ, keys, (token, TOKEN_LASTS))
        except (CacheAway, CacheFull):
            return {}
        if len(answer) != len(ids) + 3 or not self._believes(answer[2]):
            self._report.wrong = "no projector vouches for the cached orders"
            return {}
        self._report.wrong = None
        generation, now = answer[0], int(answer[1])
        found: dict[OrderId, _Hit | _Permit] = {}
        not_ours: list[str] = []
        for order_id, value in zip(ids, answer[3:], strict=True):
            if value == 1:
                found[order_id] = _Permit(generation, token)
            elif isinstance(value, bytes):
                if (entry := entries.read(order_id, value)) is None:
                    not_ours.append(entries.key_of(order_id))
                    continue
                age = max(0, now - entry.stored_at) // 1000
                document = entry.document
                found[order_id] = _Hit(replace(document, cache="hit", age=age) if document is not None else None)
        if not_ours:
            with contextlib.suppress(CacheAway, CacheFull):
                await self._link.run(scripts.FORGET, [self._board, *not_ours], [""])
        return found

    def _believes(self, limit: bytes) -> bool:
        """Whether the promise has been renewed lately by our own clock: somebody may set back the one of Redis."""
        now = time.monotonic()
        if limit != self._promise[0]:
            self._promise = (limit, now)
        return now - self._promise[1] < SAME_PROMISE

    # --- storing what was read ------------------------------------------------------------------------------
    def _fill(self, fill: _Fill) -> None:
        """Store what was read, in the background: nobody waits for it."""
        if len(self._fills) < MOST_FILLS_WAIT:
            self._fills.append(fill)
        if self._filling is None:
            self._filling = asyncio.create_task(self._store_fills())

    async def _store_fills(self) -> None:
        try:
            while self._fills:
                generation = self._fills[-1].generation  # nothing read in an earlier one may be stored
                fills = [fill for fill in self._fills[:FILLS_TOGETHER] if fill.generation == generation]
                del self._fills[:FILLS_TOGETHER]
                await self._store(generation, fills)
        except (CacheAway, CacheFull):
            self._fills.clear()
        finally:
            self._filling = None

    async def _store(self, generation: bytes, fills: Sequence[_Fill]) -> None:
        keys, arguments = [self._board], list[str | bytes | int]([generation])
        for order_id, _, token, document in fills:
            keys.append(entries.key_of(order_id))
            if document is None:
                head, body = entries.written(order_id, 0, 0, b"")
                lasts = min(ABSENCE_LASTS, self._lasts)
            else:
                head, body = entries.written(order_id, document.version, document.payment_version, document.json)
                lasts = self._lasts
            arguments += (token, lasts, head, body)
        await self._link.run(scripts.FILL, keys, arguments)
