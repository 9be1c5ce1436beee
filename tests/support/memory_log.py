"""The log and the rows of sagas in memory, with the verdicts of `append_events`: all or nothing, at one instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from core import codec
from core.codec import StoredEvent
from core.domain.decider import Decider
from core.domain.message import Recorded, SagaId, StreamId
from core.ports.clock import Clock
from core.ports.log import Accepted, Append, Conflict, Entry, LeaseLost, NewEvent, SagaRow, Verdict
from core.ports.sagas import Claim
from core.ports.snapshots import Snapshot, StreamPage


@dataclass
class Row:
    """`last` is what the last append said."""

    last: SagaRow
    epoch: int
    owner: str | None
    due_at: datetime | None
    claims: int = 0

    @property
    def live(self) -> bool:
        return self.last.status in {"RUNNING", "COMPENSATING"}


@dataclass
class MemorySnapshots:
    """See `core.ports.snapshots.Snapshots`; none is ever lost, so each that is kept is used."""

    streams: Mapping[StreamId, Sequence[Recorded]]
    kept: dict[StreamId, Snapshot] = field(default_factory=dict)

    async def load(self, stream: StreamId, *, after: int, schema_hash: bytes | None) -> StreamPage:
        recorded, known = self.streams.get(stream, ()), self.kept.get(stream)
        used = known if known and known.schema_hash == schema_hash and known.version > after else None
        rest = recorded[used.version if used else after :]
        position = recorded[-1].position if recorded else 0
        state = used.state if used else None
        return StreamPage(state, [each.event for each in rest], len(recorded), position, more=False)

    def keep(self, snapshot: Snapshot) -> None:
        self.kept[snapshot.stream] = snapshot

    async def forget(self, stream: StreamId) -> None:
        self.kept.pop(stream, None)


@dataclass
class MemoryLog:
    """What sagas use of an EventStore and a SagaLog; see `core.ports`."""

    clock: Clock
    events: list[StoredEvent] = field(default_factory=list)
    streams: dict[StreamId, list[Recorded]] = field(default_factory=dict)
    rows: dict[SagaId, Row] = field(default_factory=dict)
    checkpoints: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.snapshots = MemorySnapshots(self.streams)

    # --- the log --------------------------------------------------------------------------------------------
    async def append(self, append: Append) -> Verdict:
        if any(row.saga_id in self.rows and self.rows[row.saga_id].epoch != row.epoch for row in append.sagas):
            return LeaseLost()
        actual = [len(self.streams.get(entry.stream, ())) for entry in append.entries]
        if actual != [entry.expected for entry in append.entries]:
            return Conflict(actual)
        written = [entry.stream for entry in append.entries if entry.events]
        assert len(written) == len(set(written)), "two entries write the same version of one stream"
        for entry in append.entries:
            for new in entry.events:
                self._record(entry, new)
        for row in append.sagas:
            self._put(row)
        return Accepted(len(self.events) if written else 0)

    def _record(self, entry: Entry, new: NewEvent) -> None:
        stream = self.streams.setdefault(entry.stream, [])
        stored = StoredEvent(
            position=len(self.events) + 1,
            stream=entry.stream,
            category=entry.category,
            version=len(stream) + 1,
            event_id=new.event_id,
            event_type=codec.event_type(type(new.event)),
            schema_version=codec.SCHEMA_VERSION,
            payload=codec.encode(new.event).decode(),
            metadata=codec.encode_metadata(new.metadata).decode(),
            correlation_id=new.metadata.correlation_id,
            recorded_at=self.clock.now(),
        )
        self.events.append(stored)
        stream.append(stored.recorded())

    def _put(self, row: SagaRow) -> None:
        due_at = None if row.due_in is None else self.clock.now() + row.due_in
        self.rows[row.saga_id] = Row(row, row.epoch or 1, row.owner, due_at)

    async def load(self, stream: StreamId, *, after: int = 0) -> Sequence[Recorded]:
        return self.streams.get(stream, [])[after:]

    async def read_log(self, *, after: int, limit: int) -> Sequence[StoredEvent]:
        return self.events[after : after + limit]

    async def head(self) -> int:
        return len(self.events)

    def told(self, stream: StreamId, *, before: int | None = None) -> list[Recorded]:
        """Its events, or those before a position."""
        return [e for e in self.streams.get(stream, ()) if before is None or e.position < before]

    def state(self, decider: Decider, stream: StreamId, *, before: int | None = None):  # type: ignore[no-untyped-def, type-arg]  # noqa: ANN201
        return decider.fold(recorded.event for recorded in self.told(stream, before=before))

    # --- the sagas' rows ------------------------------------------------------------------------------------
    async def claim(self, owner: str, *, limit: int, lease: timedelta) -> Sequence[Claim]:
        due = sorted((at, id_) for id_, row in self.rows.items() if (at := self._due(row)) and at <= self.clock.now())
        claims: list[Claim] = []
        for _, saga_id in due[:limit]:
            row = self.rows[saga_id]
            row.epoch, row.claims = row.epoch + 1, row.claims + 1
            row.owner, row.due_at = owner, self.clock.now() + lease
            last = row.last
            claims.append(Claim(saga_id, last.name, last.definition, last.order_id, row.epoch, row.claims))
        return claims

    @staticmethod
    def _due(row: Row) -> datetime | None:
        return row.due_at if row.live else None

    def next_due(self) -> datetime | None:
        return min(filter(None, map(self._due, self.rows.values())), default=None)

    async def extend(self, owner: str, leases: Mapping[SagaId, int], *, lease: timedelta) -> Sequence[SagaId]:
        lost: list[SagaId] = []
        for saga_id, epoch in leases.items():
            row = self.rows[saga_id]
            if row.epoch > epoch:
                lost.append(saga_id)
            elif row.owner == owner and row.due_at is not None:
                row.due_at = max(row.due_at, self.clock.now() + lease)
        return lost

    async def wake(self, saga_ids: Sequence[SagaId]) -> None:
        for row in filter(None, map(self.rows.get, saga_ids)):
            if row.owner is None and row.live:
                row.due_at = min(filter(None, (row.due_at, self.clock.now())))

    async def epoch(self, saga_id: SagaId) -> int | None:
        return self.rows[saga_id].epoch if saga_id in self.rows else None

    async def reached(self, reader: str) -> int:
        return self.checkpoints.get(reader, 0)

    async def reach(self, reader: str, position: int) -> None:
        self.checkpoints[reader] = max(position, self.checkpoints.get(reader, 0))

    def all(self) -> list[Recorded]:
        return sorted(chain.from_iterable(self.streams.values()), key=lambda recorded: recorded.position)
