"""Copies of real orders in the log, with other ids, numbers and times: as large as orders are, and as fast as COPY.

`orderdeck verify` finds nothing wrong in them, since before each copy of all orders the stock is replenished.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid5

from core.domain.message import OrderId, Sku, payment_of, reservation_of, saga_of
from core.domain.order_number import LIMIT, order_number
from core.sagas import SAGAS

COLUMNS = (
    "position", "stream_id", "category", "version", "event_id", "event_type", "schema_version", "payload", "metadata",
    "correlation_id", "recorded_at",
)  # fmt: skip
EVENTS = f"""
SELECT {", ".join(COLUMNS)} FROM events
 WHERE correlation_id IN (SELECT stream_id FROM events WHERE event_type = 'OrderCreated') ORDER BY position
"""
# Of each SKU, the event that first brought stock, with as much as all orders reserve, just before the first order.
STOCK = """
SELECT DISTINCT ON (e.stream_id) e.position, e.stream_id, e.category, e.version, e.event_id, e.event_type,
       e.schema_version, jsonb_set(e.payload::jsonb, '{quantity}', to_jsonb(r.quantity)), e.metadata, e.correlation_id,
       (SELECT min(recorded_at) FROM events WHERE event_type = 'OrderCreated')
  FROM events e
  JOIN (SELECT stream_id, sum((payload->>'quantity')::int) AS quantity FROM events
         WHERE event_type = 'InventoryReserved' GROUP BY stream_id) AS r USING (stream_id)
 WHERE e.event_type = 'StockReplenished' ORDER BY e.stream_id, e.version
"""
VERSIONS = "SELECT stream_id::text, max(version) FROM events WHERE category = 'inventory' GROUP BY 1"
STORED = """
SELECT attname FROM pg_attribute
 WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
OTHERS = ("sagas", "idempotency_keys")

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
MINUTE = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d")
DIFFERS = re.compile(rf"{ID.pattern}|{MINUTE.pattern}|\b1Z999AA1[0-9A-Z]{{4}}|\bORD-[0-9A-Za-z]{{10}}\b")
SKU = re.compile(r'"sku": "([^"]+)"')

Mark = tuple[str, ...]
NUMBER, PLACE = "an order's number", "an event's place"


