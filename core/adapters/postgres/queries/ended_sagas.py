"""Reads which sagas ended in a stretch of the log, and how long each took from its start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from core import codec
from core.adapters.postgres.connection import Connection
from core.domain.saga import SagaCompensated, SagaCompleted, SagaFailed
from core.ports.queries import EndedSaga, SagaOutcome

OUTCOMES = {
    codec.event_type(SagaCompleted): "completed",
    codec.event_type(SagaCompensated): "compensated",
    codec.event_type(SagaFailed): "failed",
}
ENDED = """
SELECT e.event_type, greatest(extract(epoch FROM e.recorded_at - s.started_at), 0)::float8 AS seconds
  FROM events e
  JOIN sagas  s ON s.saga_id = e.stream_id
 WHERE e.event_type = ANY ($1::text[]) AND e.position > $2 AND e.position <= $3
 LIMIT $4
"""


async def ended_sagas(connection: Connection, *, after: int, upto: int, limit: int) -> Sequence[EndedSaga]:
    rows = await connection.fetch(ENDED, list(OUTCOMES), after, upto, limit)
    return [EndedSaga(cast("SagaOutcome", OUTCOMES[row["event_type"]]), row["seconds"]) for row in rows]
