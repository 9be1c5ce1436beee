"""Shares: the work of a reader of the log is divided into numbered parts, each held by one process at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec


class Share(msgspec.Struct, frozen=True):
    """`position`: every event of this share up to it has been done. `owner`: who holds it now, if anybody does.

    `epoch` grows each time that somebody takes the share. `offsets`: how far it was read elsewhere than in the log.
    """

    reader: str
    number: int
    position: int
    offsets: Mapping[str, Any]
    owner: str | None
    epoch: int
    lease_until: datetime | None
    saves: int


class Shares(Protocol):
    async def keep(self, reader: str, owner: str, *, count: int, lease: timedelta) -> Mapping[int, int]:
        """Renew the leases of this owner, and take or give up shares until it has its part of `count` among all owners.

        Returns the epoch of each share that the owner holds now, for at least 0.7 of a lease. Raises SharesDivided
        while others hold shares of another count, and Unavailable.
        """
        ...

    async def owners(self, reader: str) -> Collection[str]:
        """Every process that holds a share of this reader, or stands by, by what the database knows."""
        ...

    async def leave(self, reader: str, owners: Collection[str]) -> None:
        """End the leases of these owners at once, since they have ended or are about to."""
        ...

    async def read(self, reader: str = "") -> Sequence[Share]:
        """All shares of a reader, or without one, of every reader, by their numbers."""
        ...

    async def reach(self, reader: str, positions: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Save how far shares have been done, and the lowest of all shares as the reader's position.

        Raises ShareLost when somebody else has taken one of them since; the positions of the others are saved.
        """
        ...

    async def rewind(self, reader: str) -> None:
        """Set positions that the log does not have to 0, because an older log was put in place."""
        ...

    async def start_over(self, reader: str, epochs: Mapping[int, int]) -> None:
        """Set the position of all shares, and of the reader, to 0, because what had been done is gone elsewhere.

        Raises ShareLost when somebody else has taken one of these shares since.
        """
        ...
