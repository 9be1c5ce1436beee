"""The rows of a generation, and the events that they have to come from, all as of one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from core.codec import StoredEvent
from core.domain.message import StreamId
from core.ports.dead_letters import Aside
from core.projections.projection import Amounts, RowKey, Sum


class GenerationRows(Protocol):
    """`position` is how far the generation is filled."""

    @property
    def position(self) -> int: ...

    async def aside(self) -> Aside:
        """The rows that wait behind an event which could not be applied, and the events that are left out for ever."""
        ...

    async def some_streams(self, most: int) -> Sequence[tuple[StreamId, int]]:
        """The streams of events that are chosen by chance, only those that a row is made for, in no order.

        With each comes its last version, which is how many events it has.
        """
        ...

    async def streams(self, *, after: int, limit: int) -> tuple[Sequence[StreamId], int]:
        """The streams that begin after a position, in order, and the position of the last one's first event."""
        ...

    def events(self, streams: Sequence[StreamId]) -> AsyncIterator[Sequence[StoredEvent]]:
        """The events from which the rows of these streams are made, in the order of the log, some at a time."""
        ...

    async def views(self, streams: Sequence[StreamId]) -> Mapping[StreamId, Any]: ...
    async def count(self) -> int: ...
    async def sums(self, one: Sum[Any, Any, Any]) -> Mapping[RowKey, Amounts]: ...
