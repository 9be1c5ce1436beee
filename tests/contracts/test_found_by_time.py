"""What is over, or soon will be, is found by an index on its time, however many rows there are that are not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from core.adapters.postgres import mailed_alarms, webhook_calls
from core.adapters.postgres.api_keys import FORGET_NONCES
from core.adapters.postgres.queries.sagas import CANDIDATES
from core.adapters.postgres.read_models import set_aside
from core.adapters.postgres.saga_log import FORGET_KEYS
from core.ports.webhooks import READER

DAY = timedelta(days=1)
# They are found by their reader, too: the time is worth it where there are many that nobody tries again.
LETTERS = f"""
INSERT INTO dead_letters (id, reader, row_stream, category, event_id, stream_id, version, position, event_type,
                          schema_version, correlation_id, error, fingerprint)
SELECT gen_random_uuid(), '{READER}.1', gen_random_uuid(), 'order', gen_random_uuid(), gen_random_uuid(), 1, n, '', 1,
       gen_random_uuid(), '', '' FROM generate_series(1, 5000) AS n
"""


@pytest.mark.parametrize(
    ("query", "values", "condition"),
    [
        (FORGET_NONCES, (), "until < now()"),
        (FORGET_KEYS, (DAY, 1), "created_at < (now() - "),
        (webhook_calls.SWEEP, (DAY,), "tried_at < (now() - "),
        (mailed_alarms.SWEEP, (), "mailed_at < (now() - "),
        (mailed_alarms.UNTOLD, ([], DAY, DAY, 1), "mailed_at > (now() - "),
        (set_aside.DUE, (f"{READER}.1",), "retry_at <= now()"),
        (webhook_calls.PLAN_AGAIN, (), "retry_at <= now()"),
        (f"SELECT FROM sagas WHERE {CANDIDATES['expiring']}", (), "payment_expires_at < (now() + "),
    ],
    ids=[
        "nonces",
        "idempotency keys",
        "deliveries",
        "alarms",
        "alarms told lately",
        "dead letters",
        "calls",
        "authorisations",
    ],
)
async def test_it_is_found_by_its_time(dsn: str, query: str, values: Sequence[Any], condition: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(LETTERS)
        await connection.execute("ANALYZE dead_letters")
        await connection.execute("SET enable_seqscan = off")  # which a table without rows would rather be read by
        await connection.execute("SET plan_cache_mode = force_generic_plan")  # so that it shows now() and no moment
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", *values))
    finally:
        await connection.close()
    assert f"Index Cond: ({condition}" in plan, plan
