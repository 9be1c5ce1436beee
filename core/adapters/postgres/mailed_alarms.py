"""What needs a person, and what of it was told by e-mail, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from core.adapters.postgres.connection import Connection, Link
from core.ports.mailed_alarms import MOST_TOLD, Alarm, AlarmKind
from core.ports.webhooks import GONE, READER, SHARE

STANDS_STILL = timedelta(minutes=5)
"""A reader has stopped when it has saved nothing for so long although an event has waited for it for so long."""

# Errors, reasons and addresses are left out: they may hold what customers or other systems want kept secret.
SAGAS = f"""
SELECT '{AlarmKind.SAGA_FAILED}' AS kind, s.saga_id::text AS subject, s.name || ' at ' || s.step AS about,
       s.updated_at AS since
  FROM sagas s WHERE s.status = 'FAILED'
"""
PARKED = f"""
SELECT '{AlarmKind.EVENT_PARKED}', l.id::text,
       l.event_type || ' at position ' || l.position || ', for ' || l.reader, l.first_failed_at
  FROM dead_letters l WHERE l.reader NOT LIKE '{READER}.%' AND l.reader NOT LIKE '%@%'
"""
STOPPED = f"""
SELECT '{AlarmKind.READER_STOPPED}', c.reader, 'at position ' || c.position || ' of ' || h.head, e.recorded_at
  FROM checkpoints c
 CROSS JOIN (SELECT coalesce(max(position), 0) AS head FROM events) AS h
  JOIN events e ON e.position = c.position + 1
 WHERE c.reader NOT LIKE '%@%' AND c.reader <> ALL ($1::text[])
   AND greatest(c.updated_at, e.recorded_at) < clock_timestamp() - $2::interval
"""
HOST = r"coalesce(substring(w.url FROM '^[a-z]+://(?:[^/?#]*@)?([^/?#]*)'), '')"
DISABLED = f"""
SELECT '{AlarmKind.WEBHOOK_DISABLED}', w.id, 'to ' || {HOST}, w.created_at
  FROM webhooks w WHERE NOT w.enabled AND w.disabled_why = '{GONE}'
"""
GAVE_UP = f"""
SELECT '{AlarmKind.WEBHOOK_GAVE_UP}', w.id, 'to ' || {HOST} || ', dead letters: ' || l.letters, w.created_at
  FROM (SELECT reader, count(*) AS letters FROM dead_letters WHERE reader LIKE '{READER}.%' GROUP BY reader) AS l
  JOIN webhooks w ON l.reader = '{READER}.' || w.id
"""
ALARMS = f"{SAGAS} UNION ALL {PARKED} UNION ALL {STOPPED} UNION ALL {DISABLED} UNION ALL {GAVE_UP}"
# now() finds them by the index; clock_timestamp(), which may be another at each row, would have all of them read.
SWEEP = "DELETE FROM mailed_alarms WHERE ended AND mailed_at < now() - interval '1 day'"
# A full join is always made by hash or merge, so that thousands of alarms at once are compared in one pass.
UNTOLD = f"""
WITH compared AS MATERIALIZED (
    SELECT a.kind, a.subject, a.about, a.since, m.kind AS told_kind, m.subject AS told_subject
      FROM ({ALARMS}) AS a
      FULL JOIN (SELECT t.kind, t.subject, t.since FROM mailed_alarms t WHERE NOT t.ended) AS m
        ON m.kind = a.kind AND m.subject = a.subject
     WHERE a.since IS DISTINCT FROM m.since
), ended AS (
    UPDATE mailed_alarms m SET ended = true FROM compared c
     WHERE c.kind IS NULL AND m.kind = c.told_kind AND m.subject = c.told_subject
)
SELECT kind, subject, about, since FROM (
    SELECT c.*, row_number() OVER (PARTITION BY c.kind ORDER BY c.since, c.subject) AS number FROM compared c
     WHERE c.kind IS NOT NULL
       AND c.kind <> ALL (ARRAY(SELECT DISTINCT m.kind FROM mailed_alarms m
                           WHERE m.mailed_at > now() - $3::interval))
       AND EXISTS (SELECT FROM reader_shares s WHERE s.reader = '{READER}' AND s.share = {SHARE} AND s.epoch = $4)
) AS untold
 WHERE number <= {MOST_TOLD} ORDER BY since, subject
"""
SAVE = """
INSERT INTO mailed_alarms AS m (kind, subject, since)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
    ON CONFLICT (kind, subject) DO UPDATE
   SET since = excluded.since, ended = false, mailed_at = clock_timestamp()
"""


class PostgresMailedAlarms:
    """See `core.ports.mailed_alarms.MailedAlarms`. `off` are readers that do not run here and need nobody."""

    def __init__(self, link: Link, off: Sequence[str] = (), stands_still: timedelta = STANDS_STILL) -> None:
        self._link = link
        self._off = list(off)
        self._stands_still = stands_still

    async def untold(self, epoch: int, pause: timedelta) -> Sequence[Alarm]:
        async def look(connection: Connection) -> Sequence[Alarm]:
            await connection.execute(SWEEP)
            rows = await connection.fetch(UNTOLD, self._off, self._stands_still, pause, epoch)
            return [Alarm(AlarmKind(row["kind"]), row["subject"], row["about"], row["since"]) for row in rows]

        return await self._link.run(look)

    async def save(self, told: Sequence[Alarm]) -> None:
        columns = [list(column) for column in zip(*((one.kind, one.subject, one.since) for one in told), strict=True)]
        await self._link.run(lambda c: c.execute(SAVE, *columns))
