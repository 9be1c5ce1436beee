"""After the last strike: waits until every saga has ended and every reader has come to the head of the log."""

from __future__ import annotations

import asyncio
import time

import asyncpg

STAYS = 3  # looks in a row, a second apart
CATCHES_UP = 20.0  # seconds after the last strike; from then on no reader may let an event wait for longer than that

UNFINISHED = """
SELECT (SELECT count(*) FROM sagas WHERE status IN ('RUNNING', 'COMPENSATING')) AS sagas,
       (SELECT coalesce(max(position), 0) FROM events) - min(position) AS behind,
       (SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float FROM events
         WHERE position = min(checkpoints.position) + 1) AS waiting
  FROM checkpoints WHERE reader = ANY ($1)
"""
READERS = ("projector.orders", "projector.stock", "saga-runner")


async def wait_until_quiet(dsn: str, until: float, wrong: list[str], relays: bool) -> str | None:  # noqa: FBT001
    """Return what is unfinished after `until`, or None; add to `wrong` when a reader stays behind for too long."""
    began, stays, seen, late = time.monotonic(), 0, "the database is away", 0.0
    readers = [*READERS, *(("relay",) if relays else ())]
    while stays < STAYS:
        if time.monotonic() > until:
            return f"not quiet in time: {seen}"
        try:
            connection = await asyncpg.connect(dsn)
            row = await connection.fetchrow(UNFINISHED, readers)
            await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            stays, seen = 0, repr(error)
        else:
            stays = stays + 1 if row["sagas"] == row["behind"] == 0 else 0
            seen = f"{row['sagas']} sagas unfinished, a reader is {row['behind']} events behind"
            if time.monotonic() - began > CATCHES_UP:
                late = max(late, row["waiting"] or 0.0)
        await asyncio.sleep(1)
    if late > CATCHES_UP:
        wrong.append(f"a reader let an event wait for {late:.0f} s, long after the last strike")
    return None
