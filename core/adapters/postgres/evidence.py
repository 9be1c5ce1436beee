"""The evidence in PostgreSQL: two connections share an exported snapshot. One streams the log, one looks up rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from core.adapters.postgres.audit_chain import AUDIT_DISORDER, SUMMARY
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.customer_keys import BY_PSEUDONYM, sealing_keys
from core.adapters.postgres.driver_errors import translating
from core.adapters.postgres.event_store import HEAD, stored
from core.adapters.postgres.read_models import inventory_levels, order_views
from core.adapters.postgres.read_models.table import SumTable, select
from core.codec import StoredEvent, event_type
from core.domain.inventory import OF_NO_ORDER
from core.ports.dead_letters import SkippedEvent
from core.ports.evidence import Finding, Reader, SagaSeen, WaitingRow
from core.ports.snapshots import Snapshot
from core.projections import GROUPS
from core.projections.inventory_level import InventoryLevel
from core.projections.order_view import OrderView
from core.projections.projection import Amounts, RowKey, Sum
from core.sealing import SealingKey

ROWS = 4_000  # events that are fetched at once
LOOK_EVERY = 0.1  # seconds between looks while it waits for the readers

# The name of a reader is that of its daemon; if a daemon has several readers, a dot and a second name follow.
READERS = """
SELECT c.reader, c.position, c.revision,
       EXISTS (SELECT FROM pg_stat_activity a
                WHERE a.datname = current_database()
                  AND a.application_name = 'orderdeck ' || split_part(c.reader, '.', 1))
  FROM checkpoints c WHERE c.reader NOT LIKE '%@%' ORDER BY c.reader
"""

# Order ids begin with their time, so this reads the index, and mostly the table too, from one end to the other.
STORIES = f"""
SELECT * FROM events
 WHERE category NOT IN ('reader', 'customer')
   AND event_type NOT IN ({", ".join(f"'{event_type(kind)}'" for kind in OF_NO_ORDER)})
 ORDER BY correlation_id, position
"""
SHELVES = "SELECT * FROM events WHERE category = 'inventory' ORDER BY stream_id, version"
ACTS = "SELECT * FROM events WHERE category IN ('reader', 'customer') ORDER BY position"

DISORDER: Sequence[tuple[str, str]] = (
    ("I2", """
        SELECT stream_id, position, 'position ' || position || ' follows ' || before || ', at ' || recorded_at
               || ' after ' || earlier
          FROM (SELECT stream_id, position, lag(position, 1, 0) OVER log AS before, recorded_at,
                       lag(recorded_at) OVER log AS earlier
                  FROM events WINDOW log AS (ORDER BY position)) AS e
         WHERE position <> before + 1 OR recorded_at < earlier"""),
    ("I2", """
        SELECT stream_id, position, 'version ' || version || ' of its stream follows ' || before
               || ', at a position after ' || earlier
          FROM (SELECT stream_id, position, version, lag(version, 1, 0) OVER stream AS before,
                       lag(position, 1, 0::bigint) OVER stream AS earlier
                  FROM events WINDOW stream AS (PARTITION BY stream_id ORDER BY version)) AS e
         WHERE version <> before + 1 OR position < earlier"""),
    ("I1", """
        SELECT min(stream_id::text)::uuid, max(position),
               'event ' || event_id || ' is in the log ' || count(*) || ' times'
          FROM events GROUP BY event_id HAVING count(*) > 1"""),
    ("I1", """
        SELECT min(stream_id::text)::uuid, max(position),
               'order number ' || (payload ->> 'order_number') || ' belongs to ' || count(*) || ' orders'
          FROM events WHERE event_type = 'OrderCreated' AND payload ? 'order_number'
         GROUP BY payload ->> 'order_number' HAVING count(*) > 1"""),
    ("I1", """
        SELECT k.stream_id, k.position, 'a command with the key ' || k.key || ' was answered ' || k.status
               || ' at version ' || k.version || ', and there is no such event'
          FROM idempotency_keys k
         WHERE k.version > 0  -- a rejected command has none
           AND NOT EXISTS (SELECT FROM events e WHERE e.stream_id = k.stream_id AND e.version = k.version
                                                 AND e.position <= k.position)"""),
    ("I7", f"""
        SELECT v.order_id, NULL, 'order_views has a row of an order that the log does not have'
          FROM {order_views.TABLE.name} v
         WHERE NOT EXISTS (SELECT FROM events e WHERE e.stream_id = v.order_id AND e.version = 1)"""),
    ("I7", """
        SELECT s.saga_id, NULL, 'sagas has a row of a saga that the log does not have'
          FROM sagas s WHERE NOT EXISTS (SELECT FROM events e WHERE e.stream_id = s.saga_id AND e.version = 1)"""),
    ("I7", """
        SELECT e.stream_id, e.position, 'the key of a customer who is erased is there: `orderdeck erase sealed:'
               || k.pseudonym || '` destroys it'
          FROM events e JOIN customer_keys k ON k.pseudonym = e.stream_id
         WHERE e.event_type = 'CustomerErased' AND k.erased_at IS NULL"""),
    ("I7", """
        SELECT k.pseudonym, NULL, 'the key of a customer is destroyed, and no event says who has erased the customer'
          FROM customer_keys k
         WHERE k.erased_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM events e
                            WHERE e.stream_id = k.pseudonym AND e.event_type = 'CustomerErased')"""),
)  # fmt: skip

SAGAS = """
SELECT saga_id, name, definition, order_id, status, step, attempts, epoch, due_at IS NOT NULL
  FROM sagas WHERE order_id = ANY ($1)
