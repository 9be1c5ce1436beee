"""Copies of real orders in the log, with other ids, numbers and times: as large as orders are, and as fast as SQL.

`orderdeck verify` finds nothing wrong in them, since before each copy of all orders the stock is replenished.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid5

from core.domain.message import OrderId, Sku, payment_of, reservation_of, saga_of
from core.domain.order_number import LIMIT, order_number
from core.sagas import SAGAS

EVENTS = """
SELECT e.position, e.stream_id::text AS stream_id, e.category, e.version, e.event_id::text AS event_id,
       e.event_type, e.schema_version,
       e.payload::text AS payload, e.metadata::text AS metadata, e.correlation_id::text AS correlation_id, e.recorded_at
  FROM events e WHERE e.correlation_id IN (SELECT stream_id FROM events WHERE event_type = 'OrderCreated')
 ORDER BY e.position
"""
# Of each SKU, the event that first brought stock, with as much as all orders reserve.
STOCK = """
SELECT DISTINCT ON (e.stream_id) e.position, e.stream_id::text AS stream_id, e.category, e.version,
       e.event_id::text AS event_id, e.event_type, e.schema_version,
       jsonb_set(e.payload::jsonb, '{quantity}', to_jsonb(r.quantity))::text AS payload, e.metadata::text AS metadata,
       e.correlation_id::text AS correlation_id, e.recorded_at
  FROM events e
  JOIN (SELECT stream_id, sum((payload->>'quantity')::int) AS quantity FROM events
         WHERE event_type = 'InventoryReserved' GROUP BY stream_id) AS r USING (stream_id)
 WHERE e.event_type = 'StockReplenished' ORDER BY e.stream_id, e.version
"""
# Of the stream of a SKU each copy has the next versions; all other streams are new ones.
TEMPLATE = """
CREATE UNLOGGED TABLE template AS
SELECT row_number() OVER (ORDER BY t.n) AS n, t.of, t.stream, t.category, t.event_id, t.event_type, t.schema_version,
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
  FROM template t LEFT JOIN template_own d USING (of) ORDER BY t.n
"""
COPY_ROWS = """
INSERT INTO {table} ({columns})
SELECT {columns} FROM template_{table} t LEFT JOIN template_own d USING (of)
 CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, {row}::jsonb)
"""
STORED = """
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
 WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
COLUMNS = (
    "n bigint, of int, stream text, category text, version int, event_id text, event_type text, schema_version int, "
    "payload text, metadata text, correlation text, since interval"
)
OTHERS = ("sagas", "idempotency_keys")

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
OF_A_TIME = re.compile(r"\b([0-9a-f]{8})(?=-[0-9a-f]{4}-7[0-9a-f]{3}-)")  # ids of version 7 begin with the time
BY_CHANCE = re.compile(r"(\b[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-)[0-9a-f]{4}(?=-)")
MINUTE = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d")
PARCEL = re.compile(r"\b(1Z999AA1)[0-9A-Z]{4}")
NUMBER = re.compile(r"\bORD-[0-9A-Za-z]{10}\b")
AT = re.compile(r'"position": (\d+)')
SKU = re.compile(r'"sku": "([^"]+)"')


