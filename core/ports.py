"""Ports: what the services need from the world. The docstrings are the contracts; one suite tests every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.domain.message import Event, Metadata, OrderId, Recorded, SagaId, StreamId
from core.domain.provider import PaymentAnswer
from core.projections.projection import Amounts, Projection, RowKey


# --- the log ------------------------------------------------------------------------------------------------
class NewEvent(msgspec.Struct, frozen=True):
    """An event to record; its id is chosen before it is sent, so that an unknown outcome can be settled."""

    event_id: UUID
    event: Event
    metadata: Metadata


class Entry(msgspec.Struct, frozen=True):
    """One stream of an append and the version the decision read; without events it is a guard."""

    stream: StreamId
    category: str
    expected: int
    events: Sequence[NewEvent] = ()


class Answer(msgspec.Struct, frozen=True):
    """What a command was answered, as kept beside its key: enough to give it again."""

    status: int
    stream: UUID | None
    version: int | None
    position: int | None
    fields: Mapping[str, Any]


class Key(msgspec.Struct, frozen=True):
    """An idempotency key: `scope` is the route and the caller, `fingerprint` the SHA-256 of the command."""

    scope: str
    key: str
    fingerprint: bytes
    answer: Answer


class SagaRow(msgspec.Struct, frozen=True):
    """How a saga's row shall read after the append. `epoch` is the lease it was claimed with; 0: a new saga.

    `due_in` None: it has ended. `owner` None: whoever comes first may claim it once it is due.
    """

    saga_id: SagaId
    name: str
    definition: int
    order_id: OrderId
    epoch: int
    owner: str | None
    status: str
    step: str
    attempts: int
    last_error: str | None
    due_in: timedelta | None


class Append(msgspec.Struct, frozen=True):
    """All of it or nothing. Every stream that the decision read is named, with the version it was read at."""

    entries: Sequence[Entry]
    sagas: Sequence[SagaRow] = ()
    key: Key | None = None


class Accepted(msgspec.Struct, frozen=True):
    """`position` of its last event; 0 when it had none."""

    position: int


class Replay(msgspec.Struct, frozen=True):
    """The key is known: this is what was answered first, to the command with this fingerprint."""

    answer: Answer
    fingerprint: bytes


class Conflict(msgspec.Struct, frozen=True):
    """Someone appended first; the version of every stream of the append, in its order."""

    actual: Sequence[int]


class LeaseLost(msgspec.Struct, frozen=True):
    """Another runner has claimed a saga of this append since."""


Verdict = Accepted | Replay | Conflict | LeaseLost


class Snapshot(msgspec.Struct, frozen=True):
    """A stream's state after its event at `version`, as text; `schema_hash` says which code can read it."""

    stream: StreamId
    category: str
    version: int
    schema_hash: bytes
    state: str


class Page(msgspec.Struct, frozen=True):
    """A part of a stream: the state of a snapshot, if there is one, and the events after it, as many as fit.

    `version` and `position` are of the last event; `more`: there may be events after it.
    """

    state: str | None
    events: Sequence[Event]
    version: int
    position: int
    more: bool


class Snapshots(Protocol):
    """A cache beside the log: it may lose any at any time, and gives none that the log does not bear out."""

    async def load(self, stream: StreamId, *, after: int, schema_hash: bytes | None) -> Page:
        """The stream after a version, from the snapshot with this hash on if it is newer than that version.

        Without a hash no snapshot is looked for. Raises UnknownEvent, Unavailable.
        """
        ...

    def keep(self, snapshot: Snapshot) -> None:
        """Have it written soon, in the background; an older one of the same hash never replaces a newer one."""
        ...

    async def forget(self, stream: StreamId) -> None:
        """Delete the stream's snapshot. Raises Unavailable."""
        ...


class EventStore(Protocol):
    @property
    def snapshots(self) -> Snapshots: ...

    async def append(self, append: Append) -> Verdict:
        """Record all of it or nothing. Raises Unavailable, and OutcomeUnknown when it may have been recorded."""
        ...

    async def load(self, stream: StreamId, *, after: int = 0) -> Sequence[Recorded]:
        """The stream's events after a version, in order. Raises UnknownEvent, Unavailable."""
        ...

    async def read_log(self, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """Committed events in order; whatever is not in the answer now has a position after all that are."""
        ...

    async def head(self) -> int:
        """Position of the last committed event; 0 for an empty log."""
        ...

    async def answered(self, scope: str, key: str) -> Replay | None:
        """What was answered to an idempotency key; None when it is not known. Raises Unavailable."""
        ...


# --- reading ------------------------------------------------------------------------------------------------
class Subscription(Protocol):
    def batches(self, stop: asyncio.Event, *, after: int, limit: int) -> AsyncGenerator[Sequence[StoredEvent]]:
        """Yield committed events after a position, in order, each once, waiting for more until `stop` is set."""
        ...


# --- read models --------------------------------------------------------------------------------------------
class Changes(msgspec.Struct, frozen=True):
    """What a batch of events after one position up to another changes: whole views, and amounts to add."""

    after: int
    position: int
    views: Mapping[str, Sequence[Any]]
    sums: Mapping[str, Mapping[RowKey, Amounts]]


class ReadModels(Protocol):
    async def open(self, reader: str, revision: str) -> int:
        """The position the reader has saved; 0, and everything emptied, when it was saved under another revision."""
        ...

    async def load(self, projection: Projection[Any], keys: Sequence[Any]) -> Mapping[Any, Any]:
        """The views there are, by key."""
        ...

    async def save(self, reader: str, changes: Changes) -> None:
        """Save all of it and the new position, or nothing. Raises CheckpointMoved when the reader is not `after`."""
        ...


# --- sagas --------------------------------------------------------------------------------------------------
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


# --- the payment provider -----------------------------------------------------------------------------------
class PaymentGateway(Protocol):
    """Every call carries its own idempotency key, so it may be repeated. An answer is final, for ever, for its key.

    Every method but look_up raises GatewayUnavailable and GatewayTimeout; look_up raises GatewayUnavailable only.
    """

    async def authorise(  # the request's fields
        self, key: str, *, payment_id: UUID, order_id: UUID, amount: Decimal, currency: str, method: str
    ) -> PaymentAnswer:
        """Hold an amount. The only one that can be Declined."""
        ...

    async def capture(self, key: str, *, payment_id: UUID, amount: Decimal) -> PaymentAnswer:
        """Take what was authorised."""
        ...

    async def void(self, key: str, *, payment_id: UUID, reason: str) -> PaymentAnswer:
        """Release what was authorised; when it never was, it never will be: a later authorise is Refused."""
        ...

    async def refund(self, key: str, *, payment_id: UUID, amount: Decimal, reason: str) -> PaymentAnswer:
        """Give back what was captured."""
        ...

    async def look_up(self, key: str) -> PaymentAnswer | None:
        """What was decided for a key; None when nothing was, so far."""
        ...


# --- small things -------------------------------------------------------------------------------------------
class OrderNumbers(Protocol):
    async def take(self) -> str:
        """A number no other order has or will have. Raises Unavailable."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """UTC by the database's clock, as leases are: a step's deadline is counted from when its event was recorded."""
        ...
