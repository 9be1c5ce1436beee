"""Snapshots: cached states of long streams, beside the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from core.domain.message import Event, StreamId


class Snapshot(msgspec.Struct, frozen=True):
    """A stream's state after its event at `version`, as text; `schema_hash` says which releases can read it."""

    stream: StreamId
    category: str
    version: int
    schema_hash: bytes
    state: str


class StreamPage(msgspec.Struct, frozen=True):
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

    async def load(self, stream: StreamId, *, after: int, schema_hash: bytes | None) -> StreamPage:
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
