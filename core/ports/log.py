"""The log: what is appended to it, how an append can end, and how the log is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.domain.message import Event, Metadata, OrderId, Recorded, SagaId, StreamId
from core.ports.audit import AuditEntry
from core.ports.snapshots import Snapshots


class NewEvent(msgspec.Struct, frozen=True):
    """An event to record. Its id is chosen here, so that we can look later whether a lost append was recorded."""

    event_id: UUID
    event: Event
    metadata: Metadata


class Entry(msgspec.Struct, frozen=True):
    """The events for one stream, and the version of it that the decision was based on.

    An entry without events is a guard: it only checks that the stream is still at that version.
    """

    stream: StreamId
    category: str
    expected: int
    events: Sequence[NewEvent] = ()


class Result(StrEnum):
    """How a command ended. A command that the database or another writer prevented raises an error instead."""

    CREATED = "created"  # the command made something new, such as an order or a receipt of stock
    DONE = "done"  # the command changed something, or it was already as the command wants it
    REJECTED = "rejected"  # the domain refused the command, and nothing was recorded


class Answer(msgspec.Struct, frozen=True):
    """The answer to a command, stored so that a repeated command gets the same one.

    The answer to a rejected command has no version and no position.
    """

    result: Result
    stream: UUID | None
    version: int | None
    position: int | None
    fields: Mapping[str, Any]


class IdempotencyKey(msgspec.Struct, frozen=True):
    """The name that a caller gives to one command. A `scope` is a route and a caller; each scope has its own keys.

    `fingerprint` is the SHA-256 of the command. Another command with the same key is refused. `former` makes the one
    that releases up to 0.1.0 made of the same request: an answer that they kept is given again as well.
    """

    scope: str
    key: str
    fingerprint: bytes
    former: Callable[[], bytes] = bytes


class KeptAnswer(msgspec.Struct, frozen=True):
    """An idempotency key, and the answer to store under it."""

    scope: str
    key: str
    fingerprint: bytes
    answer: Answer


class SagaRow(msgspec.Struct, frozen=True):
    """A saga's row as it is after the append. `epoch` is the last lease that the writer knows of; 0: a new saga.

    `open_amount` is the money that it has open, and None while that is not known; what was known before then stays.
    `due_in` is None when the saga has ended. When `owner` is None, any runner may claim the saga once it is due.
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
    open_amount: Decimal | None = None
    currency: str | None = None


class Append(msgspec.Struct, frozen=True):
    """What one append records: all of it or nothing. `entries` name every stream that the decision was based on."""

    entries: Sequence[Entry]
    sagas: Sequence[SagaRow] = ()
    key: KeptAnswer | None = None
    audit: AuditEntry | None = None
    """Who asked for it; recorded together with it, if it is accepted."""


class Accepted(msgspec.Struct, frozen=True):
    """The append is recorded. `position` is that of its last event; 0 when it had none."""

    position: int


class Replay(msgspec.Struct, frozen=True):
    """The key is known. `answer` was given to the first command with this key, which has this `fingerprint`."""

    answer: Answer
    fingerprint: bytes


class Conflict(msgspec.Struct, frozen=True):
    """Another writer appended first. `actual` is the version of each entry's stream, in the order of the entries."""

    actual: Sequence[int]


class LeaseLost(msgspec.Struct, frozen=True):
    """A runner has claimed a saga of this append since the writer read the saga's row."""


Verdict = Accepted | Replay | Conflict | LeaseLost


class EventStore(Protocol):
    @property
    def snapshots(self) -> Snapshots: ...

    async def append(self, append: Append) -> Verdict:
        """Record all of it or nothing. Raises Unavailable, and OutcomeUnknown when it may have been recorded."""
        ...

    async def load(self, stream: StreamId, *, after: int = 0) -> Sequence[Recorded]:
        """The events of a stream after a version, in order. Raises UnknownEvent, Unavailable."""
        ...

    async def read_log(self, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """Up to `limit` committed events after a position, in order. Later commits get later positions."""
        ...

    async def head(self) -> int:
        """The position of the last committed event; 0 for an empty log."""
        ...

    async def answered(self, scope: str, key: str) -> Replay | None:
        """The answer that is stored under an idempotency key; None when the key is not known. Raises Unavailable."""
        ...


class OrderNumbers(Protocol):
    async def take(self) -> str:
        """A number that no other order has or will get. Raises Unavailable."""
        ...
