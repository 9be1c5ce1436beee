"""A log that the contract suites run on, in PostgreSQL or in memory, and what only its owner can do to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import asyncpg
from uuid_utils.compat import uuid7

from core.adapters.memory.log import MemoryLog
from core.adapters.memory.saga_log import MemorySagaLog
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.codec import StoredEvent
from core.domain.message import SagaId, StreamId
from core.ports.log import EventStore
from core.ports.sagas import SagaLog
from core.ports.snapshots import Snapshot
from tests.support.log import append, entry, saga_row, stream

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class SeenRow:
    """A saga's row; `seconds` until it is due, None when it never is."""

    epoch: int
    owner: str | None
    status: str
    step: str
    attempts: int
    last_error: str | None
    claims: int
    seconds: float | None


class LogUnderTest(Protocol):
    """`store` and `sagas` are what is tested; the methods look at what they left, or play the owner of the data."""

    @property
    def store(self) -> EventStore: ...

    @property
    def sagas(self) -> SagaLog: ...

    async def row(self, saga_id: SagaId) -> SeenRow | None: ...

    async def expire(self, saga_id: SagaId) -> None:
        """The saga's timer or lease ran out a second ago."""
        ...

    async def write_elsewhere(self, at: StreamId, *, event_type: str, ahead: timedelta = timedelta()) -> None:
        """Add an event of this type to a stream that has some, as another release, or a machine with a clock ahead."""
        ...

    async def cut_off(self, *, after: int) -> None:
        """Lose the events after a position, as when a dump is restored; snapshots stay."""
        ...

    async def age_keys(self, *keys: str, by: timedelta) -> None: ...

    async def keep(self, *snapshots: Snapshot) -> None:
        """Have each snapshot kept, one after the other, and wait until it is."""
        ...


async def start_saga(log: LogUnderTest, *, due: timedelta | None = timedelta(), **other: Any) -> SagaId:
    """Record a new saga, due at once unless told otherwise."""
    saga_id = SagaId(stream())
    await log.store.append(append(entry(stream()), sagas=[saga_row(saga_id, 0, due_in=due, **other)]))
    return saga_id


async def row_of(log: LogUnderTest, saga_id: SagaId) -> SeenRow:
    row = await log.row(saga_id)
    assert row is not None
    return row


@dataclass(frozen=True)
class PostgresUnderTest:
    store: PostgresEventStore
    sagas: PostgresSagaLog
    owner: asyncpg.Connection

    async def row(self, saga_id: SagaId) -> SeenRow | None:
        row = await self.owner.fetchrow(
            "SELECT epoch, owner, status, step, attempts, last_error, claims,"
            " extract(epoch FROM due_at - now())::float8 FROM sagas WHERE saga_id = $1",
            saga_id,
        )
        return SeenRow(*row) if row else None

    async def expire(self, saga_id: SagaId) -> None:
        await self.owner.execute("UPDATE sagas SET due_at = now() - interval '1 s' WHERE saga_id = $1", saga_id)

    async def write_elsewhere(self, at: StreamId, *, event_type: str, ahead: timedelta = timedelta()) -> None:
        await self.owner.execute(
            "INSERT INTO events SELECT (SELECT max(position) + 1 FROM events), stream_id, category, version + 1, $2,"
            " $3, schema_version, payload, metadata, correlation_id, clock_timestamp() + $4"
            " FROM events WHERE stream_id = $1 ORDER BY version DESC LIMIT 1",
            at, uuid7(), event_type, ahead,
        )  # fmt: skip

    async def cut_off(self, *, after: int) -> None:
        await self.owner.execute("ALTER TABLE events DISABLE TRIGGER events_are_facts")
        await self.owner.execute("DELETE FROM events WHERE position > $1", after)
        await self.owner.execute("ALTER TABLE events ENABLE TRIGGER events_are_facts")

    async def age_keys(self, *keys: str, by: timedelta) -> None:
        query = "UPDATE idempotency_keys SET created_at = created_at - $2::interval WHERE key = ANY ($1)"
        await self.owner.execute(query, keys, by)

    async def keep(self, *snapshots: Snapshot) -> None:
        for each in snapshots:
            self.store.snapshots.keep(each)
            async with asyncio.timeout(60):
                while (writing := self.store.snapshots._task) is not None:
                    await asyncio.wait([writing])


class FixedClock:
    """A clock that always shows one time."""

    def now(self) -> datetime:
        return datetime(2026, 3, 14, 15, 0, tzinfo=UTC)


class MemoryUnderTest:
    def __init__(self) -> None:
        self.store = MemoryLog(FixedClock())
        self.sagas = MemorySagaLog(self.store)

    async def row(self, saga_id: SagaId) -> SeenRow | None:
        row = self.store.rows.get(saga_id)
        if row is None:
            return None
        last, seconds = row.last, None if row.due_at is None else (row.due_at - self.store.clock.now()) / SECOND
        return SeenRow(
            row.epoch, row.owner, last.status, last.step, last.attempts, last.last_error, row.claims, seconds
        )

    async def expire(self, saga_id: SagaId) -> None:
        self.store.rows[saga_id].due_at = self.store.clock.now() - SECOND

    async def write_elsewhere(self, at: StreamId, *, event_type: str, ahead: timedelta = timedelta()) -> None:
        last = self.store.streams[at][-1]
        self.store.put(
            StoredEvent(
                position=len(self.store.events) + 1, stream=at, category=last.category, version=last.version + 1,
                event_id=uuid7(), event_type=event_type, schema_version=last.schema_version, payload=last.payload,
                metadata=last.metadata, correlation_id=last.correlation_id,
                recorded_at=self.store.clock.now() + ahead,
            )
        )  # fmt: skip

    async def cut_off(self, *, after: int) -> None:
        del self.store.events[after:]
        for recorded in self.store.streams.values():
            recorded[:] = [stored for stored in recorded if stored.position <= after]

    async def age_keys(self, *keys: str, by: timedelta) -> None:
        for key in keys:
            self.store.keys["scope", key].created_at -= by

    async def keep(self, *snapshots: Snapshot) -> None:
        for each in snapshots:
            self.store.snapshots.keep(each)
