"""Reads from the log in PostgreSQL the events that start a saga, of some shares of all streams only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.hints import Hints
from core.codec import StoredEvent
from core.ports.sagas import SHARES, Starts

WINDOW = 20_000  # positions that one read looks at, so that a long log is read in parts

# `$2` has the position of each share, and NULL for one that is not asked for, so that its events are left out. The
# index of the types finds the events. One row comes in any case: it says up to where the log was looked at.
READ = f"""
WITH looked AS MATERIALIZED (SELECT least(coalesce(max(position), 0), $3::bigint + {WINDOW}) AS position FROM events)
SELECT looked.position AS looked_at, e.*
  FROM looked
  LEFT JOIN LATERAL (
       SELECT * FROM events e
        WHERE e.event_type = ANY ($1) AND e.position > $3 AND e.position <= looked.position
          AND e.position > ($2::bigint[])[1 + get_byte(uuid_send(e.stream_id), 15) % {SHARES}]
        ORDER BY e.position LIMIT $4) AS e ON true
 ORDER BY e.position
"""


class PostgresSagaStarts:
    """See `core.ports.sagas.SagaStarts`."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._hints = Hints(open_, "events")

    async def read(self, event_types: Sequence[str], places: Mapping[int, int], *, limit: int) -> Starts:
        of_share = [places.get(number) for number in range(SHARES)]
        lowest = min(places.values())
        rows = await self._hints.run(lambda c: c.fetch(READ, event_types, of_share, lowest, limit))
        events = [StoredEvent(*row[1:]) for row in rows if row["position"] is not None]
        looked_at: int = rows[0]["looked_at"]
        if len(events) == limit:
            return Starts(events, events[-1].position, more=True)
        return Starts(events, looked_at, more=looked_at == lowest + WINDOW)

    def coming(self) -> asyncio.Event:
        return self._hints.coming()

    async def wait(self, coming: asyncio.Event, *, at_most: float, stop: asyncio.Event) -> None:
        await self._hints.wait(coming, at_most=at_most, stop=stop)

    def close(self) -> None:
        self._hints.close()
