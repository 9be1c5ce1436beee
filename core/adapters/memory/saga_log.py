"""The rows of sagas in memory: claims, leases and wake-ups, all by the clock of the log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from core.adapters.memory.log import KeptSaga, MemoryLog
from core.domain.message import SagaId
from core.ports.dead_letters import LATER, TRY_AGAIN
from core.ports.sagas import STARTS_ON, Backlog, Claim, UnreadEvent

MOST_CLAIMS_RELEASED = 4
"""A saga that was claimed so often without a new event is not released: maybe its runner dies because of it."""


class MemorySagaLog:
    """See `core.ports.sagas.SagaLog`. As in PostgreSQL, `due_at` is the end of the lease while a runner holds one."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def claim(self, owner: str, *, limit: int, lease: timedelta) -> Sequence[Claim]:
        now = self._now
        due = sorted(
            (row.due_at, row.last.saga_id) for row in self._rows() if row.live and row.due_at and row.due_at <= now
        )
        claims: list[Claim] = []
        for _, saga_id in due[:limit]:
            row = self._log.rows[saga_id]
            row.epoch, row.claims = row.epoch + 1, row.claims + 1
            row.owner, row.due_at = owner, now + lease
            last = row.last
            claims.append(Claim(saga_id, last.name, last.definition, last.order_id, row.epoch, row.claims))
        return claims

    async def extend(self, owner: str, leases: Mapping[SagaId, int], *, lease: timedelta) -> Sequence[SagaId]:
        lost: list[SagaId] = []
        for saga_id, epoch in leases.items():
            row = self._log.rows.get(saga_id)
            if row is not None and row.epoch > epoch:
                lost.append(saga_id)
            elif row is not None and row.epoch == epoch and row.owner == owner:
                until = self._now + lease
                row.due_at = until if row.due_at is None else max(row.due_at, until)
        return lost

    async def owners(self) -> Sequence[str]:
        return sorted({row.owner for row in self._rows() if row.owner is not None and self._waits(row)})

    async def release(self, owners: Sequence[str]) -> int:
        leases = [row for row in self._rows() if row.owner in owners and self._waits(row)]
        rows = [row for row in leases if row.claims < MOST_CLAIMS_RELEASED]
        for row in rows:
            row.owner, row.due_at = None, self._now
        return len(rows)

    async def wake(self, saga_ids: Sequence[SagaId]) -> None:
        for row in filter(None, map(self._log.rows.get, saga_ids)):
            if row.owner is None and self._waits(row):
                row.due_at = self._now

    async def set_due(self, parked: Mapping[SagaId, int], *, due_in: timedelta) -> None:
        for saga_id, epoch in parked.items():
            row = self._log.rows.get(saga_id)
            if row is not None and row.epoch == epoch and row.owner is None and self._waits(row):
                row.due_at = self._now + due_in

    async def set_aside(self, owner: str, saga_id: SagaId, epoch: int, unread: UnreadEvent) -> None:
        row = self._log.rows.get(saga_id)
        if row is not None and row.live and (row.owner, row.epoch) == (owner, epoch):
            pause = TRY_AGAIN[row.set_aside] if row.set_aside < len(TRY_AGAIN) else LATER
            row.owner, row.due_at, row.claims = None, self._now + timedelta(seconds=pause), max(0, row.claims - 1)
            row.last = replace(row.last, last_error=unread.saga_error)
            row.set_aside += 1

    async def backlog(self, *, most: int) -> Backlog:
        now, started = self._now, self._log.started
        due = sorted(row.due_at for row in self._rows() if row.live and row.due_at and row.due_at <= now)
        unstarted = [e.recorded_at for e in self._log.events if e.position > started and e.event_type in STARTS_ON]
        due, unstarted = due[:most], unstarted[:most]
        return Backlog(
            due=len(due),
            due_for=(now - due[0]).total_seconds() if due else 0.0,
            unstarted=len(unstarted),
            unstarted_for=(now - unstarted[0]).total_seconds() if unstarted else 0.0,
            set_aside=sum(1 for row in self._rows() if row.set_aside),
        )

    async def epoch(self, saga_id: SagaId) -> int | None:
        row = self._log.rows.get(saga_id)
        return row.epoch if row else None

    async def forget_keys(self, *, older_than: timedelta, limit: int) -> int:
        keys = self._log.keys
        old = [known for known, kept in keys.items() if kept.created_at < self._now - older_than][:limit]
        for known in old:
            del keys[known]
        return len(old)

    def next_due(self) -> datetime | None:
        """The earliest time at which a saga is due; None when all have ended."""
        return min((row.due_at for row in self._rows() if row.live and row.due_at), default=None)

    @property
    def _now(self) -> datetime:
        return self._log.clock.now()

    def _rows(self) -> Collection[KeptSaga]:
        return self._log.rows.values()

    def _waits(self, row: KeptSaga) -> bool:
        """Whether the saga has not ended and is not due yet."""
        return row.live and row.due_at is not None and row.due_at > self._now
