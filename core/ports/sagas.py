"""Sagas: which of them are due, and who may advance one for the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import msgspec

from core.domain.message import OrderId, SagaId


class Claim(msgspec.Struct, frozen=True):
    """A saga that is ours until its lease ends; `epoch` proves it."""

    saga_id: SagaId
    name: str
    definition: int
    order_id: OrderId
    epoch: int
    claims: int


class SagaLog(Protocol):
    async def claim(self, owner: str, *, limit: int, lease: timedelta) -> Sequence[Claim]:
        """Claim sagas that are due, oldest first, on the database's clock; never one that another just claimed."""
        ...

    async def extend(self, owner: str, leases: Mapping[SagaId, int], *, lease: timedelta) -> Sequence[SagaId]:
        """Renew the leases of sagas, given with their epochs; returns those that another has claimed since."""
        ...

    async def owners(self) -> Sequence[str]:
        """Whose leases have not run out."""
        ...

    async def release(self, owners: Sequence[str]) -> int:
        """End these owners' leases, so that their sagas are due now; returns how many. Their epochs stay."""
        ...

    async def wake(self, saga_ids: Sequence[SagaId]) -> None:
        """Make parked sagas due now. One that is claimed is left alone: its owner sees the conflict by itself."""
        ...

    async def epoch(self, saga_id: SagaId) -> int | None:
        """The epoch of a saga's last lease; None when there is no such saga. Raises Unavailable."""
        ...

    async def reached(self, reader: str) -> int:
        """The position up to which a reader has started what was to be started; 0 at first."""
        ...

    async def reach(self, reader: str, position: int) -> None:
        """Move the checkpoint on, never back. Starting is idempotent, so it may lag behind what was done."""
        ...

    async def forget_keys(self, *, older_than: timedelta, limit: int) -> int:
        """Delete idempotency keys of an age; returns how many, at most `limit`."""
        ...