class Copies:
    """Marks stand in the template for what differs from copy to copy.

    «d0», «d1» and so on stand for what an order has of its own: its number, and the ids that are made of its id.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._times: list[int] = []
        self._minutes: list[datetime] = []
        self._began = datetime.now(UTC)
        self._done = 0
        self._key = b""
        self._own: dict[str, dict[str, str]] = {}  # by order: the marks of the ids that are made of its id
        self._names: dict[
            str, list[str]
        ] = {}  # by order: of what these ids are made besides, in the order of the marks
        self.events_each = 0

    async def take(self) -> None:
        """Make the template of all orders that are in the log."""
        events = await self._connection.fetch(EVENTS)
        rows = [*await self._connection.fetch(STOCK), *events]
        others = {name: await self._connection.fetch(f"SELECT to_jsonb(t)::text FROM {name} t") for name in OTHERS}
        self._key = await self._connection.fetchval("SELECT key FROM order_number_key")
        texts = [text for row in rows for text in row.values() if isinstance(text, str)]
        texts += [row[0] for kept in others.values() for row in kept]
        self._times = sorted({int(found, 16) for text in texts for found in OF_A_TIME.findall(text)})
        self._minutes = sorted({datetime.fromisoformat(m) for text in texts for m in MINUTE.findall(text)})
        self._began, self.events_each = events[0]["recorded_at"], len(rows)
        for order, of_order in groupby(sorted(events, key=_order_of), _order_of):
            self._name_ids(order, "".join(row["stream_id"] + row["event_id"] + row["payload"] for row in of_order))
        places = {order: n for n, order in enumerate(self._own)}
        at = {row["position"]: n for n, row in enumerate(rows, 1)}
        await self._connection.execute(f"CREATE TEMPORARY TABLE taken ({COLUMNS})")
        await self._connection.execute("CREATE UNLOGGED TABLE template_own (of int, own text[])")
        taken = [
            (
                n,
                places.get(order := row["correlation_id"]),
                row["stream_id"] if row["category"] == "inventory" else self._marked(row["stream_id"], order),
                row["category"],
                row["version"],
                self._marked(row["event_id"], order),
                row["event_type"],
                row["schema_version"],
                self._marked(row["payload"], order),
                self._marked(row["metadata"], order) if order in places else row["metadata"],
                self._marked(order, order) if order in places else order,
                max(row["recorded_at"] - self._began, timedelta()),
            )
            for n, row in enumerate(rows)
        ]
        await self._connection.copy_records_to_table("taken", records=taken)
        await self._connection.execute(TEMPLATE)
        for name, kept in others.items():
            await self._connection.execute(f"CREATE UNLOGGED TABLE template_{name} (row text, of int, n int)")
            named = [(row[0], next((id_ for id_ in ID.findall(row[0]) if id_ in places), None)) for row in kept]
            marked = [
                (
                    AT.sub('"position": «p»', self._marked(text, order)),
                    places[order],
                    next((at[int(found[1])] for found in AT.finditer(text)), 0),
                )
                for text, order in named
                if order is not None
            ]
            await self._connection.copy_records_to_table(f"template_{name}", records=marked)

    def _name_ids(self, order: str, texts: str) -> None:
        """Find out of what the ids in the texts of an order are made."""
        order_id, found = OrderId(UUID(order)), sorted(set(ID.findall(texts)))
        made = {str(payment_of(order_id)): "payment"}
        made |= {str(reservation_of(order_id, Sku(sku))): f"reservation:{sku}" for sku in set(SKU.findall(texts))}
        for name, _ in SAGAS:
            made |= {
                str(saga_of(order_id, name, about)): f"{name}:{about}" if about else name for about in ("", *found)
            }
        names = {id_: made[id_] for id_ in found if id_ in made}
        self._own[order] = {id_: f"«d{n}»" for n, id_ in enumerate(names, 1)}
        self._names[order] = list(names.values())

    async def add(self) -> int:
        """Add one copy of each order; returns the last position."""
        number = self._done
        await self._connection.execute("TRUNCATE template_own")
        await self._connection.copy_records_to_table("template_own", records=list(self._of_their_own(number)))
        texts = {
            name: self._unmarked(f"t.{name}", number) for name in ("event_id", "payload", "metadata", "correlation")
        }
        texts["stream"] = self._unmarked("t.stream", number)
        head = await self._connection.fetchval("SELECT max(position) FROM events")
        later = self._began + (number + 1) * self._span
        await self._connection.execute(COPY.format(**texts), head, number, later)
        for table in OTHERS:
            row = f"replace({self._unmarked('t.row', number)}, '«p»', ({head} + t.n)::text)"
            columns = await self._connection.fetchval(STORED, table)
            await self._connection.execute(COPY_ROWS.format(table=table, columns=columns, row=row))
        self._done += 1
        return head + self.events_each

    async def remove_templates(self) -> None:
        for name in ("template", "template_own", *(f"template_{other}" for other in OTHERS)):
            await self._connection.execute(f"DROP TABLE {name}")

    @property
    def _span(self) -> timedelta:
        return self._minutes[-1] - self._minutes[0] + timedelta(minutes=1)

    def _of_their_own(self, number: int) -> Iterator[tuple[int, list[str]]]:
        for place, (order, names) in enumerate(self._names.items()):
            copy = UUID(self._of_copy(order, number))
            own = [str(uuid5(copy, self._of_copy(name, number))) for name in names]
            # From the end, so that no order which is placed later gets one of these numbers.
            yield place, [order_number(LIMIT - 1 - number * len(self._names) - place, self._key), *own]

    def _of_copy(self, text: str, number: int) -> str:
        text = OF_A_TIME.sub(lambda found: f"{self._moved(int(found[1], 16), number):08x}", text)
        return BY_CHANCE.sub(rf"\g<1>{_by_chance(number)}", text)

    def _moved(self, time: int, number: int) -> int:
        return time + (number + 1) * (self._times[-1] - self._times[0] + 1)

    def _marked(self, text: str, order: str) -> str:
        own = self._own.get(order, {})
        text = ID.sub(lambda found: own.get(found[0], found[0]), text)
        text = OF_A_TIME.sub(lambda found: f"«t{self._times.index(int(found[1], 16))}»", text)
        text = MINUTE.sub(lambda found: f"«m{self._minutes.index(datetime.fromisoformat(found[0]))}»", text)
        return NUMBER.sub("«d0»", PARCEL.sub(r"\1«n»", BY_CHANCE.sub(r"\1«v»", text)))

    def _unmarked(self, column: str, number: int) -> str:
        """SQL for the text of a column in a copy."""
        marks = {f"«t{n}»": f"{self._moved(time, number):08x}" for n, time in enumerate(self._times)}
        for n, minute in enumerate(self._minutes):
            marks[f"«m{n}»"] = f"{minute + (number + 1) * self._span:%Y-%m-%dT%H:%M}"
        marks |= {"«v»": _by_chance(number), "«n»": f"{number:04X}"}
        for mark, text in marks.items():
            column = f"replace({column}, '{mark}', '{text}')"
        for n in range(max(map(len, self._names.values())) + 1):
            column = f"replace({column}, '«d{n}»', coalesce(d.own[{n + 1}], ''))"
        return column


def _by_chance(number: int) -> str:
    return f"{0xC000 + number:04x}"  # no other id has 0xC000 or more there


def _order_of(row: Any) -> str:
    return row["correlation_id"]


async def copy_orders(dsn: str, events: int) -> int:
    """Copy the orders of the log until it has so many events; returns how many copies of each it has."""
    connection = await asyncpg.connect(dsn)
    copies = Copies(connection)
    await copies.take()
    head, done = await connection.fetchval("SELECT max(position) FROM events"), 0
    while head + copies.events_each <= events:
        head = await copies.add()
        done += 1
    await copies.remove_templates()
    await connection.execute("INSERT INTO checkpoints (reader, position) VALUES ('saga-runner', $1) "
                             "ON CONFLICT (reader) DO UPDATE SET position = $1", head)  # fmt: skip
    await connection.close()
    return done
