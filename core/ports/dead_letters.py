"""Dead letters: events that a reader of the log could not apply, set aside until an operator retries or skips them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import msgspec

from core.codec import StoredEvent
from core.domain.message import StreamId

MOST_BLOCKED = 50
"""So many rows of a reader may wait behind such events. With one more, the reader stops, in every process."""


TRY_AGAIN = (0.1, 0.5, 2.0)
"""Seconds after the first, second and third failure of an event until its reader tries it again by itself."""

LATER = 30.0
"""Seconds after each further failure until a saga is tried again, since a runner of a later release may read it."""


class Parked(NamedTuple):
    """An event that a reader sets aside: the row that it belongs to, why, and whether trying again by itself may help.

    `fingerprint` is the same for events that fail for the same cause.
    """

    row: StreamId
    event: StoredEvent
    error: str
    fingerprint: str
    transient: bool


class Aside(NamedTuple):
    """What a reader has set aside: by row the event that blocks it, and the ids of events to leave out for ever.

    The events come without payload and metadata.
    """

    blocked: Mapping[StreamId, StoredEvent]
    skipped: frozenset[UUID]


NOTHING_ASIDE = Aside({}, frozenset())


class KeepsDeadLetters(Protocol):
    """What the read models of a group say about the events that their reader has set aside."""

    async def aside(self) -> Aside: ...

    async def due(self) -> Collection[StreamId]:
        """The rows whose events are to be tried again now."""
        ...

    async def events_of_row(self, row: StreamId, after: Mapping[str, int], *, limit: int) -> Sequence[StoredEvent]:
        """The events of one row in the order of the log: of each category those after the version in `after`."""
        ...


class RowModels(KeepsDeadLetters, Protocol):
    """The part of a group's read models that is needed to catch up one of their rows."""

    async def load(self, streams: Sequence[StreamId]) -> Mapping[StreamId, Any]: ...


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a reader has set aside. `row`: the stream of the row whose later events wait behind it.

    `waiting` is how many events of the row wait, and `retry_at` when the reader tries it again; None: an operator must.
    """

    id: UUID
    reader: str
    row: UUID
    event_id: UUID
    event_type: str
    event_version: int
    category: str
    stream: UUID
    version: int
    position: int
    correlation_id: UUID
    error: str
    fingerprint: str
    tries: int
    first_failed_at: datetime
    last_failed_at: datetime
    retry_at: datetime | None
    waiting: int


class SkippedEvent(msgspec.Struct, frozen=True):
    """An event that an operator has decided to leave out of what a reader makes, for ever."""

    reader: str
    event_id: UUID
    position: int
    row: UUID
    by: str
    reason: str


class DeadLetterSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters to find: those with all of this, the oldest first unless `order` says otherwise.

    `untried`: those first that were not tried for the longest time, and last those whose readers are to try them now.
    `each`: at most so many of one cause. `after`: the position and the id of the last one of the page before.
    `counted`: whether the events that wait are counted, up to 1 000 of each; else `waiting` is 0.
    """

    ids: Sequence[UUID] = ()
    reader: str | None = None
    readers: Sequence[str] = ()
    fingerprint: str | None = None
    rows: Sequence[UUID] = ()
    order: Literal["oldest", "newest", "untried"] = "oldest"
    each: int | None = None
    after: tuple[int, UUID] | None = None
    counted: bool = True
    limit: int = 100


class DeadLetterCause(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters with one fingerprint: how many, their reader, and the error of one of them.

    `event_types` are at most five. `since`: when the first of them failed.
    """

    fingerprint: str
    reader: str
    letters: int
    event_types: Sequence[str]
    error: str
    since: datetime


class DeadLetterSummary(NamedTuple):
    """How many dead letters each reader has, and their causes, those with the most first."""

    counts: Mapping[str, int]
    causes: Sequence[DeadLetterCause]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class DeadLetters(Protocol):
    """The dead letters of all readers, for operators. Every method raises Unavailable while the database is away."""

    async def find(self, search: DeadLetterSearch) -> Sequence[DeadLetter]: ...

    async def summary(self, *, reader: str | None = None, fingerprint: str | None = None) -> DeadLetterSummary:
        """Of all, or those of one reader or cause, however many there are."""
        ...

    async def one(self, id_: UUID) -> DeadLetter | None: ...

    async def retry(self, ids: Sequence[UUID]) -> None:
        """Have their readers try them again at once."""
        ...

    async def skip(self, id_: UUID, *, by: str, reason: str) -> None:
        """Have the reader leave the event out for ever, and go on with those that wait behind it."""
        ...

    def row_models(self, reader: str) -> RowModels | None:
        """The read models of a reader, to look what its dead letters would come to; None if it has none."""
        ...
