"""Loading: a stream as its folded state, from its start or on from a state already known."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar

import msgspec

from core.domain.decider import Decider
from core.domain.message import StreamId
from core.ports import EventStore

S = TypeVar("S")


class Loaded(msgspec.Struct, Generic[S], frozen=True):
    """A stream's state at a version; `position` is its last event's in the log, 0 for none."""

    state: S
    version: int
    position: int


async def load_state(
    store: EventStore, decider: Decider[Any, Any, S], stream: StreamId, since: Loaded[S] | None = None
) -> Loaded[S]:
    """Fold the stream, reading only what came after `since`."""
    known = since or Loaded(decider.initial, 0, 0)
    recorded = await store.load(stream, after=known.version)
    if not recorded:
        return known
    state = decider.fold((event.event for event in recorded), known.state)
    return Loaded(state, recorded[-1].version, recorded[-1].position)


class StateCache(Generic[S]):
    """States of recently used streams: a hint that saves reading a long stream again, never a truth.

    Whoever decides on one names its version in the append, and a conflict says that it was old.
    """

    ROOM = 10_000

    def __init__(self, store: EventStore, decider: Decider[Any, Any, S]) -> None:
        self._store = store
        self.decider = decider
        self._states: OrderedDict[StreamId, Loaded[S]] = OrderedDict()

    async def latest(self, stream: StreamId) -> Loaded[S]:
        """The state as the log has it now."""
        loaded = await load_state(self._store, self.decider, stream, self._states.get(stream))
        self.put(stream, loaded)
        return loaded

    async def recent(self, stream: StreamId) -> Loaded[S]:
        """The state as we last saw it; loaded when we never did."""
        return self._states.get(stream) or await self.latest(stream)

    def put(self, stream: StreamId, loaded: Loaded[S]) -> None:
        known = self._states.get(stream)
        if known is None or known.version <= loaded.version:
            self._states[stream] = loaded
            self._states.move_to_end(stream)
        if len(self._states) > self.ROOM:
            self._states.popitem(last=False)