"""
ORDER_VIEWS = f"{select(order_views.TABLE)} WHERE {order_views.TABLE.of_streams}"
SNAPSHOTS = """
SELECT stream_id, s.category, version, s.schema_hash, s.state
  FROM snapshots s JOIN events e USING (stream_id, version, event_id)
"""
LEVELS = select(inventory_levels.TABLE)
WAITING = """
SELECT reader, row_stream, event_type, position, error FROM dead_letters
 WHERE strpos(reader, '@') = 0 ORDER BY position
"""
SKIPPED = "SELECT reader, event_id, position, row_stream, by, reason FROM skipped_events ORDER BY position"
MOVED_ON = """
SELECT w.id FROM unnest($1::uuid[]) AS w(id)
 WHERE EXISTS (SELECT FROM events e WHERE e.correlation_id = w.id AND e.position > $2)
"""


# Before its snapshot is taken, so that new read models are not put in the place of these until the end.
HOLD = f"LOCK TABLE {', '.join(model.name for group in GROUPS for model in group.models)} IN ACCESS SHARE MODE"


class PostgresEvidence:
    """See `core.ports.evidence.Evidence`."""

    def __init__(self, streaming: Connection, looking: Connection, live: Connection, asked: int) -> None:
        self._streaming = streaming
        self._looking = looking
        self._live = live
        self.asked = asked
        self.readers: Sequence[Reader] = ()
        self.head = 0
        self.waiting: Sequence[WaitingRow] = ()
        self.skipped: Sequence[SkippedEvent] = ()

    async def freeze(self, waited_for: set[str]) -> None:
        snapshot = await self._streaming.fetchval("SELECT pg_export_snapshot()")
        await self._looking.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        self.head = int(await self._looking.fetchval(HEAD))
        rows = await self._looking.fetch(READERS)
        self.waiting = [WaitingRow(*row) for row in await self._looking.fetch(WAITING)]
        self.skipped = [SkippedEvent(*row) for row in await self._looking.fetch(SKIPPED)]
        self.readers = [Reader(*row[:3], at_work=row[3] and row[0] in waited_for) for row in rows]

    async def stories(self) -> AsyncGenerator[Sequence[StoredEvent]]:
        rest: list[StoredEvent] = []
        async for chunk in self._stream(STORIES):
            rest += chunk
            last = rest[-1].correlation_id  # the next chunk may have more events about this order
            whole = next((n for n in range(len(rest), 0, -1) if rest[n - 1].correlation_id != last), 0)
            if whole:
                yield rest[:whole]
                rest = rest[whole:]
        if rest:
            yield rest

    def shelves(self) -> AsyncGenerator[Sequence[StoredEvent]]:
        return self._stream(SHELVES)

    def acts(self) -> AsyncGenerator[Sequence[StoredEvent]]:
        return self._stream(ACTS)

    async def _stream(self, query: str) -> AsyncGenerator[Sequence[StoredEvent]]:
        opened: Any = self._streaming
        cursor = await opened.cursor(query)
        while rows := await cursor.fetch(ROWS):
            yield [stored(row) for row in rows]

    async def disorder(self) -> Sequence[Finding]:
        return [
            Finding(invariant, what, stream, position)
            for invariant, query in (*DISORDER, *AUDIT_DISORDER)
            for stream, position, what in await self._looking.fetch(query)
        ]

    async def audit_end(self) -> tuple[int, int, str]:
        row = await self._looking.fetchrow(SUMMARY)
        assert row is not None  # noqa: S101 - the table has one row
        return row[0], row[1], row[2]

    async def sagas(self, order_ids: Sequence[UUID]) -> Sequence[SagaSeen]:
        return [SagaSeen(*row) for row in await self._looking.fetch(SAGAS, order_ids)]

    async def orders(self, order_ids: Sequence[UUID]) -> Mapping[UUID, OrderView]:
        """The views in the column `document`. A view gets version 0 if its row's other columns differ from it."""
        views: dict[UUID, OrderView] = {}
        for row in await self._looking.fetch(ORDER_VIEWS, order_ids):
            view = order_views.TABLE.view(row)
            views[row["order_id"]] = view if order_views.TABLE.agrees(row) else replace(view, version=0)
        return views

    async def snapshots(self) -> Mapping[UUID, Snapshot]:
        return {row[0]: Snapshot(*row) for row in await self._looking.fetch(SNAPSHOTS)}

    async def levels(self) -> Mapping[str, InventoryLevel]:
        return {row["sku"]: inventory_levels.TABLE.view(row) for row in await self._looking.fetch(LEVELS)}

    async def sums(self, one: Sum[Any, Any, Any]) -> Mapping[RowKey, Amounts]:
        table = SumTable(one)
        width = len(table.key)
        return {tuple(row[:width]): tuple(row[width:]) for row in await self._looking.fetch(select(table))}

    async def customer_keys(self, pseudonyms: Iterable[UUID]) -> Mapping[UUID, SealingKey]:
        return sealing_keys(await self._looking.fetch(BY_PSEUDONYM, list(pseudonyms)))

    async def moved_on(self, order_ids: Sequence[UUID]) -> set[UUID]:
        return {row[0] for row in await self._live.fetch(MOVED_ON, order_ids, self.head)}


