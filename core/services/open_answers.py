"""Open: answers show in the clear what is sealed in the log, or say that it is erased once its key is destroyed."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from core.domain.sealed_customer import pseudonym_of
from core.errors import Unavailable
from core.filters.order_query import OrderQuery
from core.ports.customer_keys import CustomerKeys
from core.sealing import SealingKey, find_sealed, has_sealed, opened

KEPT = 2.0  # seconds for which a process remembers a key; an erasure is answered when they have passed
MOST_KEPT = 10_000  # keys that a process remembers


class _Remembered(NamedTuple):
    """A key that was read, or None if there was none, and until when that may be believed."""

    until: float
    key: SealingKey | None


FORGOTTEN = _Remembered(0, None)


class AnswerOpener:
    """Opens what is sealed in JSON, and finds the orders of a customer whom the log names by a pseudonym."""

    def __init__(self, keys: CustomerKeys) -> None:
        self._keys = keys
        self._known: dict[UUID, _Remembered] = {}
        self._seals = False

    async def look(self) -> None:
        """See whether anything was ever sealed. Raises Unavailable."""
        self._seals = await self._keys.any()

    async def open(self, body: bytes) -> bytes:
        """A JSON text with everything opened. Raises Unavailable while the keys cannot be read."""
        if not has_sealed(body) or not (found := find_sealed(body)):
            return body
        self._seals = True
        return opened(body, found, await self._read({one.pseudonym for one in found}))

    async def open_all(self, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield await self.open(chunk)

    async def names_of(self, customer_id: str) -> tuple[str, ...]:
        """The names under which the read models have a customer: that before anything was sealed, and the pseudonym.

        Raises Unavailable if the keys cannot be read and something was sealed.
        """
        try:
            pseudonym = await self._keys.find(customer_id)
        except Unavailable:
            if self._seals:
                raise
            return (customer_id,)
        return (customer_id,) if pseudonym is None else (customer_id, pseudonym_of(pseudonym))

    async def with_names(self, query: OrderQuery) -> OrderQuery:
        """The query, for orders under each of the customers' names."""
        if not (query.customer_id or query.not_customer_id):
            return query
        return replace(
            query,
            customer_id=await self._names(query.customer_id),
            not_customer_id=await self._names(query.not_customer_id),
        )

    async def _names(self, customers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple([name for customer in customers for name in await self.names_of(customer)])

    async def _read(self, wanted: set[UUID]) -> dict[UUID, SealingKey]:
        """The keys, as they were at most `KEPT` seconds ago. Those that are destroyed are missing."""
        now = time.monotonic()
        keys = {one: key for one in wanted if (key := self._known.get(one, FORGOTTEN).key)}
        missing = [one for one in wanted if self._known.get(one, FORGOTTEN).until <= now]
        if missing:
            found = await self._keys.read(missing)
            if len(self._known) + len(missing) > MOST_KEPT:
                self._known.clear()
            self._known |= {one: _Remembered(now + KEPT, found.get(one)) for one in missing}
            keys = {one: key for one, key in keys.items() if one not in missing} | dict(found)
        return keys
