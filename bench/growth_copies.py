"""Copies of real orders in the log, with other ids, numbers and times: as large as orders are, and as fast as SQL."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

EVENTS = """
SELECT e.position, e.stream_id::text AS stream_id, e.category, e.version, e.event_id::text AS event_id,
       e.event_type, e.schema_version,
       e.payload::text AS payload, e.metadata::text AS metadata, e.correlation_id::text AS correlation_id, e.recorded_at
  FROM events e WHERE e.correlation_id IN (SELECT stream_id FROM events WHERE event_type = 'OrderCreated')
 ORDER BY e.position
"""
# Of the stream of a SKU each copy has the next versions; all other streams are new ones.
TEMPLATE = """
CREATE UNLOGGED TABLE template AS
SELECT row_number() OVER (ORDER BY t.n) AS n, t.stream, t.category, t.event_id, t.event_type, t.schema_version,
       t.payload, t.metadata, t.correlation, t.since, coalesce(s.before, 0) AS before,
       CASE WHEN s.before IS NULL THEN 0 ELSE count(*) OVER of_stream END AS each,
       CASE WHEN s.before IS NULL THEN t.version ELSE count(*) OVER (of_stream ORDER BY t.n) END AS place
  FROM taken t
  LEFT JOIN (SELECT stream_id::text AS stream, max(version) AS before FROM events WHERE category = 'inventory'
              GROUP BY 1) AS s USING (stream)
WINDOW of_stream AS (PARTITION BY t.stream)
"""
COPY = """
INSERT INTO events
SELECT $1::bigint + t.n, {stream}::uuid, t.category, t.before + $2::int * t.each + t.place, {event_id}::uuid,
       t.event_type, t.schema_version, {payload}::jsonb, {metadata}::jsonb, {correlation}::uuid,
       $3::timestamptz + t.since
  FROM template t ORDER BY t.n
"""
COPY_ROWS = """
INSERT INTO {table} ({columns})
SELECT {columns} FROM template_{table} t CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, {row}::jsonb)
"""
STORED = """
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
 WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
COLUMNS = (
    "n bigint, stream text, category text, version int, event_id text, event_type text, schema_version int, "
    "payload text, metadata text, correlation text, since interval"
)
OTHERS = ("sagas", "idempotency_keys")

OF_A_TIME = re.compile(r"\b([0-9a-f]{8})(?=-[0-9a-f]{4}-7[0-9a-f]{3}-)")  # ids of version 7 begin with the time
BY_CHANCE = re.compile(r"(\b[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-)[0-9a-f]{4}(?=-)")
MINUTE = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d")
NUMBER = re.compile(r"\b(ORD-|1Z999AA1)[0-9A-Z]{4}")


class Copies:
    """Marks stand in the template for what differs from copy to copy."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._times: list[int] = []
        self._minutes: list[datetime] = []
        self._began = datetime.now(UTC)
        self._done = 0
        self.events_each = 0

    async def take(self) -> None:
        """Make the template of all orders that are in the log."""
        rows = await self._connection.fetch(EVENTS)
        others = {name: await self._connection.fetch(f"SELECT to_jsonb(t)::text FROM {name} t") for name in OTHERS}
        texts = [text for row in rows for text in row.values() if isinstance(text, str)]
        texts += [row[0] for kept in others.values() for row in kept]
        self._times = sorted({int(found, 16) for text in texts for found in OF_A_TIME.findall(text)})
        self._minutes = sorted({datetime.fromisoformat(m) for text in texts for m in MINUTE.findall(text)})
        self._began, self.events_each = rows[0]["recorded_at"], len(rows)
        await self._connection.execute(f"CREATE TEMPORARY TABLE taken ({COLUMNS})")
        taken = [
            (
                row["position"],
                row["stream_id"] if row["category"] == "inventory" else self._marked(row["stream_id"]),
                row["category"],
                row["version"],
                self._marked(row["event_id"]),
                row["event_type"],
                row["schema_version"],
                self._marked(row["payload"]),
                self._marked(row["metadata"]),
                self._marked(row["correlation_id"]),
                row["recorded_at"] - self._began,
            )
            for row in rows
        ]
        await self._connection.copy_records_to_table("taken", records=taken)
        await self._connection.execute(TEMPLATE)
        for name, kept in others.items():
            await self._connection.execute(f"CREATE UNLOGGED TABLE template_{name} (row text)")
            marked = [(self._marked(row[0]),) for row in kept]
            await self._connection.copy_records_to_table(f"template_{name}", records=marked)

    async def add(self) -> int:
        """Add one copy of each order; returns the last position."""
        number = self._done
        texts = {
            name: self._unmarked(f"t.{name}", number) for name in ("event_id", "payload", "metadata", "correlation")
        }
        texts["stream"] = self._unmarked("t.stream", number)
        head = await self._connection.fetchval("SELECT max(position) FROM events")
        later = self._began + (number + 1) * self._span
        await self._connection.execute(COPY.format(**texts), head, number, later)
        for table in OTHERS:
            row = self._unmarked("t.row", number)
            columns = await self._connection.fetchval(STORED, table)
            await self._connection.execute(COPY_ROWS.format(table=table, columns=columns, row=row))
        self._done += 1
        return head + self.events_each

    async def remove_templates(self) -> None:
        for name in ("template", *(f"template_{other}" for other in OTHERS)):
            await self._connection.execute(f"DROP TABLE {name}")

    @property
    def _span(self) -> timedelta:
        return self._minutes[-1] - self._minutes[0] + timedelta(minutes=1)

    def _marked(self, text: str) -> str:
        text = OF_A_TIME.sub(lambda found: f"«t{self._times.index(int(found[1], 16))}»", text)
        text = MINUTE.sub(lambda found: f"«m{self._minutes.index(datetime.fromisoformat(found[0]))}»", text)
        return NUMBER.sub(r"\1«n»", BY_CHANCE.sub(r"\1«v»", text))

    def _unmarked(self, column: str, number: int) -> str:
        """SQL for the text of a column in a copy."""
        many = self._times[-1] - self._times[0] + 1
        marks = {f"«t{n}»": f"{time + (number + 1) * many:08x}" for n, time in enumerate(self._times)}
        for n, minute in enumerate(self._minutes):
            marks[f"«m{n}»"] = f"{minute + (number + 1) * self._span:%Y-%m-%dT%H:%M}"
        marks |= {"«v»": f"{0xC000 + number:04x}", "«n»": f"{number:04X}"}  # no other id has 0xC000 or more there
        for mark, text in marks.items():
            column = f"replace({column}, '{mark}', '{text}')"
        return column


async def copy_orders(dsn: str, events: int) -> int:
    """Copy the orders of the log until it has so many events; returns how many copies of each it has."""
    connection = await asyncpg.connect(dsn)
    copies = Copies(connection)
    await copies.take()
    head, done = copies.events_each, 0
    while head + copies.events_each <= events:
        head = await copies.add()
        done += 1
    await copies.remove_templates()
    await connection.execute("INSERT INTO checkpoints (reader, position) VALUES ('saga-runner', $1) "
                             "ON CONFLICT (reader) DO UPDATE SET position = $1", head)  # fmt: skip
    await connection.close()
    return done
