"""Sagas: which of them are due, and which runner may advance each of them now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol

import msgspec

from core.codec import StoredEvent, stored_types
from core.domain.message import OrderId, SagaId
from core.sagas import SAGAS
from core.sagas.saga import Saga, Tables, newest

READER = "saga-runner"
SHARES = 12
"""The starting of sagas is divided into so many shares; the last byte of an event's stream says to which it belongs."""


def started_by(tables: Tables) -> Mapping[str, Saga]:
    """The saga that each stored type of event starts."""
    return {name: saga for saga in newest(tables).values() for name in stored_types([saga.starts_on])}


STARTS_ON = tuple(sorted(started_by(SAGAS)))
"""The stored types of the events that start a saga."""


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


class UnreadEvent(NamedTuple):
    """An event because of which a saga cannot be read: where it is in the log, and why, for operators.

    `fingerprint` is the same for events that cannot be read for the same cause, and `saga_error` what the saga shows.
    """

    position: int
    error: str
    fingerprint: str
    saga_error: str


class Backlog(msgspec.Struct, frozen=True):
    """What waits for a runner, counted up to a limit, and for how many seconds the oldest of each has waited.

    `due`: sagas that any runner may claim. `unstarted`: events of the log whose saga is not started yet. `set_aside`:
    sagas that cannot be read, which nobody is late with.
    """

    due: int
    due_for: float
    unstarted: int
    unstarted_for: float
    set_aside: int = 0

    @property
    def waiting(self) -> int:
        return self.due + self.unstarted

    @property
    def waits_for(self) -> float:
        """Seconds that the oldest of all has waited."""
        return max(self.due_for, self.unstarted_for)


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

    async def set_aside(self, owner: str, saga_id: SagaId, epoch: int, unread: UnreadEvent) -> None:
        """End a lease under which the saga could not be read, and note that event as its dead letter, if it is known.

        The saga is due again after 0.1, 0.5 and 2 seconds, and then every 30. The claim is not counted, since it says
        nothing of the saga. The next append to the saga ends the dead letter. Without effect if the lease is not ours.
        """
        ...

    async def backlog(self, *, most: int) -> Backlog:
        """What waits for a runner. No more than `most` are counted of each kind, so it takes a bounded time."""
        ...

    async def epoch(self, saga_id: SagaId) -> int | None:
        """The epoch of a saga's last lease; None when there is no such saga. Raises Unavailable."""
        ...

    async def forget_keys(self, *, older_than: timedelta, limit: int) -> int:
        """Delete at most `limit` idempotency keys that are older than this. Returns how many it deleted."""
        ...


class Starts(msgspec.Struct, frozen=True):
    """What one read found. `position`: up to where the log was looked at; `more`: it may go on there."""

    events: Sequence[StoredEvent]
    position: int
    more: bool


class SagaStarts(Protocol):
    """The events of the log that start a saga, as those read them who hold some of the shares."""

    async def read(self, event_types: Sequence[str], places: Mapping[int, int], *, limit: int) -> Starts:
        """At most `limit` events of these types, in order: of each share, those after its position in `places`."""
        ...

    def coming(self) -> asyncio.Event:
        """The event that is set when the log grows next; to be taken before a read."""
        ...

    async def wait(self, coming: asyncio.Event, *, at_most: float, stop: asyncio.Event) -> None:
        """Return when the log has grown or may have, when `stop` is set, or after so many seconds."""
        ...
