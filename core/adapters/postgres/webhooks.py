"""Webhooks, their secrets and their deliveries in PostgreSQL, as operators see them and act on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from asyncpg import Record

from core.adapters.postgres.connection import Connection, Link
from core.ports.webhooks import (
    MOST_LISTED,
    MOST_WAITING,
    MOST_WEBHOOKS,
    READER,
    DeliveryState,
    Webhook,
    WebhookChange,
    WebhookDelivery,
    WebhookTerms,
)

SHOWN = f"""
SELECT w.id, w.url, w.description, w.event_types, w.enabled, w.disabled_why, w.created_at, w.created_by, w.position,
       greatest((SELECT coalesce(max(e.position), 0) FROM events e) - w.position, 0) AS behind,
       (SELECT count(*) FROM (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'waiting'
                              LIMIT {2 * MOST_WAITING}) AS d) AS waiting,
       (SELECT count(*) FROM dead_letters l WHERE l.reader = '{READER}.' || w.id) AS failed,
       (SELECT count(*) FROM webhook_secrets s WHERE s.webhook_id = w.id
           AND (s.ends_at IS NULL OR s.ends_at > clock_timestamp())) AS secrets,
       (SELECT nullif(d.due_at, '-infinity') FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'waiting'
         ORDER BY d.due_at LIMIT 1) AS next_try_at,
       last.delivered_at, coalesce(last.error, '') AS last_error
  FROM webhooks w
  LEFT JOIN LATERAL (
       SELECT max(d.tried_at) FILTER (WHERE d.state = 'delivered') AS delivered_at,
              (array_agg(d.error ORDER BY d.tried_at DESC NULLS LAST))[1] AS error
         FROM (SELECT * FROM webhook_deliveries n WHERE n.webhook_id = w.id AND n.tried_at IS NOT NULL
                ORDER BY n.created_at DESC, n.position DESC LIMIT 100) AS d) AS last ON true
"""
ADD = f"""
WITH added AS (
    INSERT INTO webhooks (id, url, description, event_types, position, created_by)
    SELECT $1, $2, $3, $4::text[], (SELECT coalesce(max(position), 0) FROM events), $5
     WHERE (SELECT count(*) FROM webhooks) < {MOST_WEBHOOKS}
        ON CONFLICT (url) DO NOTHING
    RETURNING id
)
INSERT INTO webhook_secrets (webhook_id, secret) SELECT id, $6 FROM added RETURNING webhook_id
"""
# The row is locked first: once those that wait are looked through, no deliveries are made by the filter of before.
TERMS = "SELECT url FROM webhooks WHERE id = $1 FOR UPDATE"
CHANGE = """
UPDATE webhooks
   SET url = coalesce($2, url), description = coalesce($3, description), event_types = coalesce($4::text[], event_types)
 WHERE id = $1
"""
FORGET_UNWANTED = """
DELETE FROM webhook_deliveries
 WHERE webhook_id = $1 AND state = 'waiting' AND position IS NOT NULL AND $2::text[] <> '{}'
   AND message_type <> ALL ($2::text[])
"""
SEND_AT_ONCE = """
UPDATE webhook_deliveries SET due_at = clock_timestamp()
 WHERE webhook_id = $1 AND state = 'waiting' AND due_at > clock_timestamp()
