"""The dead letters in PostgreSQL, as operators see them and act on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.ports.dead_letters import DeadLetter, DeadLetterCause, DeadLetterSearch, DeadLetterSummary, RowModels
from core.ports.sagas import READER as SAGA_RUNNER
from core.projections import GROUPS

MOST_CAUSES = 100  # that are listed
COUNTED = 1_000  # events that are counted behind a dead letter; more are told as so many

# Readers with an @ fill tables beside the live ones, and try again what concerns only these.
# The events that wait: those of the row's own stream and of its payment after the one that is set aside. Of a saga,
# they are those of the stream that cannot be read, which may be its order's.
WAITING = f"""(SELECT count(*) FROM (
           SELECT FROM events e
            WHERE e.stream_id = CASE WHEN d.reader = '{SAGA_RUNNER}' THEN d.stream_id ELSE d.row_stream END
              AND e.position > d.position
            UNION ALL
           SELECT FROM events e WHERE e.correlation_id = d.row_stream AND e.position > d.position
                                  AND e.category = 'payment' AND d.category IN ('order', 'payment')
                                  AND d.reader <> '{SAGA_RUNNER}'
            LIMIT {COUNTED}) AS w)"""
LETTERS = "SELECT d.*, {} AS waiting FROM dead_letters d WHERE strpos(d.reader, '@') = 0{}"
COUNTS = """
SELECT d.reader, count(*) AS letters FROM dead_letters d WHERE strpos(d.reader, '@') = 0{} GROUP BY d.reader ORDER BY 1
"""
CAUSES = f"""
SELECT d.fingerprint, min(d.reader) AS reader, count(*) AS letters, min(d.error) AS error,
       (array_agg(DISTINCT d.event_type))[1:5] AS event_types, min(d.first_failed_at) AS since
  FROM dead_letters d WHERE strpos(d.reader, '@') = 0{{}}
 GROUP BY d.fingerprint ORDER BY letters DESC, d.fingerprint LIMIT {MOST_CAUSES}
"""
EACH = """
 AND d.id IN (
    SELECT n.id FROM (
        SELECT d.id, row_number() OVER (PARTITION BY d.fingerprint ORDER BY d.position, d.id) AS rank
          FROM dead_letters d WHERE strpos(d.reader, '@') = 0{}) AS n
     WHERE n.rank <= {})
"""
ORDERS = {
    "oldest": "d.position, d.id",
    "newest": "d.position DESC, d.id DESC",
    "untried": "coalesce(d.retry_at <= now(), false), d.last_failed_at, d.id",
}
RETRY = "UPDATE dead_letters SET retry_at = clock_timestamp() WHERE id = ANY ($1::uuid[])"
# Sagas are tried again when they are due. This is a statement of its own: who sets a saga aside locks the saga first.
RETRY_SAGAS = f"""
UPDATE sagas s SET due_at = clock_timestamp() FROM dead_letters d
 WHERE d.id = ANY ($1::uuid[]) AND d.reader = '{SAGA_RUNNER}' AND s.saga_id = d.row_stream
   AND s.owner IS NULL AND s.status IN ('RUNNING', 'COMPENSATING')
"""
SKIP = """
WITH letter AS (
    UPDATE dead_letters SET retry_at = clock_timestamp() WHERE id = $1
    RETURNING reader, event_id, position, row_stream
)
INSERT INTO skipped_events (reader, event_id, position, row_stream, by, reason)
SELECT reader, event_id, position, row_stream, $2, $3 FROM letter
    ON CONFLICT (reader, event_id) DO NOTHING
"""


class PostgresDeadLetters:
    """See `core.ports.dead_letters.DeadLetters`."""

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._link = Link(open_)
        self._models = {group.reader: PostgresReadModels(open_, group) for group in GROUPS}

    async def find(self, search: DeadLetterSearch) -> Sequence[DeadLetter]:
        return await self._link.run(lambda connection: letters_of(connection, search))

    async def summary(self, *, reader: str | None = None, fingerprint: str | None = None) -> DeadLetterSummary:
        conditions, values = conditions_of(DeadLetterSearch(reader=reader, fingerprint=fingerprint))

        async def read(connection: Connection) -> DeadLetterSummary:
            counts = {
                row["reader"]: row["letters"] for row in await connection.fetch(COUNTS.format(conditions), *values)
            }
            causes = await connection.fetch(CAUSES.format(conditions), *values)
            return DeadLetterSummary(counts, [DeadLetterCause(**row) for row in causes])

        return await self._link.run(read)

    async def one(self, id_: UUID) -> DeadLetter | None:
        found = await self.find(DeadLetterSearch(ids=(id_,)))
        return found[0] if found else None

    async def retry(self, ids: Sequence[UUID]) -> None:
        for statement in (RETRY, RETRY_SAGAS):
            await self._link.run(lambda connection, statement=statement: connection.execute(statement, list(ids)))

    async def skip(self, id_: UUID, *, by: str, reason: str) -> None:
        await self._link.run(lambda connection: connection.execute(SKIP, id_, by, reason))
        await self._link.run(lambda connection: connection.execute(RETRY_SAGAS, [id_]))

    def row_models(self, reader: str) -> RowModels | None:
        return self._models.get(reader)

    def close(self) -> None:
        for opened in (self._link, *self._models.values()):
            opened.close()


def conditions_of(search: DeadLetterSearch) -> tuple[str, list[Any]]:
    """The conditions, and the values that they compare with."""
    position, id_ = search.after or (None, None)
    wanted: dict[str, Sequence[Any]] = {
        "d.id = ANY ({}::uuid[])": [list(search.ids) or None],
        "d.reader = {}": [search.reader],
        "d.reader = ANY ({}::text[])": [list(search.readers) or None],
        "d.fingerprint = {}": [search.fingerprint],
        "d.row_stream = ANY ({}::uuid[])": [list(search.rows) or None],
        f"(d.position, d.id) {'<' if search.order == 'newest' else '>'} ({{}}, {{}})": [position, id_],
    }
    conditions, values = "", list[Any]()
    for condition, compared in wanted.items():
        if None not in compared:
            places = [f"${len(values) + n}" for n in range(1, len(compared) + 1)]
            values = [*values, *compared]
            conditions += f" AND {condition.format(*places)}"
    return conditions, values


async def letters_of(connection: Connection, search: DeadLetterSearch) -> Sequence[DeadLetter]:
    conditions, values = conditions_of(search)
    each = "" if search.each is None else EACH.format(conditions, f"{search.each:d}")
    order = f"ORDER BY {ORDERS[search.order]} LIMIT {search.limit:d}"
    waiting = WAITING if search.counted else "0"
    rows = await connection.fetch(f"{LETTERS.format(waiting, conditions + each)} {order}", *values)
    return [
        DeadLetter(
            id=row["id"],
            reader=row["reader"],
            row=row["row_stream"],
            event_id=row["event_id"],
            event_type=row["event_type"],
            event_version=row["schema_version"],
            category=row["category"],
            stream=row["stream_id"],
            version=row["version"],
            position=row["position"],
            correlation_id=row["correlation_id"],
            error=row["error"],
            fingerprint=row["fingerprint"],
            tries=row["tries"],
            first_failed_at=row["first_failed_at"],
            last_failed_at=row["last_failed_at"],
            retry_at=row["retry_at"],
            waiting=row["waiting"],
        )
        for row in rows
    ]
