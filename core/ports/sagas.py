"""Sagas: which of them are due, and which runner may advance each of them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import msgspec

from core.domain.message import OrderId, SagaId


class Claim(msgspec.Struct, frozen=True):
    """A saga that a runner holds until its lease ends. Appends name the lease's number, `epoch`, as a proof.

    `claims` counts how often the saga has been claimed since its last event.
    """

    saga_id: SagaId
    name: str
    definition: int
    order_id: OrderId
    epoch: int
    claims: int


class SagaLog(Protocol):
    async def claim(self, owner: str, *, limit: int, lease: timedelta) -> Sequence[Claim]:
        """Claim sagas that are due, the longest due first, by the database's clock. Two never claim the same one."""
        ...

    async def extend(self, owner: str, leases: Mapping[SagaId, int], *, lease: timedelta) -> Sequence[SagaId]:
        """Renew leases, given as epochs by saga. Returns the sagas that another runner has claimed since."""
        ...

    async def owners(self) -> Sequence[str]:
        """The owners that hold a lease which has not run out."""
        ...

    async def release(self, owners: Sequence[str]) -> int:
        """End the leases of these owners, so that their sagas are due now. The epochs stay. Returns how many."""
        ...

    async def wake(self, saga_ids: Sequence[SagaId]) -> None:
        """Make parked sagas due now. Claimed ones are left alone: their owners meet a conflict and read again."""
        ...

    async def set_due(self, parked: Mapping[SagaId, int], *, due_in: timedelta) -> None:
        """Make parked sagas, given as epochs by saga, due after this time. Those claimed since are left alone."""
        ...

    async def epoch(self, saga_id: SagaId) -> int | None:
        """The epoch of a saga's last lease; None when there is no such saga. Raises Unavailable."""
        ...

    async def reached(self, reader: str) -> int:
        """The position up to which a reader has started all sagas that had to be started; 0 at first."""
        ...

    async def reach(self, reader: str, position: int) -> None:
        """Move the reader's checkpoint forward, never back.

        The checkpoint may be behind the sagas that are started already, since starting one twice does nothing.
        """
        ...

    async def forget_keys(self, *, older_than: timedelta, limit: int) -> int:
        """Delete at most `limit` idempotency keys that are older than this. Returns how many it deleted."""
        ...
