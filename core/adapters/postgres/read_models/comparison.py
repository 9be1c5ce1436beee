"""Compares events that came from Kafka with the log. Whoever may write there could change any field of an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from core.adapters.postgres.connection import Connection
from core.codec import StoredEvent
from core.ports.deliveries import DeliveredEvent

AT_ONCE = 8 << 20  # bytes of the records that are compared as one text

# The records of these events as the relay makes them, byte for byte, as one text. Nearly always that is what has come,
# and to compare it takes the projector a third of the time of a digest for each event.
RECORDS = """
SELECT convert_to(string_agg(
           concat('{"event_id":"', event_id, '","aggregate_id":"', stream_id, '","aggregate_type":"', category,
                  '","event_type":"', event_type, '","event_version":', schema_version,
                  ',"schema_version":', schema_version, ',"payload":', payload, ',"metadata":', metadata,
                  ',"timestamp":"',
                  replace(to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z'),
                  '","version":', version, ',"position":', position, '}'),
           '' ORDER BY position), 'UTF8')
  FROM events WHERE position = ANY($1)
"""
# One digest of what an event says is cheaper than to compare each part. LIMIT: else a plan may read the whole log.
DIFFERING = """
SELECT k.n - 1, (e.event_id = k.event_id AND e.stream_id = k.stream AND e.version = k.version
                 AND e.correlation_id = k.correlation_id) IS TRUE AS same, e.*
  FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::int[], $5::uuid[], $6::timestamptz[], $7::bytea[])
       WITH ORDINALITY AS k(position, event_id, stream, version, correlation_id, recorded_at, digest, n)
  LEFT JOIN LATERAL (SELECT * FROM events WHERE position = k.position LIMIT 1) AS e ON true
 WHERE (e.event_id = k.event_id AND e.stream_id = k.stream AND e.version = k.version
        AND e.correlation_id = k.correlation_id AND e.recorded_at = k.recorded_at
        AND sha256(convert_to(concat_ws(' ', e.category, e.event_type, e.schema_version, e.payload), 'UTF8')) = k.digest
       ) IS NOT TRUE
"""


async def differing(connection: Connection, events: Sequence[StoredEvent]) -> Mapping[int, StoredEvent | None]:
    """See `core.ports.shared_models.SharedReadModels`."""
    positions = [event.position for event in events]
    come = [event.record for event in events if isinstance(event, DeliveredEvent)]
    if (
        len(come) == len(events)
        and sum(map(len, come)) <= AT_ONCE
        and await connection.fetchval(RECORDS, positions) == b"".join(come)
    ):
        return {}
    values = [
        positions,
        [event.event_id for event in events],
        [event.stream for event in events],
        [event.version for event in events],
        [event.correlation_id for event in events],
        [event.recorded_at for event in events],
        [sha256(f"{e.category} {e.event_type} {e.schema_version} {e.payload}".encode()).digest() for e in events],
    ]
    found: dict[int, StoredEvent | None] = {}
    for row in await connection.fetch(DIFFERING, *values):
        number: int = row[0]
        own = StoredEvent(*row[2:]) if row["same"] else None
        found[number] = own if own is not None and own.category == events[number].category else None
    return found
