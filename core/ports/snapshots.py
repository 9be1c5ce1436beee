"""Snapshots: stored states of long streams, so that a stream need not be read from its first event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from core.domain.message import Event, StreamId


class Snapshot(msgspec.Struct, frozen=True):
    """The state of a stream after its event at `version`, as text. `schema_hash` says which releases can read it."""

    stream: StreamId
    category: str
    version: int
    schema_hash: bytes
    state: str


class StreamPage(msgspec.Struct, frozen=True):
    """A part of a stream: the state of a snapshot, if there is one, and the events after it, up to the size of a page.

    `version` and `position` are those of the last event. `more`: there may be events after it.
    """

    state: str | None
    events: Sequence[Event]
    version: int
    position: int
    more: bool


class Snapshots(Protocol):
    """A cache of states. It may lose a snapshot at any time. It ignores one whose last event is not in the log."""

    async def load(self, stream: StreamId, *, after: int, schema_hash: bytes | None) -> StreamPage:
        """The stream after a version; or the snapshot and what follows it, if the snapshot is newer and has this hash.

        Without a hash no snapshot is used. Raises UnknownEvent, Unavailable.
        """
        ...

    def keep(self, snapshot: Snapshot) -> None:
        """Write the snapshot in the background. An older snapshot never replaces a newer one with the same hash."""
        ...

    async def forget(self, stream: StreamId) -> bool:
        """Delete the stream's snapshot; returns whether there was one. Raises Unavailable."""
        ...

    async def forget_all(self) -> int:
        """Delete every snapshot; returns how many there were. Raises Unavailable, when some may be deleted already."""
        ...
