"""The keys of customers: one for each, as long as the customer is not erased. Nothing else can read what is sealed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol
from uuid import UUID

from core.sealing import SealingKey


class CustomerKeys(Protocol):
    """The methods raise Unavailable and DatabaseFault."""

    async def key_for(self, customer_id: str) -> SealingKey:
        """The key of a customer, who gets one, and a pseudonym, if there is none."""
        ...

    async def find(self, customer_id: str) -> UUID | None:
        """The pseudonym of a customer, who is named by the own reference or by the pseudonym as it stands in events.

        None if nothing was ever sealed for such a one. An erased customer is found by the pseudonym only.
        """
        ...

    async def read(self, pseudonyms: Iterable[UUID]) -> Mapping[UUID, SealingKey]:
        """The keys of these customers. Those that were destroyed, or never made, are missing."""
        ...

    async def destroy(self, pseudonym: UUID) -> bool:
        """Destroy a key for good. Returns whether there was one."""
        ...

    async def orders_in_the_clear(self, customer_id: str) -> int:
        """How many orders the read models have under the customer's own reference: none of these can be erased."""
        ...

    async def any(self) -> bool:
        """Whether there is a key, or was one."""
        ...