class Template:
    """Rows of a table in the form of COPY: the texts that stay, and between them the places of those that differ."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        self.table, self.columns = table, columns
        self._texts, self._marks = [""], list[int]()

    def add(self, text: str) -> None:
        self._texts[-1] += text

    def mark(self, place: int) -> None:
        self._marks.append(place)
        self._texts.append("")

    def rows(self, values: list[str]) -> bytes:
        pairs = zip(self._texts, map(values.__getitem__, self._marks), strict=False)
        return ("".join(chain.from_iterable(pairs)) + self._texts[-1]).encode()


class Copies:
    """Makes the rows of each copy. What differs from copy to copy is a mark, and `_places` says where its value is."""

    def __init__(self) -> None:
        self._templates: list[Template] = []
        self._places: defaultdict[Mark, int] = defaultdict(lambda: len(self._places))
        self._own: dict[str, dict[str, str]] = {}  # by order: of what the ids are made that are made of its id
        self._versions: list[tuple[int, int]] = []  # of events of SKUs: the version in the first copy, how many a copy
        self._span, self._span_of_ids = timedelta(), 0
        self._key = b""
        self._done = 0
        self.events_each = 0

    async def take(self, dsn: str) -> None:
        """Make the templates of all orders that are in a log."""
        connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
        self._key = await connection.fetchval("SELECT key FROM order_number_key")
        of_orders = await _lines(connection, EVENTS)
        lines = [*await _lines(connection, STOCK), *of_orders]
        rows: list[dict[str, str]] = [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines]
        texts: defaultdict[str, list[str]] = defaultdict(list)
        for row, line in zip(rows[len(lines) - len(of_orders) :], of_orders, strict=True):
            texts[row["correlation_id"]].append(line)
        self._own = {order: _made_of(order, "".join(some)) for order, some in texts.items()}
        self._measure_time(lines)
        self.events_each = len(rows)
        for n in range(len(rows)):  # the first places, one after the other
            _ = self._places[PLACE, str(n)]
        at = {row["position"]: n for n, row in enumerate(rows)}
        versions: dict[str, int] = dict(await connection.fetch(VERSIONS))
        self._templates = [self._of_events(rows, versions)]
        for table in OTHERS:
            columns = tuple(row[0] for row in await connection.fetch(STORED, table))
            lines = await _lines(connection, f"SELECT {', '.join(columns)} FROM {table}")
            self._templates.append(self._of_others(Template(table, columns), lines, at))
        await connection.close()

    def _measure_time(self, lines: list[str]) -> None:
        """Each copy is as much later as all the orders took."""
        minutes = sorted(_minute(line.rpartition("\t")[2][:16]) for line in lines)
        self._span = minutes[-1] - minutes[0] + timedelta(minutes=1)
        times = sorted(int(found[0][:8], 16) for line in lines for found in ID.finditer(line) if found[1] == "7")
        self._span_of_ids = times[-1] - times[0] + 1

    def _of_events(self, rows: list[dict[str, str]], before: dict[str, int]) -> Template:
        """Of the stream of a SKU each copy has the next versions; all other streams are new ones."""
        template = Template("events", COLUMNS)
        of_skus = [row["stream_id"] for row in rows if row["category"] == "inventory"]
        each = {stream: of_skus.count(stream) for stream in set(of_skus)}
        for n, row in enumerate(rows):
            order = row["correlation_id"]
            template.mark(self._places[PLACE, str(n)])
            for name in COLUMNS[1:]:
                template.add("\t")
                if row["category"] == "inventory" and name == "stream_id":
                    template.add(row[name])
                elif row["category"] == "inventory" and name == "version":
                    before[row["stream_id"]] += 1
                    template.mark(self._places["version", str(len(self._versions))])
                    self._versions.append((before[row["stream_id"]], each[row["stream_id"]]))
                elif name in {"metadata", "correlation_id"} and order not in self._own:
                    template.add(row[name])
                else:
                    self._add(template, row[name], order)
            template.add("\n")
        return template

    def _of_others(self, template: Template, lines: list[str], at: dict[str, int]) -> Template:
        for line in lines:
            order = next((found[0] for found in ID.finditer(line) if found[0] in self._own), None)
            if order is None:
                continue
            for n, (name, text) in enumerate(zip(template.columns, line.split("\t"), strict=True)):
                template.add("\t" if n else "")
                if name == "position" and text in at:
                    template.mark(self._places[PLACE, str(at[text])])
                else:
                    self._add(template, text, order)
            template.add("\n")
        return template

    def _add(self, template: Template, text: str, order: str) -> None:
        """Add a text to a template, with marks for what differs."""
        end, own = 0, self._own.get(order, {})
        for found in DIFFERS.finditer(text):
            some, begin = found[0], found.start()
            template.add(text[end:begin])
            end = found.end()
            if some in own:
                template.mark(self._places["own", order, own[some]])
            elif some.startswith("ORD-"):
                template.mark(self._places[NUMBER, order])
            elif some.startswith("1Z"):
                template.add(some[:8])
                template.mark(self._places["parcel",])
            elif found[1] == "7":  # an id of version 7 begins with the time
                template.mark(self._places["time", some[:8]])
                template.add(some[8:])
            elif found[1] in ("4", "5"):
                template.add(some[:19])
                template.mark(self._places["by chance",])
                template.add(some[23:])
            elif found[1]:
                template.add(some)
            else:
                template.mark(self._places["minute", some])
        template.add(text[end:])

    async def fill(self, dsn: str, events: int) -> int:
        """Copy the orders until the log has so many events; returns how many copies of each were added.

        Other events may have come after the templates were taken, but none of SKUs. Saga runners have then read all.
        """
        connection = await asyncpg.connect(dsn)
        head, before = int(await connection.fetchval("SELECT max(position) FROM events")), self._done
        while head + self.events_each <= events:
            values = list(self._values(head))
            for template in self._templates:
                rows = io.BytesIO(template.rows(values))
                await connection.copy_to_table(template.table, source=rows, columns=template.columns, format="text")
            head += self.events_each
            self._done += 1
        await connection.execute("INSERT INTO checkpoints (reader, position) VALUES ('saga-runner', $1) "
                                 "ON CONFLICT (reader) DO UPDATE SET position = $1", head)  # fmt: skip
        await connection.close()
        return self._done - before

    def _values(self, head: int) -> Iterator[str]:
        """The value of each mark in this copy, in the order of their places."""
        number = self._done
        yield from map(str, range(head + 1, head + 1 + self.events_each))
        ids = {order: UUID(self._moved_id(order)) for order in self._own}
        # From the end, so that no order which is placed later gets one of these numbers.
        last = LIMIT - 1 - number * len(self._own)
        numbers = {order: order_number(last - n, self._key) for n, order in enumerate(self._own)}
        for kind, *of in list(self._places)[self.events_each :]:
            match kind:
                case "version":
                    first, each = self._versions[int(of[0])]
                    yield str(first + number * each)
                case "own":
                    yield str(uuid5(ids[of[0]], ID.sub(lambda found: self._moved_id(found[0]), of[1])))
                case "time":
                    yield self._moved(of[0])
                case "minute":
                    minute = _minute(of[0]) + (number + 1) * self._span
                    yield f"{minute:%Y-%m-%d}{of[0][10]}{minute:%H:%M}"
                case "by chance":
                    yield f"{0xC000 + number:04x}"  # no other id has 0xC000 or more there
                case "parcel":
                    yield f"{number:04X}"
                case _:
                    yield numbers[of[0]]

    def _moved(self, time: str) -> str:
        return f"{int(time, 16) + (self._done + 1) * self._span_of_ids:08x}"

    def _moved_id(self, id_: str) -> str:
        if id_[14] == "7":
            return self._moved(id_[:8]) + id_[8:]
        return f"{id_[:19]}{0xC000 + self._done:04x}{id_[23:]}"


async def _lines(connection: Any, query: str) -> list[str]:
    output = io.BytesIO()
    await connection.copy_from_query(query, output=output, format="text")
    return output.getvalue().decode().split("\n")[:-1]


def _minute(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _made_of(order: str, texts: str) -> dict[str, str]:
    """Of what the ids in the texts of an order are made, together with its id."""
    order_id, found = OrderId(UUID(order)), {found[0] for found in ID.finditer(texts)}
    made = {str(payment_of(order_id)): "payment"}
    made |= {str(reservation_of(order_id, Sku(sku))): f"reservation:{sku}" for sku in set(SKU.findall(texts))}
    for name, _ in SAGAS:
        made |= {str(saga_of(order_id, name, about)): f"{name}:{about}" if about else name for about in ("", *found)}
    return {id_: made[id_] for id_ in found if id_ in made}
