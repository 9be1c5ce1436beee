"""Reading: following the log, and saving what its events change in the read models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from core.codec import StoredEvent
from core.domain.message import StreamId
from core.errors import Unavailable
from core.ports.dead_letters import KeepsDeadLetters, Parked
from core.projections.projection import Amounts, RowKey

BUSY = 0.005  # seconds between reads while events come; with a shorter pause, the batches would only be smaller


class FilledOtherwise(Unavailable):
    """Another process fills the same read models in another way; wait until it stops."""

    def __init__(self, group: str, owner: str, how: str) -> None:
        super().__init__(f"{owner} fills the read models of {group} {how}: stop it, or give both the same settings")


class FilledByNewerRelease(Unavailable):
    """A newer release has filled the read models, and this one would spoil them."""

    def __init__(self, group: str, revision: str) -> None:
        super().__init__(
            f"a newer release has filled the read models of {group} ({revision}): start that release again, or go back "
            f"with `orderdeck rebuild {group} --switch-back`, or fill them anew with `orderdeck rebuild {group}`"
        )


class ReaderProgress(NamedTuple):
    """How far a reader of the log has come.

    `behind`: how many seconds the next event has waited for the reader; 0 when there is none.
    """

    reader: str
    revision: str
    position: int
    head: int
    behind: float


class RowShare(NamedTuple):
    """One of `shares` parts of the rows of a group, each of which has its own process that fills it."""

    number: int
    shares: int

    def has(self, row: StreamId) -> bool:
        return (row.int & 255) % self.shares == self.number


class Subscription(Protocol):
    def batches(
        self,
        stop: asyncio.Event,
        *,
        after: int,
        limit: int,
        categories: Sequence[str] = (),
        pause: float = BUSY,
    ) -> AsyncGenerator[Sequence[StoredEvent]]:
        """Yield the committed events after a position, in order, each once. Wait for new ones until `stop` is set.

        While events come, the log is read each `pause` seconds.

        With `categories`, events of other categories may be left out, except at the end of a batch: the position of a
        batch's last event always says how far the log has been read. Events may then have no metadata. Where only a
        share of the rows is read, events of other rows are left out in the same way, and those that come have the id of
        their row instead of their stream's and their correlation id, and none of their own while none is skipped.

        Raises LogShorter when the log has come to end before that position, because an older log was put in its place.
        """
        ...


class Changes(msgspec.Struct, frozen=True):
    """What the events from `after` to `position` change in a group: the new views, and amounts to add to each sum.

    `parked` are events that were set aside, and `freed` the rows that wait behind such an event no longer. The first
    `new` views are of streams that had none before, so that they have no rows yet.
    """

    after: int
    position: int
    views: Sequence[Any]
    sums: Mapping[str, Mapping[RowKey, Amounts]]
    parked: Sequence[Parked] = ()
    freed: Sequence[StreamId] = ()
    new: int = 0


class Opened(NamedTuple):
    """What is saved when read models are opened: every event up to `position`, and none after `head`.

    Some events between may be in the tables already, because they were filled from Kafka before. `epoch` is higher than
    that of whoever opened them before.
    """

    position: int
    head: int
    epoch: int


class ReadModels(KeepsDeadLetters, Protocol):
    """The tables of one group, the checkpoint of its reader, and the events that it has set aside."""

    async def open(self) -> Opened:
        """What was saved last. Whoever opened them before can save nothing any more.

        Tables that an older release has filled are gone on with, and new ones are asked for. If a position was saved
        that the log does not have, the tables are emptied, and the position is 0. Raises FilledOtherwise while another
        process fills them from Kafka, and FilledByNewerRelease.
        """
        ...

    async def load(self, streams: Sequence[StreamId]) -> Mapping[StreamId, Any]:
        """The saved views of these streams; a stream that has none is left out."""
        ...

    async def save(self, changes: Changes) -> None:
        """Save all the changes together with the new position, or nothing.

        Raises CheckpointMoved when the saved position is not `after`, or somebody else has opened them since, and
        Unavailable when nobody knows whether the changes were saved.
        """
        ...

    async def progress(self) -> ReaderProgress | None:
        """How far the group's reader has come; None before its first `open`."""
        ...
