"""The rows of a generation, and the events that they have to come from, all as of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    async def some_streams(self, most: int) -> Sequence[StreamId]:
        """The streams of events that are chosen by chance; only those that a row is made for."""
        ...

    async def streams(self, *, after: int, limit: int) -> tuple[Sequence[StreamId], int]:
        """The streams that begin after a position, in order, and the position of the last one's first event."""
        ...

    async def events(self, streams: Sequence[StreamId]) -> Sequence[StoredEvent]:
        """The events from which the rows of these streams are made, in the order of the log."""
        ...

    async def views(self, streams: Sequence[StreamId]) -> Mapping[StreamId, Any]: ...
    async def count(self) -> int: ...
    async def sums(self, one: Sum[Any, Any, Any]) -> Mapping[RowKey, Amounts]: ...
