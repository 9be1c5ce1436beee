"""Inspection: what an administrator looks at: events by any filter, streams, readers of the log, and snapshots.

Nothing here changes anything. Each list takes a bounded time, however long the log is: a page looks at so many rows at
most, and says where the next one goes on. Every method raises Unavailable while the database is away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from core.codec import StoredEvent


class EventSearch(Struct, frozen=True, kw_only=True):
    """The newest events first: those that fit every field that is given, between the positions `after` and `before`.

    `since` and `until`: recorded at that moment or later, and before that moment. `actor`: the name that the event
    has of who caused it.
    """

    limit: int
    before: int | None = None
    after: int = 0
    since: datetime | None = None
    until: datetime | None = None
    categories: Sequence[str] = ()
    types: Sequence[str] = ()
    stream_id: UUID | None = None
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    actor: str | None = None
    request_id: str | None = None


class EventPage(Struct, frozen=True, kw_only=True):
    """`next_before` is where to go on; None: nothing older fits. A page may be empty and still have one."""

    events: Sequence[StoredEvent]
    next_before: int | None


class StreamSearch(Struct, frozen=True, kw_only=True):
    """Streams in the order of their ids, from `first` to `last`, without those of other categories."""

    limit: int
    first: UUID
    last: UUID
    categories: Sequence[str] = ()


class StreamRow(Struct, frozen=True, kw_only=True):
    """A stream: its first event and its last, whose `version` says how many it has.

    `snapshot_version`: up to there its state is kept, so that it need not be read from its first event.
    """

    stream_id: UUID
    category: str
    version: int
    first_position: int
    first_at: datetime
    last_position: int
    last_at: datetime
    last_type: str
    snapshot_version: int | None


class StreamRows(Struct, frozen=True, kw_only=True):
    """`next_after` is the id after which to go on; None: there are no more. A page may be empty and still have one."""

    streams: Sequence[StreamRow]
    next_after: UUID | None


class HeldShare(Struct, frozen=True, kw_only=True):
    """A share of a reader's work. `owner` holds it until `lease_until`; None: nobody does. `epoch` counts owners."""

    share: int
    position: int
    owner: str | None
    epoch: int
    lease_until: datetime | None


class Checkpoint(Struct, frozen=True, kw_only=True):
    """How far a reader has come, as it saved it last.

    `group` is the group of read models that it fills, `generation` the id of their tables that it fills; both null for
    a reader that fills none, and `generation` also for tables that were never made anew. `lag_events` are those that
    it has still to do, and `lag_seconds` how long the first of them has been in the log. `epoch` grows with each
    process that opens the tables.
    """

    reader: str
    group: str | None
    generation: int | None
    revision: str
    position: int
    lag_events: int
    lag_seconds: float
    epoch: int
    saved_at: datetime
    shares: Sequence[HeldShare]


class SnapshotSearch(Struct, frozen=True, kw_only=True):
    """Snapshots in the order of their streams' ids, from `first` to `last`."""

    limit: int
    first: UUID
    last: UUID


class SnapshotRow(Struct, frozen=True, kw_only=True):
    """The state of a stream after its event at `version`. `behind`: so many events the stream has had since.

    `bytes` is the length of the state, `schema` the beginning of the hash that says which releases can read it.
    """

    stream_id: UUID
    category: str
    version: int
    behind: int
    bytes: int
    schema: str
    taken_at: datetime


class SnapshotRows(Struct, frozen=True, kw_only=True):
    """`next_after` is the id after which to go on; None: there are no more."""

    snapshots: Sequence[SnapshotRow]
    next_after: UUID | None


class Inspection(Protocol):
    async def events(self, search: EventSearch) -> EventPage: ...

    async def streams(self, search: StreamSearch) -> StreamRows: ...

    async def stream(self, stream_id: UUID) -> StreamRow | None:
        """One stream; None when it has no event."""
        ...

    async def checkpoints(self) -> Sequence[Checkpoint]:
        """Every reader of the log that ever saved how far it is, also those that fill a generation nobody reads yet."""
        ...

    async def snapshots(self, search: SnapshotSearch) -> SnapshotRows: ...
