"""The keys of callers in the table `api_keys`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from asyncpg import Record

from core.adapters.postgres.audit import as_json
from core.adapters.postgres.connection import Link
from core.api_keys import MadeKey, Role
from core.ports.api_keys import MOST_LISTED, ApiKey, KeyTerms, ValidKey
from core.ports.audit import AuditEntry

TRIES = 3  # of two who make a key for one caller at the same time, one finds the slot taken and looks for the other

SHOWN = """
SELECT id, caller, role, speaks_for_others, routes, public_key, created_at, created_by, expires_at, last_used_at,
       revoked_at, revoked_by,
       CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
            WHEN expires_at <= clock_timestamp() THEN 'expired'
            ELSE 'valid' END AS state
  FROM api_keys
"""
VALID = """
SELECT id, caller, role, speaks_for_others, routes, hash, public_key,
       extract(epoch FROM expires_at - clock_timestamp())::float8 AS seconds_left
  FROM api_keys
 WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
"""
FREE_SLOTS = """
UPDATE api_keys SET slot = NULL WHERE caller = $1 AND slot IS NOT NULL AND expires_at <= clock_timestamp()
"""
ADD = """
WITH added AS (
INSERT INTO api_keys (id, caller, role, speaks_for_others, routes, hash, public_key, created_by, expires_at, slot)
SELECT $1, $2, $3, $4, $5::text[], $6, $7, $8, clock_timestamp() + $9::interval, s.slot
  FROM generate_series(1, 2) AS s(slot)
 WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.caller = $2 AND k.slot = s.slot)
 ORDER BY s.slot LIMIT 1
    ON CONFLICT (caller, slot) DO NOTHING
RETURNING id
)
SELECT record_audit($10) FROM added
"""
TAKEN = "SELECT count(*) FROM api_keys WHERE caller = $1 AND slot IS NOT NULL"
END = """
UPDATE api_keys SET expires_at = clock_timestamp() + $2::interval
 WHERE id = $1 AND (expires_at IS NULL OR expires_at > clock_timestamp() + $2::interval)
"""
REVOKE = """
WITH revoked AS (
UPDATE api_keys SET revoked_at = clock_timestamp(), revoked_by = $2, slot = NULL
 WHERE id = $1 AND revoked_at IS NULL
RETURNING id
)
SELECT record_audit($3) FROM revoked
"""
USED = "UPDATE api_keys SET last_used_at = date_trunc('minute', clock_timestamp()) WHERE id = ANY ($1::text[])"
USE_NONCE = """
INSERT INTO signature_nonces (key_id, nonce, until) VALUES ($1, $2, clock_timestamp() + $3::interval)
    ON CONFLICT (key_id, nonce) DO NOTHING
RETURNING true
"""
FORGET_NONCES = "DELETE FROM signature_nonces WHERE until < now()"  # clock_timestamp() would have all of them read


class PostgresApiKeys:
    """See `core.ports.api_keys.ApiKeys`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def changes(self) -> int:
        return int(await self._link.run(lambda c: c.fetchval("SELECT number FROM api_key_changes")))

    async def valid(self) -> Sequence[ValidKey]:
        rows = await self._link.run(lambda c: c.fetch(VALID))
        return [
            ValidKey(
                id=row["id"],
                caller=row["caller"],
                role=Role(row["role"]),
                speaks_for_others=row["speaks_for_others"],
                routes=tuple(row["routes"]),
                hash=row["hash"],
                public_key=row["public_key"],
                seconds_left=row["seconds_left"],
            )
            for row in rows
        ]

    async def all(self) -> Sequence[ApiKey]:
        query = f"{SHOWN} ORDER BY created_at DESC, id LIMIT {MOST_LISTED}"
        return [_shown(row) for row in await self._link.run(lambda c: c.fetch(query))]

    async def one(self, id_: str) -> ApiKey | None:
        if "\0" in id_:  # which no text of PostgreSQL has
            return None
        row = await self._link.run(lambda c: c.fetchrow(f"{SHOWN} WHERE id = $1", id_))
        return None if row is None else _shown(row)

    async def add(
        self, terms: KeyTerms, made: MadeKey, entry: AuditEntry, *, lasts: timedelta | None, by: str
    ) -> ApiKey | None:
        may = (terms.role.value, terms.speaks_for_others, list(terms.routes))
        values = (made.id, terms.caller, *may, made.hash, terms.public_key, by)
        for _ in range(TRIES):
            await self._link.run(lambda c: c.execute(FREE_SLOTS, terms.caller))
            if await self._link.once(lambda c: c.fetchval(ADD, *values, lasts, as_json([entry]))) is not None:
                return await self.one(made.id)
            if await self._link.run(lambda c: c.fetchval(TAKEN, terms.caller)) > 1:
                break
        return None

    async def end_within(self, id_: str, time: timedelta) -> None:
        await self._link.run(lambda c: c.execute(END, id_, time))

    async def revoke(self, id_: str, entry: AuditEntry, *, by: str) -> bool:
        return await self._link.run(lambda c: c.fetchval(REVOKE, id_, by, as_json([entry]))) is not None

    async def note_used(self, ids: Iterable[str]) -> None:
        await self._link.run(lambda c: c.execute(USED, list(ids)))

    async def use_nonce(self, id_: str, nonce: str, time: timedelta) -> bool:
        return await self._link.once(lambda c: c.fetchval(USE_NONCE, id_, nonce, time)) is not None

    async def forget_nonces(self) -> None:
        await self._link.run(lambda c: c.execute(FORGET_NONCES))


def _shown(row: Record) -> ApiKey:
    known: dict[str, Any] = {**row, "role": Role(row["role"]), "routes": tuple(row["routes"])}
    return ApiKey(**known)
