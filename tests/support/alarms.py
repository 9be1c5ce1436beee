"""Rows that need a person: $1 sagas that have failed, and an event that was parked."""

from __future__ import annotations

SAGA = """
INSERT INTO sagas (saga_id, name, definition, order_id, status, step, attempts, last_error, epoch, claims, started_at,
                   updated_at)
SELECT gen_random_uuid(), 'fulfil_order', 1, gen_random_uuid(), 'FAILED', 'capture_payment', 5, 'Erika of 12 Elm St', 1,
       1, now(), now()
  FROM generate_series(1, $1)
"""
LETTER = """
INSERT INTO dead_letters (id, reader, row_stream, category, event_id, stream_id, version, position, event_type,
                          schema_version, correlation_id, error, fingerprint)
VALUES ($1, $2, gen_random_uuid(), 'order', gen_random_uuid(), gen_random_uuid(), 1, 7, $3, 1, gen_random_uuid(),
        'Erika', 'f')
"""
