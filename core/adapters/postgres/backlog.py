"""Counts what waits for a saga runner: sagas that are due, events whose saga is not started yet, and unread sagas."""

from __future__ import annotations

from core.adapters.postgres.connection import Connection
from core.ports.sagas import READER, SHARES, STARTS_ON, Backlog

DUE = "SELECT sagas, seconds FROM due_sagas($1)"
# Each type has its place in the index, so that only the first events after the positions of the shares are read. The
# order by type and position is that of the index: by position alone, PostgreSQL read the whole log for a type that is
# rare. A limit that the planner does not know keeps it from reading and sorting all events of a type. It has no
# parameters, for which a connection that has every plan made for its values would plan it anew each time.
UNSTARTED = f"""
WITH place AS MATERIALIZED (
    SELECT min(s.position) AS lowest, array_agg(s.position ORDER BY s.share) AS of_share
      FROM reader_shares s WHERE s.reader = '{READER}')
SELECT least(count(*), {{most}}) AS events,
       coalesce(extract(epoch FROM now() - min(recorded_at)), 0)::float8 AS seconds,
       (SELECT count(*) FROM (SELECT FROM dead_letters WHERE reader = '{READER}' LIMIT {{most}}) AS d) AS set_aside
  FROM place
 CROSS JOIN unnest('{{{{{", ".join(STARTS_ON)}}}}}'::text[]) AS w(event_type)
 CROSS JOIN LATERAL (
        SELECT e.recorded_at FROM events e
         WHERE (e.event_type, e.position) > (w.event_type, coalesce(place.lowest, 0)) AND e.event_type <= w.event_type
           AND e.position > coalesce(place.of_share[1 + get_byte(uuid_send(e.stream_id), 15) % {SHARES}], 0)
         ORDER BY e.event_type, e.position LIMIT (SELECT {{most}}::bigint)) AS starting
"""


async def backlog(connection: Connection, most: int) -> Backlog:
    due = await connection.fetchrow(DUE, most)
    unstarted = await connection.fetchrow(UNSTARTED.format(most=most))
    assert due is not None  # noqa: S101 - both have one row
    assert unstarted is not None  # noqa: S101 - as above
    return Backlog(
        due=due["sagas"],
        due_for=round(max(0.0, due["seconds"]), 3),
        unstarted=unstarted["events"],
        unstarted_for=round(max(0.0, unstarted["seconds"]), 3),
        set_aside=unstarted["set_aside"],
    )
