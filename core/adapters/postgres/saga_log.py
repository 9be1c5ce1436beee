"""The rows of sagas in PostgreSQL: claims, leases and wake-ups, all by the clock of the database."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from core.adapters.postgres.backlog import backlog
from core.adapters.postgres.connection import Link
from core.adapters.postgres.read_models.set_aside import REPLACE
from core.domain.message import SagaId
from core.ports.dead_letters import LATER, TRY_AGAIN
from core.ports.sagas import READER, Backlog, Claim, UnreadEvent

LOOK_FOR_JUMP = 10.0  # seconds between two looks whether the clock has jumped back

# due_at is when a runner may claim the saga. A claim sets it to the end of the lease.
CLAIM = "SELECT * FROM claim_sagas($1, $2, $3)"

# Each saga is looked up by its id: hence FOR UPDATE in a subquery, and || '', which no index of open sagas fits.
# The planner takes the open sagas for few, as they are at most times, and would compare all of them with every id.
# SKIP LOCKED: while a row is locked, its runner is appending, and that append renews the lease.
EXTEND = """
WITH mine AS MATERIALIZED (
    SELECT found.saga_id FROM unnest($2::uuid[], $3::bigint[]) AS w(saga_id, epoch)
     CROSS JOIN LATERAL (
           SELECT s.saga_id FROM sagas s
            WHERE s.saga_id = w.saga_id AND s.epoch = w.epoch AND s.owner = $1
              FOR UPDATE SKIP LOCKED) AS found)
UPDATE sagas s SET due_at = greatest(s.due_at, now() + $4) FROM mine WHERE s.saga_id = mine.saga_id
"""

LOST = """
SELECT w.saga_id FROM unnest($1::uuid[], $2::bigint[]) AS w(saga_id, epoch)
  JOIN sagas s ON s.saga_id = w.saga_id AND s.epoch > w.epoch
"""

OWNERS = """
SELECT DISTINCT owner FROM sagas
 WHERE owner IS NOT NULL AND status IN ('RUNNING', 'COMPENSATING') AND due_at > now()
"""

# SKIP LOCKED: while a row is locked, its owner is appending, so the owner is still there. A saga that was claimed four
# times without a new event is not released, but waits until its lease runs out. Otherwise, a runner that dies at each
# start would soon use up the claims of all its sagas, and would give up sagas that are not the reason why it dies.
RELEASE = """
WITH theirs AS MATERIALIZED (
    SELECT saga_id FROM sagas
     WHERE owner = ANY ($1) AND status IN ('RUNNING', 'COMPENSATING') AND due_at > now() AND claims < 4
       FOR UPDATE SKIP LOCKED)
UPDATE sagas s SET owner = NULL, due_at = now() FROM theirs WHERE s.saga_id = theirs.saga_id
"""

WAKE = """
UPDATE sagas SET due_at = now()
 WHERE saga_id = ANY ($1) AND owner IS NULL AND status || '' IN ('RUNNING', 'COMPENSATING')
   AND due_at + interval '0' > now()
"""

# SKIP LOCKED: while a row is locked, somebody appends to its saga, and that append sets the due time.
SET_DUE = """
WITH parked AS MATERIALIZED (
    SELECT found.saga_id FROM unnest($1::uuid[], $2::bigint[]) AS w(saga_id, epoch)
     CROSS JOIN LATERAL (
           SELECT s.saga_id FROM sagas s
            WHERE s.saga_id = w.saga_id AND s.epoch = w.epoch AND s.owner IS NULL
              AND s.status || '' IN ('RUNNING', 'COMPENSATING') AND s.due_at > now()
              FOR UPDATE SKIP LOCKED) AS found)
UPDATE sagas s SET due_at = now() + $3 FROM parked WHERE s.saga_id = parked.saga_id
"""

# The lease comes first: if it is not ours any more, no dead letter is written. The runner that holds it knows more.
SET_ASIDE = f"""
WITH known AS (
    SELECT tries FROM dead_letters WHERE reader = '{READER}' AND row_stream = $2 AND position = $4
), back AS (
    UPDATE sagas
       SET owner = NULL, claims = greatest(claims - 1, 0), last_error = $7, set_aside = true,
           due_at = clock_timestamp() + make_interval(
               secs => coalesce(($8::float8[])[1 + coalesce((SELECT tries FROM known), 0)], $9::float8))
     WHERE saga_id = $2 AND owner = $1 AND epoch = $3 AND status IN ('RUNNING', 'COMPENSATING')
    RETURNING saga_id, order_id, due_at)
