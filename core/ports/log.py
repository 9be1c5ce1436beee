"""The log: what is appended to it, what came of that, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.domain.message import Event, Metadata, OrderId, Recorded, SagaId, StreamId
from core.ports.snapshots import Snapshots


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


class Result(StrEnum):
    """What a command came to. One that the database or another writer prevented has none: it raises."""

    CREATED = "created"  # it recorded something new: an order, a receipt of stock
    DONE = "done"  # what was there already has changed, or is as the command wants it
    REJECTED = "rejected"  # the domain said no, and nothing was recorded


class Answer(msgspec.Struct, frozen=True):
    """The answer to a command, complete enough to be given again. A rejected one has no version and no position."""

    result: Result
    stream: UUID | None
    version: int | None
    position: int | None
    fields: Mapping[str, Any]


class IdempotencyKey(msgspec.Struct, frozen=True):
    """The caller's name for one command. Each `scope`, a route and a caller, has its own keys.

    `fingerprint` is the SHA-256 of the command: another command under the same key is refused.
    """

    scope: str
    key: str
    fingerprint: bytes


class KeptAnswer(IdempotencyKey, frozen=True):
    """An answer to keep under its key."""

    answer: Answer


class SagaRow(msgspec.Struct, frozen=True):
    """What a saga's row says after the append. `epoch` is the lease it was claimed with; 0: a new saga.

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
    key: KeptAnswer | None = None


class Accepted(msgspec.Struct, frozen=True):
    """`position` of its last event; 0 when it had none."""

    position: int


class Replay(msgspec.Struct, frozen=True):
    """The key is known: `answer` was given to the first command under it, which has this `fingerprint`."""

    answer: Answer
    fingerprint: bytes


class Conflict(msgspec.Struct, frozen=True):
    """Someone appended first. `actual` has the version of each stream of the append, in the order of its entries."""

    actual: Sequence[int]


class LeaseLost(msgspec.Struct, frozen=True):
    """A runner has claimed a saga of this append since its row was read."""


Verdict = Accepted | Replay | Conflict | LeaseLost


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
        """The answer kept under an idempotency key; None when the key is not known. Raises Unavailable."""
        ...


class OrderNumbers(Protocol):
    async def take(self) -> str:
        """A number no other order has or will have. Raises Unavailable."""
        ...
