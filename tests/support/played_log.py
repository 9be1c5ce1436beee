"""The memory log as played desks use it: with its saga log, and with what tests read of it between two moves."""

from __future__ import annotations

from typing import Any, TypeVar

from core.adapters.memory.log import MemoryLog
from core.adapters.memory.saga_log import MemorySagaLog
from core.codec import StoredEvent
from core.domain.decider import Decider
from core.domain.message import Recorded, StreamId
from core.ports.clock import Clock

S = TypeVar("S")


class PlayedLog(MemoryLog):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.sagas = MemorySagaLog(self)
        self._recorded: dict[StreamId, list[Recorded]] = {}  # decoded once: promises are checked after every move

    def put(self, stored: StoredEvent) -> None:
        super().put(stored)
        self._recorded.setdefault(stored.stream, []).extend(stored.recorded())

    def events_of(self, stream: StreamId, *, before: int | None = None) -> list[Recorded]:
        """The events of a stream; with `before`, those that have a lower position."""
        return [each for each in self._recorded.get(stream, ()) if before is None or each.position < before]

    def state(self, decider: Decider[Any, Any, S], stream: StreamId, *, before: int | None = None) -> S:
        return decider.fold(recorded.event for recorded in self.events_of(stream, before=before))