INSERT INTO dead_letters AS d (reader, id, row_stream, category, event_id, stream_id, version, position, event_type,
                               schema_version, correlation_id, error, fingerprint, retry_at)
SELECT '{READER}', gen_random_uuid(), back.saga_id, e.category, e.event_id, e.stream_id, e.version, e.position,
       e.event_type, e.schema_version, back.order_id, $5, $6, back.due_at
  FROM back JOIN events e ON e.position = $4
    {REPLACE}, excluded.retry_at)
"""

FORGET_KEYS = """
DELETE FROM idempotency_keys WHERE (scope, key) IN (
    SELECT scope, key FROM idempotency_keys WHERE created_at < now() - $1::interval LIMIT $2)
"""

# All due times lie less than an hour ahead. Those that lie further ahead were set before the clock jumped back.
AFTER_A_JUMP = """
UPDATE sagas SET due_at = now() + CASE WHEN owner IS NULL THEN interval '0' ELSE interval '30 s' END
 WHERE status IN ('RUNNING', 'COMPENSATING') AND due_at > now() + interval '1 hour'
"""


class PostgresSagaLog:
    """See `core.ports.sagas.SagaLog`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._looked_for_jump = -math.inf

    async def claim(self, owner: str, *, limit: int, lease: timedelta) -> Sequence[Claim]:
        if time.monotonic() - self._looked_for_jump > LOOK_FOR_JUMP:
            self._looked_for_jump = time.monotonic()
            await self._link.run(lambda c: c.execute(AFTER_A_JUMP))
        rows = await self._link.run(lambda c: c.fetch(CLAIM, owner, limit, lease))
        return [Claim(*row) for row in rows]

    async def extend(self, owner: str, leases: Mapping[SagaId, int], *, lease: timedelta) -> Sequence[SagaId]:
        ids, epochs = list(leases), list(leases.values())
        await self._link.run(lambda c: c.execute(EXTEND, owner, ids, epochs, lease))
        rows = await self._link.run(lambda c: c.fetch(LOST, ids, epochs))
        return [row["saga_id"] for row in rows]

    async def owners(self) -> Sequence[str]:
        return [row["owner"] for row in await self._link.run(lambda c: c.fetch(OWNERS))]

    async def release(self, owners: Sequence[str]) -> int:
        status = await self._link.run(lambda c: c.execute(RELEASE, owners))
        return int(status.rpartition(" ")[2])

    async def wake(self, saga_ids: Sequence[SagaId]) -> None:
        await self._link.run(lambda c: c.execute(WAKE, list(saga_ids)))

    async def set_due(self, parked: Mapping[SagaId, int], *, due_in: timedelta) -> None:
        ids, epochs = list(parked), list(parked.values())
        await self._link.run(lambda c: c.execute(SET_DUE, ids, epochs, due_in))

    async def set_aside(self, owner: str, saga_id: SagaId, epoch: int, unread: UnreadEvent) -> None:
        position, error, fingerprint, saga_error = unread
        values = (owner, saga_id, epoch, position, error, fingerprint, saga_error, list(TRY_AGAIN), LATER)
        await self._link.run(lambda c: c.execute(SET_ASIDE, *values))

    async def backlog(self, *, most: int) -> Backlog:
        return await self._link.run(lambda c: backlog(c, most))

    async def epoch(self, saga_id: SagaId) -> int | None:
        return await self._link.run(lambda c: c.fetchval("SELECT epoch FROM sagas WHERE saga_id = $1", saga_id))

    async def forget_keys(self, *, older_than: timedelta, limit: int) -> int:
        status = await self._link.run(lambda c: c.execute(FORGET_KEYS, older_than, limit))
        return int(status.rpartition(" ")[2])
