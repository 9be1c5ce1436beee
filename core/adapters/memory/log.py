"""The log in memory. An append has the same verdict as in the SQL function `append_events`."""

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
    """The row of a saga. The last append wrote `last`; claims, extensions and releases change the other fields.

    `set_aside` is how often the saga could not be read since that append.
    """

    last: SagaRow
    epoch: int
    owner: str | None
    due_at: datetime | None
    claims: int = 0
    set_aside: int = 0

    @property
    def live(self) -> bool:
        return self.last.status in {"RUNNING", "COMPENSATING"}


@dataclass
class KeptKey:
    """An idempotency key, with the answer that its first command got."""

    replay: Replay
    created_at: datetime


@dataclass
class MemoryLog:
    """See `core.ports.log.EventStore`. `MemorySagaLog` claims sagas in `rows` and deletes old `keys`."""

    clock: Clock
    events: list[StoredEvent] = field(default_factory=list[StoredEvent])
    streams: dict[StreamId, list[StoredEvent]] = field(default_factory=dict[StreamId, list[StoredEvent]])
    keys: dict[tuple[str, str], KeptKey] = field(default_factory=dict[tuple[str, str], KeptKey])
    rows: dict[SagaId, KeptSaga] = field(default_factory=dict[SagaId, KeptSaga])
    started: int = 0  # the position up to which all sagas were started

    def __post_init__(self) -> None:
        self.snapshots = MemorySnapshots(self.streams)

    async def append(self, append: Append) -> Verdict:
        """See the port. Raises ValueError, and records nothing, if two entries write the same version of a stream."""
        if append.key is not None and (known := self.keys.get((append.key.scope, append.key.key))):
            return known.replay
        if any(self._has_lost_lease(row) for row in append.sagas):
            return LeaseLost()
        actual = [len(self.streams.get(entry.stream, ())) for entry in append.entries]
        if actual != [entry.expected for entry in append.entries]:
            return Conflict(actual)
        streams = [entry.stream for entry in append.entries if entry.events]
        if len(streams) != len(set(streams)):
            raise ValueError("two entries write the same version of one stream")
        moment = self._moment()
        for entry in append.entries:
            for new in entry.events:
                self.put(self._stored(entry, new, moment))
        position = len(self.events) if streams else None
        if append.key is not None:
            self._keep_key(append.key, position, moment)
        for row in append.sagas:
            self._keep_row(row, moment)
        return Accepted(position or 0)

    def _has_lost_lease(self, row: SagaRow) -> bool:
        known = self.rows.get(row.saga_id)
        return known is not None and known.epoch != row.epoch

    def _moment(self) -> datetime:
        """The present time; but the time of the last event if the clock has been set back to before it."""
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
            schema_version=type(new.event).schema_version,
            payload=codec.encode(new.event).decode(),
            metadata=codec.encode_metadata(new.metadata).decode(),
            correlation_id=new.metadata.correlation_id,
            recorded_at=moment,
        )

    def put(self, stored: StoredEvent) -> None:
        """Add an event to the end of the log and of its stream, even one that this release cannot write."""
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
            known.owner, known.due_at, known.claims, known.set_aside = row.owner, due_at, 0, 0

    async def load(self, stream: StreamId, *, after: int = 0) -> Sequence[Recorded]:
        return [event for stored in self.streams.get(stream, [])[after:] for event in stored.recorded()]

    async def read_log(self, *, after: int, limit: int) -> Sequence[StoredEvent]:
        return self.events[after : after + limit]

    async def head(self) -> int:
        return len(self.events)

    async def answered(self, scope: str, key: str) -> Replay | None:
        known = self.keys.get((scope, key))
        return known.replay if known else None
