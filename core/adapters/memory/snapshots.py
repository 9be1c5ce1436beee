"""Snapshots in memory. They are stored at once, not in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from core import codec
from core.codec import StoredEvent
from core.domain.message import StreamId
from core.ports.snapshots import Snapshot, StreamPage

PAGE = 2_000  # events


@dataclass
class KeptSnapshot:
    """A stored snapshot. `event_id` is the id of the event at its version.

    A log that was restored from a dump may have another event at that version; then the snapshot is ignored.
    """

    snapshot: Snapshot
    event_id: UUID


@dataclass
class MemorySnapshots:
    """See `core.ports.snapshots.Snapshots`. `streams` are the streams of the log."""

    streams: Mapping[StreamId, Sequence[StoredEvent]]
    kept: dict[StreamId, KeptSnapshot] = field(default_factory=dict[StreamId, KeptSnapshot])

    async def load(self, stream: StreamId, *, after: int, schema_hash: bytes | None) -> StreamPage:
        start = self._valid_snapshot(stream)
        if start is not None and (start.schema_hash != schema_hash or start.version <= after):
            start = None
        first = start.version if start else after
        page = self.streams.get(stream, ())[first : first + PAGE]
        events = [e for each in page for e in codec.decode(each.event_type, each.schema_version, each.payload)]
        last = page[-1] if page else self._at(stream, first) if start else None
        version, position = (last.version, last.position) if last else (after, 0)
        return StreamPage(start.state if start else None, events, version, position, more=len(page) == PAGE)

    def keep(self, snapshot: Snapshot) -> None:
        event, known = self._at(snapshot.stream, snapshot.version), self._valid_snapshot(snapshot.stream)
        if event is None:
            return
        if known is None or known.version < snapshot.version or known.schema_hash != snapshot.schema_hash:
            self.kept[snapshot.stream] = KeptSnapshot(snapshot, event.event_id)

    async def forget(self, stream: StreamId) -> bool:
        return self.kept.pop(stream, None) is not None

    async def forget_all(self) -> int:
        forgotten = len(self.kept)
        self.kept.clear()
        return forgotten

    def _valid_snapshot(self, stream: StreamId) -> Snapshot | None:
        """The stream's snapshot, if the log still has the event at its version."""
        known = self.kept.get(stream)
        event = self._at(stream, known.snapshot.version) if known else None
        return known.snapshot if known and event and event.event_id == known.event_id else None

    def _at(self, stream: StreamId, version: int) -> StoredEvent | None:
        events = self.streams.get(stream, ())
        return events[version - 1] if 0 < version <= len(events) else None
