"""The log in memory, with the verdicts of `append_events`: an append is recorded as a whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from core import codec
from core.adapters.memory.snapshots import MemorySnapshots
from core.codec import StoredEvent
from core.domain.message import Recorded, SagaId, StreamId
from core.ports.clock import Clock
from core.ports.log import Accepted, Append, Conflict, Entry, KeptAnswer, LeaseLost, NewEvent, Replay, SagaRow, Verdict


@dataclass
class KeptSaga:
    """A saga's row: `last` is how the last append left it; claims, extensions and releases change the rest."""

    last: SagaRow
    epoch: int
    owner: str | None
    due_at: datetime | None
    claims: int = 0

    @property
    def live(self) -> bool:
        return self.last.status in {"RUNNING", "COMPENSATING"}


@dataclass
class KeptKey:
    """An idempotency key with its first answer."""

    replay: Replay
    created_at: datetime


@dataclass
class MemoryLog:
    """See `core.ports.log.EventStore`. `rows` and `keys` are what `MemorySagaLog` claims from and sweeps."""

    clock: Clock
    events: list[StoredEvent] = field(default_factory=list[StoredEvent])
    streams: dict[StreamId, list[StoredEvent]] = field(default_factory=dict[StreamId, list[StoredEvent]])
    keys: dict[tuple[str, str], KeptKey] = field(default_factory=dict[tuple[str, str], KeptKey])
    rows: dict[SagaId, KeptSaga] = field(default_factory=dict[SagaId, KeptSaga])

    def __post_init__(self) -> None:
        self.snapshots = MemorySnapshots(self.streams)

    async def append(self, append: Append) -> Verdict:
        """Raises ValueError, and records nothing, when two entries would write the same version of a stream."""
        if append.key is not None and (known := self.keys.get((append.key.scope, append.key.key))):
            return known.replay
        if any(self._lost(row) for row in append.sagas):
            return LeaseLost()
        actual = [len(self.streams.get(entry.stream, ())) for entry in append.entries]
        if actual != [entry.expected for entry in append.entries]:
            return Conflict(actual)
        written = [entry.stream for entry in append.entries if entry.events]
        if len(written) != len(set(written)):
            raise ValueError("two entries write the same version of one stream")
        moment = self._moment()
        for entry in append.entries:
            for new in entry.events:
                self.put(self._stored(entry, new, moment))
        position = len(self.events) if written else None
        if append.key is not None:
            self._keep_key(append.key, position, moment)
        for row in append.sagas:
            self._keep_row(row, moment)
        return Accepted(position or 0)

    def _lost(self, row: SagaRow) -> bool:
        known = self.rows.get(row.saga_id)
        return known is not None and known.epoch != row.epoch

    def _moment(self) -> datetime:
        """Now, and never before the last event: `recorded_at` does not fall when a clock is set back."""
        now = self.clock.now()
        return max(now, self.events[-1].recorded_at) if self.events else now

    def _stored(self, entry: Entry, new: NewEvent, moment: datetime) -> StoredEvent:
        return StoredEvent(
            position=len(self.events) + 1,
            stream=entry.stream,
            category=entry.category,
            version=len(self.streams.get(entry.stream, ())) + 1,
            event_id=new.event_id,
            event_type=codec.event_type(type(new.event)),
            schema_version=codec.SCHEMA_VERSION,
            payload=codec.encode(new.event).decode(),
            metadata=codec.encode_metadata(new.metadata).decode(),
            correlation_id=new.metadata.correlation_id,
            recorded_at=moment,
        )

    def put(self, stored: StoredEvent) -> None:
        """Add an event at the end of the log and of its stream, whichever release wrote it."""
        self.events.append(stored)
        self.streams.setdefault(stored.stream, []).append(stored)

    def _keep_key(self, key: KeptAnswer, position: int | None, moment: datetime) -> None:
        answer = replace(
            key.answer,
            position=key.answer.position if position is None else position,
            fields=codec.parse(codec.json(key.answer.fields)),
        )
        self.keys[key.scope, key.key] = KeptKey(Replay(answer, key.fingerprint), moment)

    def _keep_row(self, row: SagaRow, moment: datetime) -> None:
        due_at = None if row.due_in is None else moment + row.due_in
        if row.epoch == 0:
            self.rows[row.saga_id] = KeptSaga(row, 1, row.owner, due_at)
        elif known := self.rows.get(row.saga_id):
            first = known.last
            known.last = replace(row, name=first.name, definition=first.definition, order_id=first.order_id)
            known.owner, known.due_at, known.claims = row.owner, due_at, 0

    async def load(self, stream: StreamId, *, after: int = 0) -> Sequence[Recorded]:
        return [stored.recorded() for stored in self.streams.get(stream, [])[after:]]

    async def read_log(self, *, after: int, limit: int) -> Sequence[StoredEvent]:
        return self.events[after : after + limit]

    async def head(self) -> int:
        return len(self.events)

    async def answered(self, scope: str, key: str) -> Replay | None:
        known = self.keys.get((scope, key))
        return known.replay if known else None
