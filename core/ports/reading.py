"""Reading: following the log, and saving what its events change in the read models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from core.codec import StoredEvent
from core.projections.projection import Amounts, Projection, RowKey


class ReaderProgress(NamedTuple):
    """How far a reader of the log has come. `behind`: how many seconds its next event has been waiting; 0: none is."""

    reader: str
    revision: str
    position: int
    head: int
    behind: float


class Subscription(Protocol):
    def batches(self, stop: asyncio.Event, *, after: int, limit: int) -> AsyncGenerator[Sequence[StoredEvent]]:
        """Yield committed events after a position, in order, each once, waiting for more until `stop` is set."""
        ...


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
