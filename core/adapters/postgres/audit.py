"""The audit in the table `audit`. Functions of the database add to it, since nobody else may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from asyncpg import Record

from core.adapters.postgres.connection import Link
from core.ports.audit import AuditEntry, AuditPage, AuditRow, AuditSearch

RECORD = "SELECT record_audit($1)"
CUT = "SELECT cut_audit($1)"
FORGET = "SELECT forget_cut_audit($1)"
FORGOTTEN_AT_ONCE = 5_000
LOOKED_AT = 50_000  # rows that one page looks at: some 30 ms
BOUNDS = """
SELECT head, encode(head_hash, 'hex') AS hash, cut,
       greatest(cut, audit_place($1::timestamptz)) AS after,
       least(head, audit_place($2::timestamptz)) + 1 AS before
  FROM audit_chain
"""
COLUMNS = """
       position, at, caller, key_id, on_behalf_of, source, action, target, outcome, status, problem, request_id,
       event_position, times, detail, encode(hash, 'hex') AS hash
"""
PAGE = f"""
SELECT {COLUMNS}
  FROM audit
 WHERE position < $1 AND position > $2
   AND ($4::text IS NULL OR caller = $4 OR on_behalf_of = $4)
   AND ($5::text IS NULL OR source = $5)
   AND ($6::text IS NULL OR action = $6)
   AND ($7::text IS NULL OR target = $7)
   AND ($8::text IS NULL OR outcome = $8)
   AND ($9::text IS NULL OR request_id = $9)
 ORDER BY position DESC LIMIT $3
"""
_encode = msgspec.json.Encoder().encode


def as_json(entries: Sequence[AuditEntry]) -> str:
    """What the functions of the database take as `entries`."""
    return _encode(entries).decode()


def numbered(entries: Sequence[tuple[int, AuditEntry]]) -> str:
    """What `append_audited` takes as `entries`: each names the append that it belongs to."""
    return "[" + ",".join(f'{{"n":{n},{_encode(entry)[1:].decode()}' for n, entry in entries) + "]"


class PostgresAudit:
    """See `core.ports.audit.AuditTrail`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def record(self, entries: Sequence[AuditEntry]) -> int:
        return int(await self._link.once(lambda c: c.fetchval(RECORD, as_json(entries))))

    async def page(self, search: AuditSearch) -> AuditPage:
        bounds = await self._link.run(lambda c: c.fetchrow(BOUNDS, search.since, search.until))
        assert bounds is not None  # noqa: S101 - the table has one row
        after = bounds["after"] if search.since else bounds["cut"]
        before = bounds["before"] if search.until else bounds["head"] + 1
        before = before if search.before is None else min(before, search.before)
        lowest = max(after, before - 1 - LOOKED_AT)
        wanted = (search.who, search.source, search.action, search.target, search.outcome, search.request_id)
        rows = await self._link.run(lambda c: c.fetch(PAGE, before, lowest, search.limit, *wanted))
        more = lowest + 1 if lowest > after else None
        return AuditPage(
            rows=[_row(row) for row in rows],
            next_before=rows[-1]["position"] if len(rows) == search.limit else more,
            head=bounds["head"],
            hash=bounds["hash"],
            cut=bounds["cut"],
        )

    async def cut(self, age: timedelta) -> int:
        left_out = int(await self._link.run(lambda c: c.fetchval(CUT, age)))
        while await self._link.run(lambda c: c.fetchval(FORGET, FORGOTTEN_AT_ONCE)) == FORGOTTEN_AT_ONCE:
            pass
        return left_out


def _row(row: Record) -> AuditRow:
    known: dict[str, Any] = {**row}
    return AuditRow(**known)
