"""The deliveries of webhooks in PostgreSQL, as the notifier makes and sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record

from core.adapters.postgres.connection import Connection, Link
from core.codec import StoredEvent
from core.errors import ShareLost
from core.ports.webhooks import GONE, KEPT, MOST_WAITING, READER, SHARE, CallResult, DueCall, Planned, WebhooksSeen

PLAN_AT_ONCE = 500  # events for which deliveries are made in one transaction
SWEPT_AT_ONCE = 5_000

PLAN = "SELECT made, more, webhooks_enabled FROM plan_webhook_deliveries($1, $2, $3)"
# What an operator wants tried again has failed; once it waits, it is not looked for here until it has failed again.
PLAN_AGAIN = f"""
WITH wanted AS (
    SELECT l.id, l.row_stream, EXISTS (SELECT FROM skipped_events k
                                        WHERE k.reader = l.reader AND k.event_id = l.event_id) AS skipped
      FROM dead_letters l WHERE l.reader LIKE '{READER}.%' AND l.retry_at <= now()
), moved AS (
    UPDATE webhook_deliveries d
       SET state = CASE WHEN w.skipped THEN 'skipped' ELSE 'waiting' END, due_at = clock_timestamp()
      FROM wanted w WHERE d.id = w.row_stream AND d.state = 'failed'
    RETURNING d.id
), ended AS (
    DELETE FROM dead_letters l USING wanted w WHERE l.id = w.id AND w.skipped
)
SELECT count(*) FROM moved
"""
OWN_COLUMNS = 9  # those of DUE before the columns of its event
# Of each webhook it reads the oldest that is due, however many wait for another one. What is under way is left out. A
# test is due since ever, so that it is also sent to a webhook that is disabled.
DUE = """
SELECT d.id, w.id AS webhook_id, w.url, d.message_id, d.message_type, d.tries, d.created_at, d.data::text AS data,
       array(SELECT s.secret FROM webhook_secrets s
              WHERE s.webhook_id = w.id AND (s.ends_at IS NULL OR s.ends_at > clock_timestamp())
              ORDER BY s.made_at DESC LIMIT 2) AS secrets,
       e.position, e.stream_id, e.category, e.version, e.event_id, e.event_type, e.schema_version, e.payload,
       e.metadata, e.correlation_id, e.recorded_at
  FROM webhooks w
  LEFT JOIN unnest($1::text[], $2::int[]) AS r(webhook_id, room) ON r.webhook_id = w.id
 CROSS JOIN LATERAL (
       SELECT * FROM webhook_deliveries d
        WHERE d.webhook_id = w.id AND d.state = 'waiting' AND d.id <> ALL ($4::uuid[])
          AND d.due_at <= CASE WHEN w.enabled THEN now() ELSE '-infinity' END
        ORDER BY d.due_at, d.position LIMIT coalesce(r.room, $3)) AS d
  LEFT JOIN events e ON e.position = d.position
"""
# Webhooks first, in the order in which others lock them, and by a statement of its own: what it waited for has changed
# where one leads, and SAVE has to see that.
LOCK = "SELECT FROM webhooks WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE"
# Whoever saves a result first counts: of two notifiers, one may believe for a while that it still leads. What was
# said by an address to which the webhook leads no more puts nothing off, and disables nothing.
SAVE = f"""
WITH result AS (
    SELECT r.*, coalesce(w.url = r.url, false) AS leads_there
      FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::text[], $6::float8[], $7::bool[], $8::text[],
                  $9::text[])
             AS r(id, tries, state, status, error, again, gone, webhook_id, url)
      LEFT JOIN webhooks w ON w.id = r.webhook_id
), saved AS (
    UPDATE webhook_deliveries d
       SET state = r.state, tries = d.tries + 1, status = r.status, error = r.error, tried_at = clock_timestamp(),
           due_at = clock_timestamp() + make_interval(secs => CASE WHEN r.leads_there THEN r.again ELSE 0 END)
      FROM result r
     WHERE d.id = r.id AND d.tries = r.tries AND d.state = 'waiting'
    RETURNING d.*
), letters AS (
    INSERT INTO dead_letters AS l (id, reader, row_stream, category, event_id, stream_id, version, position, event_type,
                                   schema_version, correlation_id, error, fingerprint, tries)
    SELECT gen_random_uuid(), '{READER}.' || s.webhook_id, s.id, e.category, e.event_id, e.stream_id, e.version,
           e.position, e.event_type, e.schema_version, e.correlation_id, s.error,
           left(md5(s.webhook_id || ' ' || s.error), 12), s.tries
      FROM saved s JOIN events e ON e.position = s.position
     WHERE s.state = 'failed'
        ON CONFLICT (reader, row_stream) DO UPDATE
       SET error = excluded.error, fingerprint = excluded.fingerprint, tries = excluded.tries,
           last_failed_at = clock_timestamp(), retry_at = NULL
), ended AS (
    DELETE FROM dead_letters l USING saved s
     WHERE s.state = 'delivered' AND l.row_stream = s.id AND l.reader = '{READER}.' || s.webhook_id
)
UPDATE webhooks w SET enabled = false, disabled_why = '{GONE}'
  FROM saved s JOIN result r ON r.id = s.id
 WHERE w.id = s.webhook_id AND w.enabled AND r.gone AND r.leads_there