@asynccontextmanager
async def open_evidence(open_: Callable[[], Awaitable[Connection]], *, wait: float) -> AsyncGenerator[PostgresEvidence]:
    """Wait up to `wait` seconds until the readers at work have reached the present head. Then freeze the evidence.

    Raises Unavailable when the database goes away, and DatabaseFault when it has a fault, also while the caller reads.
    """
    connections = [await open_() for _ in range(3)]
    streaming, looking, live = connections
    try:
        with translating():
            head_before, waited_for = await _wait_for_readers(live, wait)
            for frozen in (streaming, looking):
                await frozen.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                await frozen.execute("SET LOCAL work_mem = '128MB'")
            await streaming.execute(HOLD)
            evidence = PostgresEvidence(streaming, looking, live, head_before)
            await evidence.freeze(waited_for)
            yield evidence
            for connection in connections:
                await connection.close()
    finally:
        for connection in connections:
            connection.terminate()


async def _wait_for_readers(connection: Connection, wait: float) -> tuple[int, set[str]]:
    """Wait for the readers. Returns the head before that, and the readers that were at work all the time."""
    head = int(await connection.fetchval(HEAD))
    give_up = asyncio.get_running_loop().time() + wait
    waited_for: set[str] | None = None
    while True:
        at_work = {row[0]: row[1] for row in await connection.fetch(READERS) if row[3]}
        waited_for = set(at_work) if waited_for is None else waited_for & set(at_work)
        if all(position >= head for position in at_work.values()) or asyncio.get_running_loop().time() > give_up:
            return head, waited_for
        await asyncio.sleep(LOOK_EVERY)
