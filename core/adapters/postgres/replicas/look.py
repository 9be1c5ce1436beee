"""One look at a server: which one it is, and how far its log and the readers of the log have come there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from core.adapters.postgres.connection import Connection

# Of two servers that have the same identity, one is a copy of the other. `began` tells servers of one identity apart.
WHO = """
SELECT (SELECT system_identifier FROM pg_control_system()) AS system,
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
       pg_postmaster_start_time() AS began,
       (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AS superuser
"""
# One statement, so that log and checkpoints are of one moment.
LOOK = """
SELECT pg_is_in_recovery() AS standby,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS paused,
       (SELECT coalesce(max(number), 0) FROM schema_migrations) AS schema,
       ARRAY (SELECT reader FROM checkpoints ORDER BY reader) AS readers,
       ARRAY (SELECT position FROM checkpoints ORDER BY reader) AS positions,
       coalesce(last.position, 0) AS head, last.event_id
  FROM (SELECT 1) AS one
  LEFT JOIN (SELECT position, event_id FROM events ORDER BY position DESC LIMIT 1) AS last ON true
"""
EVENTS_AT = "SELECT position, event_id FROM events WHERE position = ANY ($1::bigint[])"


class Identity(NamedTuple):
    """Which database this is; a copy has the same."""

    system: int
    database: int


class Who(NamedTuple):
    """Which server a session is on. `began`: when it was started."""

    identity: Identity
    began: datetime
    superuser: bool


class Seen(NamedTuple):
    """What a server showed at one moment. `readers`: the position of each reader's checkpoint.

    `event_ids` are those at the positions that were asked for, as far as the server has them, and at the head.
    """

    standby: bool
    paused: bool
    schema: int
    head: int
    readers: Mapping[str, int]
    event_ids: Mapping[int, UUID]


async def who_is(connection: Connection) -> Who:
    [row] = await connection.fetch(WHO)
    return Who(Identity(row["system"], row["database"]), row["began"], row["superuser"])


async def look(connection: Connection, positions: Sequence[int] = ()) -> Seen:
    """What the server shows now. The event ids at these positions are read after that."""
    [row] = await connection.fetch(LOOK)
    event_ids = {row["head"]: row["event_id"]} if row["event_id"] is not None else {}
    if positions:
        event_ids |= {at["position"]: at["event_id"] for at in await connection.fetch(EVENTS_AT, positions)}
    return Seen(
        standby=row["standby"],
        paused=row["paused"],
        schema=row["schema"],
        head=row["head"],
        readers=dict(zip(row["readers"], row["positions"], strict=True)),
        event_ids=event_ids,
    )
