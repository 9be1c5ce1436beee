"""Loading: folds a stream to its state, from its first event, from a snapshot, or from an earlier state."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from core.domain.decider import Decider, SnapshotForm
from core.domain.message import StreamId
from core.errors import DatabaseFault, Unavailable
from core.ports.log import EventStore
from core.ports.snapshots import Snapshot
from core.services.snapshots import EVERY, decode, encode, schema_hash, spacing

S = TypeVar("S")

log = structlog.get_logger(__name__)


class Loaded(msgspec.Struct, Generic[S], frozen=True):
    """The state of a stream at a version. `position` is where its last event is in the log; 0 when it has no event.

    `due` is the version at which the next snapshot is worth storing.
    """

    state: S
    version: int
    position: int
    due: int = EVERY


async def load_state(
    store: EventStore, decider: Decider[Any, Any, S], stream: StreamId, since: Loaded[S] | None = None
) -> Loaded[S]:
    """The state of a stream. Only the events after `since` are read."""
    known = since or Loaded(decider.initial, 0, 0)
    if decider.snapshot is not None:
        return await _load_long(store, decider, decider.snapshot, stream, known)
    recorded = await store.load(stream, after=known.version)
    if not recorded:
        return known
    state = decider.fold((event.event for event in recorded), known.state)
    return Loaded(state, recorded[-1].version, recorded[-1].position)


async def _load_long(
    store: EventStore, decider: Decider[Any, Any, S], form: SnapshotForm[S, Any], stream: StreamId, known: Loaded[S]
) -> Loaded[S]:
    """Load a stream page by page, and store snapshots on the way, so that a load that fails need not start over."""
    ours: bytes | None = schema_hash(decider)
    while True:
        page = await store.snapshots.load(stream, after=known.version, schema_hash=ours)
        state, due = known.state, known.due
        if page.state is not None:
            try:
                state = decode(form, page.state)
            except msgspec.MsgspecError as error:
                log.warning("unreadable snapshot ignored", stream=str(stream), error=str(error))
                ours = None
                with contextlib.suppress(Unavailable, DatabaseFault):  # we ignore it in any case
                    await store.snapshots.forget(stream)
                continue
            due = page.version - len(page.events) + spacing(page.state)
        if page.version > known.version:
            known = Loaded(decider.fold(page.events, state), page.version, page.position, due)
            known = keep(store, decider, stream, known)
        if not page.more:
            return known


def keep(store: EventStore, decider: Decider[Any, Any, S], stream: StreamId, loaded: Loaded[S]) -> Loaded[S]:
    """Store a snapshot if enough events came after the last one. Returns the state with its new `due`."""
    if decider.snapshot is None or loaded.version < loaded.due:
        return loaded
    text = encode(decider.snapshot, loaded.state)
    store.snapshots.keep(Snapshot(stream, decider.category, loaded.version, schema_hash(decider), text))
    return replace(loaded, due=loaded.version + spacing(text))


class StateCache(Generic[S]):
    """The states of recently used streams, so that a long stream need not be read again. They may be out of date.

    A decision on such a state names its version in the append, and the append fails if the state was out of date.
    """

    ROOM = 10_000

    def __init__(self, store: EventStore, decider: Decider[Any, Any, S]) -> None:
        self._store = store
        self.decider = decider
        self._states: OrderedDict[StreamId, Loaded[S]] = OrderedDict()

    async def latest(self, stream: StreamId) -> Loaded[S]:
        """The state after all events that are in the log now."""
        loaded = await load_state(self._store, self.decider, stream, self._states.get(stream))
        self.put(stream, loaded)
        return loaded

    async def latest_of(self, streams: Sequence[StreamId]) -> Sequence[Loaded[S]]:
        """The same of several streams, which are read by one statement."""
        return await asyncio.gather(*(self.latest(stream) for stream in streams))

    async def recent(self, streams: Sequence[StreamId]) -> Sequence[Loaded[S]]:
        """The states as they were last loaded, without looking at the log; those that never were are loaded now."""
        known = {stream: self._states.get(stream) for stream in streams}
        missing = [stream for stream, state in known.items() if state is None]
        loaded = dict(zip(missing, await self.latest_of(missing), strict=True)) if missing else {}
        return [known[stream] or loaded[stream] for stream in streams]

    def put(self, stream: StreamId, loaded: Loaded[S]) -> None:
        known = self._states.get(stream)
        if known is None or known.version <= loaded.version:
            self._states[stream] = keep(self._store, self.decider, stream, loaded)
            self._states.move_to_end(stream)
        if len(self._states) > self.ROOM:
            self._states.popitem(last=False)
