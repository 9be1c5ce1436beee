"""Read models of one group that several processes fill together, each its own shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from core.codec import StoredEvent
from core.domain.message import StreamId
from core.ports.dead_letters import KeepsDeadLetters, Parked
from core.ports.deliveries import TopicMark, TopicPlace
from core.ports.reading import ReaderProgress
from core.projections.projection import Amounts, RowKey


class StreamGap(NamedTuple):
    """Events of a stream that a view lacks: those with versions above `after` and below `before`."""

    stream: StreamId
    after: int
    before: int


class ShareState(NamedTuple):
    """What is saved of a share: everything up to `position` is in the read models, and what `marks` say besides."""

    position: int
    saves: int
    marks: Mapping[TopicPlace, TopicMark]


class Standing(NamedTuple):
    """Where the log ends, and up to where the relay has copied it."""

    head: int
    relayed: int


class ShareSave(msgspec.Struct, frozen=True):
    """A share whose views change: who holds it by which epoch, how often it was saved before, and its marks after."""

    epoch: int
    saves: int
    marks: Mapping[TopicPlace, TopicMark]


class SharedChanges(msgspec.Struct, frozen=True):
    """New views, amounts to add to each sum, and the shares, by number, that they belong to.

    `parked` are events that were set aside, and `freed` the rows that wait behind such an event no longer.
    """

    shares: Mapping[int, ShareSave]
    views: Sequence[Any]
    sums: Mapping[str, Mapping[RowKey, Amounts]]
    parked: Sequence[Parked] = ()
    freed: Sequence[StreamId] = ()


class SharedReadModels(KeepsDeadLetters, Protocol):
    """The tables of one group, its shares, and the events of the log that may be missing in the tables."""

    async def open(self) -> None:
        """Make the tables ours to fill by shares. Whoever filled them from the log can save nothing any more.

        The tables are emptied if this revision did not fill them, or if the log is an older one than they were filled
        from. Raises FilledOtherwise while another process fills them from the log, or by other rules.
        """
        ...

    async def take(self, held: Mapping[int, int]) -> tuple[Mapping[int, ShareState], int]:
        """The states of shares that this process holds by these epochs, and the head of the log.

        No view has an event after that head. Raises ShareLost, and CheckpointMoved when others have opened them since.
        """
        ...

    async def load(self, streams: Sequence[StreamId]) -> Mapping[StreamId, Any]:
        """The saved views of these streams; a stream that has none is left out."""
        ...

    async def missing(self, gaps: Sequence[StreamGap], *, limit: int) -> Sequence[StoredEvent]:
        """The events in these gaps, at most so many."""
        ...

    async def differing(self, events: Sequence[StoredEvent]) -> Mapping[int, StoredEvent | None]:
        """By their index, those that are not as the log has them, metadata aside: what the log has instead.

        None: the log has no event at that position with that id, of that stream and about that order.
        """
        ...

    async def save(self, changes: SharedChanges) -> None:
        """Save all of it, or nothing.

        Raises ShareLost when another process has taken one of the shares or saved it since, and Unavailable when nobody
        knows whether it was saved.
        """
        ...

    async def reach(self, positions: Mapping[int, int], epochs: Mapping[int, int], saves: Mapping[int, int]) -> None:
        """Note that shares have every event up to a position, and that the group has every event up to the lowest.

        Raises ShareLost when another process has taken one of the shares, and when the database has fewer saves of it
        than were done: it has crashed, and lost the last ones.
        """
        ...

    async def standing(self) -> Standing: ...

    async def progress(self) -> ReaderProgress | None:
        """How far the group's reader has come; None before its first `open`."""
        ...