"""
# Only the newest of the secrets before it stays beside the new one, so that a message has two signatures at most.
ROTATE = """
WITH ending AS (
    UPDATE webhook_secrets s
       SET ends_at = least(s.ends_at, clock_timestamp() + CASE WHEN s.made_at = newest.made_at THEN $3::interval
                                                               ELSE '0 s' END)
      FROM (SELECT max(n.made_at) AS made_at FROM webhook_secrets n WHERE n.webhook_id = $1) AS newest
     WHERE s.webhook_id = $1 AND s.secret <> $2
)
INSERT INTO webhook_secrets (webhook_id, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""
ENABLE = """
UPDATE webhooks SET enabled = true, disabled_why = '', position = (SELECT coalesce(max(e.position), 0) FROM events e)
 WHERE id = $1 AND NOT enabled
"""
DISABLE = "UPDATE webhooks SET enabled = false, disabled_why = $2 WHERE id = $1 AND enabled"
REMOVE = f"""
WITH letters AS (DELETE FROM dead_letters WHERE reader = '{READER}.' || $1::text)
DELETE FROM webhooks WHERE id = $1
"""
REPLAY = """
UPDATE webhooks SET position = $2 WHERE id = $1 AND $2 <= (SELECT coalesce(max(e.position), 0) FROM events e)
"""
SEND = """
INSERT INTO webhook_deliveries (webhook_id, message_id, message_type, data, due_at)
VALUES ($1, $2, $3, $4::jsonb, '-infinity')  -- it goes before all others, and also while the webhook is disabled
ON CONFLICT (webhook_id, message_id) DO UPDATE SET message_id = excluded.message_id
RETURNING id
"""
DELIVERIES = """
SELECT id, webhook_id, message_id, message_type, position, state, tries, created_at, tried_at, status, error,
       CASE WHEN state = 'waiting' THEN nullif(due_at, '-infinity') END AS due_at
  FROM webhook_deliveries
"""


class PostgresWebhooks:
    """See `core.ports.webhooks.Webhooks`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def all(self) -> Sequence[Webhook]:
        query = f"{SHOWN} ORDER BY w.created_at, w.id"
        return [_webhook(row) for row in await self._link.run(lambda c: c.fetch(query))]

    async def one(self, id_: str) -> Webhook | None:
        if "\0" in id_:  # which no text of PostgreSQL has
            return None
        row = await self._link.run(lambda c: c.fetchrow(f"{SHOWN} WHERE w.id = $1", id_))
        return None if row is None else _webhook(row)

    async def add(self, id_: str, terms: WebhookTerms, secret: bytes, *, by: str) -> bool:
        values = (id_, terms.url, terms.description, list(terms.event_types), by, secret)
        return await self._link.once(lambda c: c.fetchval(ADD, *values)) is not None

    async def change(self, id_: str, change: WebhookChange) -> bool:
        types = None if change.event_types is None else list(change.event_types)

        async def write(connection: Connection) -> bool:
            async with connection.transaction():
                before = await connection.fetchval(TERMS, id_)
                try:
                    async with connection.transaction():
                        await connection.execute(CHANGE, id_, change.url, change.description, types)
                except asyncpg.UniqueViolationError:
                    return False
                if types is not None:
                    await connection.execute(FORGET_UNWANTED, id_, types)
                if change.url not in (None, before):
                    await connection.execute(SEND_AT_ONCE, id_)
                return True

        return await self._link.run(write)

    async def replace_secret(self, id_: str, secret: bytes, *, overlap: timedelta) -> None:
        await self._do(ROTATE, id_, secret, overlap)

    async def enable(self, id_: str) -> None:
        await self._do(ENABLE, id_)

    async def disable(self, id_: str, why: str) -> None:
        await self._do(DISABLE, id_, why)

    async def remove(self, id_: str) -> None:
        await self._do(REMOVE, id_)

    async def replay(self, id_: str, after: int) -> None:
        await self._do(REPLAY, id_, after)

    async def send(self, id_: str, message_id: UUID, message_type: str, data: Mapping[str, Any]) -> UUID:
        text = msgspec.json.encode(data).decode()
        return await self._link.run(lambda c: c.fetchval(SEND, id_, message_id, message_type, text))

    async def delivery(self, id_: UUID) -> WebhookDelivery | None:
        row = await self._link.run(lambda c: c.fetchrow(f"{DELIVERIES} WHERE id = $1", id_))
        return None if row is None else WebhookDelivery(**row)

    async def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None, limit: int = MOST_LISTED
    ) -> Sequence[WebhookDelivery]:
        query = f"{DELIVERIES} WHERE webhook_id = $1 AND ($2::text IS NULL OR state = $2)"
        query += " ORDER BY created_at DESC, position DESC LIMIT $3"

        async def read(connection: Connection) -> Sequence[Record]:
            return await connection.fetch(query, webhook_id, state, limit)

        return [WebhookDelivery(**row) for row in await self._link.run(read)]

    async def _do(self, statement: str, *values: Any) -> None:
        await self._link.run(lambda connection: connection.execute(statement, *values))


def _webhook(row: Record) -> Webhook:
    known: dict[str, Any] = {**row, "event_types": tuple(row["event_types"])}
    return Webhook(**known)