"""
SWEEP_SECRETS = "DELETE FROM webhook_secrets WHERE ends_at <= clock_timestamp()"
# clock_timestamp() may be another at each row, so it finds nothing by an index: all deliveries would be read.
SWEEP = f"""
DELETE FROM webhook_deliveries WHERE id IN (
    SELECT id FROM webhook_deliveries
     WHERE state <> 'waiting' AND (state <> 'failed' OR position IS NULL)
       AND tried_at < now() - $1::interval
     LIMIT {SWEPT_AT_ONCE})
"""
LOOK = f"""
SELECT (SELECT coalesce(array_agg(w.id), '{{}}') FROM webhooks w) AS webhooks,
       (SELECT count(*) FROM webhooks w WHERE NOT w.enabled AND w.disabled_why = '{GONE}') AS ended,
       count(*) AS due, coalesce(extract(epoch FROM max(now() - d.due_at)), 0)::float8 AS seconds
  FROM (SELECT w.id FROM webhooks w WHERE w.enabled) AS w
 CROSS JOIN LATERAL (SELECT d.due_at FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'waiting'
                        AND d.due_at <= now() AND d.position IS NOT NULL ORDER BY d.due_at LIMIT 1000) AS d
"""


class PostgresWebhookCalls:
    """See `core.ports.webhooks.WebhookCalls`. With a link of its own, making deliveries holds up no result."""

    def __init__(self, link: Link, planning: Link) -> None:
        self._link = link
        self._planning = planning

    async def plan(self, epoch: int) -> Planned:
        row = await self._planning.run(lambda c: c.fetchrow(PLAN, epoch, PLAN_AT_ONCE, MOST_WAITING))
        if row is None:
            raise ShareLost(READER, (SHARE,))
        return Planned(*row)

    async def plan_again(self) -> int:
        return int(await self._planning.run(lambda c: c.fetchval(PLAN_AGAIN)))

    async def due(self, room: Mapping[str, int], most: int, under_way: Sequence[UUID]) -> Sequence[DueCall]:
        values = (list(room), list(room.values()), most, list(under_way))
        return [_call(row) for row in await self._link.run(lambda c: c.fetch(DUE, *values))]

    async def save(self, results: Sequence[CallResult]) -> None:
        columns: Sequence[Sequence[Any]] = [
            [one.call.delivery_id for one in results],
            [one.call.tries for one in results],
            [one.state for one in results],
            [one.status for one in results],
            [one.error for one in results],
            [one.again for one in results],
            [one.gone for one in results],
            [one.call.webhook_id for one in results],
            [one.call.url for one in results],
        ]

        async def lock_and_save(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(LOCK, list({one.call.webhook_id for one in results}))
                await connection.execute(SAVE, *columns)

        await self._link.run(lock_and_save)

    async def sweep(self) -> None:
        async def delete(connection: Connection) -> None:
            await connection.execute(SWEEP_SECRETS)
            await connection.execute(SWEEP, KEPT)

        await self._planning.run(delete)

    async def look(self) -> WebhooksSeen:
        row = await self._planning.run(lambda c: c.fetchrow(LOOK))
        assert row is not None  # noqa: S101 - it has one row
        return WebhooksSeen(frozenset(row["webhooks"]), row["ended"], row["due"], row["seconds"])


def _call(row: Record) -> DueCall:
    return DueCall(
        delivery_id=row["id"],
        webhook_id=row["webhook_id"],
        url=row["url"],
        secrets=tuple(row["secrets"]),
        message_id=row["message_id"],
        message_type=row["message_type"],
        tries=row["tries"],
        created_at=row["created_at"],
        event=None if row["position"] is None else StoredEvent(*row[OWN_COLUMNS:]),
        data=row["data"],
    )
