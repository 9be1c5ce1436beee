"""The keys of customers in the table `customer_keys`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID, uuid4

from asyncpg import Record

from core.adapters.coalesce import Coalescer
from core.adapters.postgres.connection import Link
from core.domain.sealed_customer import customer_of
from core.sealing import SealingKey, make_key

BY_LOOKUP = "SELECT lookup, pseudonym, key, reference FROM customer_keys WHERE lookup = ANY ($1::bytea[])"
FIND = """
SELECT lookup, pseudonym FROM customer_keys WHERE lookup = ANY ($1::bytea[]) OR pseudonym = ANY ($2::uuid[])
"""
BY_PSEUDONYM = """
SELECT pseudonym, key, reference FROM customer_keys WHERE pseudonym = ANY ($1::uuid[]) AND erased_at IS NULL
"""

# Of two processes that make a key for one customer, the second one gets no row, and finds that of the first. The commit
# need not wait for the disk: whatever is sealed with the key is recorded later, and waits until both are there.
MAKE = """
WITH at_once AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO customer_keys (lookup, pseudonym, key, reference)
SELECT made.* FROM at_once CROSS JOIN unnest($1::bytea[], $2::uuid[], $3::bytea[], $4::bytea[]) AS made ORDER BY 1
    ON CONFLICT (lookup) DO NOTHING
RETURNING lookup, pseudonym, key, reference
"""
DESTROY = """
UPDATE customer_keys SET lookup = NULL, key = NULL, reference = NULL, erased_at = clock_timestamp()
 WHERE pseudonym = $1 AND erased_at IS NULL
"""

IN_THE_CLEAR = "SELECT coalesce(sum(orders), 0) FROM customer_summaries WHERE customer_id = $1"


class PostgresCustomerKeys:
    """See `core.ports.customer_keys.CustomerKeys`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._made: Coalescer[str, SealingKey] = Coalescer(self._find_or_make)
        self._found: Coalescer[str, UUID] = Coalescer(self._find_together)
        self._read: Coalescer[frozenset[UUID], Mapping[UUID, SealingKey]] = Coalescer(self._read_together)

    async def key_for(self, customer_id: str) -> SealingKey:
        key = await self._made.get(customer_id)
        assert key is not None  # noqa: S101 - a missing one was made
        return key

    async def find(self, customer_id: str) -> UUID | None:
        return await self._found.get(customer_id)

    async def read(self, pseudonyms: Iterable[UUID]) -> Mapping[UUID, SealingKey]:
        return await self._read.get(frozenset(pseudonyms)) or {}

    async def destroy(self, pseudonym: UUID) -> bool:
        return await self._link.run(lambda c: c.execute(DESTROY, pseudonym)) == "UPDATE 1"

    async def orders_in_the_clear(self, customer_id: str) -> int:
        return int(await self._link.run(lambda c: c.fetchval(IN_THE_CLEAR, customer_id)))

    async def any(self) -> bool:
        return bool(await self._link.run(lambda c: c.fetchval("SELECT EXISTS (SELECT FROM customer_keys)")))

    async def _find_together(self, customer_ids: Sequence[str]) -> Mapping[str, UUID]:
        names = {one: (_lookup_of(one), customer_of(one)) for one in customer_ids}
        lookups, pseudonyms = zip(*names.values(), strict=True)
        rows = await self._link.run(lambda c: c.fetch(FIND, lookups, [one for one in pseudonyms if one is not None]))
        found = [(row["lookup"], UUID(bytes=row["pseudonym"].bytes)) for row in rows]  # an erased one has no lookup
        by_lookup = dict(found)
        by_pseudonym: dict[UUID | None, UUID] = {pseudonym: pseudonym for _, pseudonym in found}
        return {
            one: known
            for one, (lookup, pseudonym) in names.items()
            if (known := by_lookup.get(lookup) or by_pseudonym.get(pseudonym)) is not None
        }

    async def _find_or_make(self, customer_ids: Sequence[str]) -> Mapping[str, SealingKey]:
        found = dict(await self._lookup(customer_ids))
        while missing := [customer for customer in customer_ids if customer not in found]:
            found |= await self._make(missing)
            if others := [customer for customer in missing if customer not in found]:
                found |= await self._lookup(others)  # again if one was erased between the two statements
        return found

    async def _make(self, customer_ids: Sequence[str]) -> Mapping[str, SealingKey]:
        rows = [(_lookup_of(one), key.pseudonym, key.key, key.reference) for one, key in _new_keys(customer_ids)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        return _by_customer(customer_ids, await self._link.run(lambda c: c.fetch(MAKE, *columns)))

    async def _lookup(self, customer_ids: Sequence[str]) -> Mapping[str, SealingKey]:
        lookups = [_lookup_of(customer) for customer in customer_ids]
        return _by_customer(customer_ids, await self._link.run(lambda c: c.fetch(BY_LOOKUP, lookups)))

    async def _read_together(
        self, wanted: Sequence[frozenset[UUID]]
    ) -> Mapping[frozenset[UUID], Mapping[UUID, SealingKey]]:
        """The keys that several answers need, which are read by one statement."""
        rows = await self._link.run(lambda c: c.fetch(BY_PSEUDONYM, list(frozenset[UUID]().union(*wanted))))
        keys = sealing_keys(rows)
        return {each: {one: keys[one] for one in each if one in keys} for each in wanted}


def sealing_keys(rows: Iterable[Record]) -> Mapping[UUID, SealingKey]:
    """The keys in rows of the table, by the pseudonyms of the customers."""
    return {key.pseudonym: key for key in map(_key, rows)}


def _by_customer(customer_ids: Sequence[str], rows: Iterable[Record]) -> Mapping[str, SealingKey]:
    customers = {_lookup_of(customer): customer for customer in customer_ids}
    return {customers[row["lookup"]]: _key(row) for row in rows}


def _lookup_of(customer_id: str) -> bytes:
    return hashlib.sha256(customer_id.encode()).digest()


def _new_keys(customer_ids: Sequence[str]) -> Sequence[tuple[str, SealingKey]]:
    """The pseudonyms are no UUIDv7, which would say when a customer came."""
    return [(customer, make_key(uuid4(), customer)) for customer in customer_ids]


def _key(row: Record) -> SealingKey:
    return SealingKey(UUID(bytes=row["pseudonym"].bytes), row["key"], row["reference"])
