"""Sagas go on after the clock of the database has jumped back, and after an older log was put in the log's place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from core.adapters.postgres.clock import log_ahead
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.saga_log import PostgresSagaLog
from tests.support.opener import Opener
from tests.support.orders import Sample, write

SAGA = """
INSERT INTO sagas VALUES ($1, 'fulfil_order', 1, $1, 'RUNNING', 'authorize_payment', 1, NULL, 3, $2, 0, now() + $3,
                          now(), now())
"""
LEASE = timedelta(seconds=30)


@pytest.fixture
def saga_log(opener: Opener) -> Iterator[PostgresSagaLog]:
    link = Link(opener)
    yield PostgresSagaLog(link)
    link.close()


async def park(admin: Connection, *, owner: str | None, due_in: timedelta) -> UUID:
    saga_id = uuid4()
    await admin.execute(SAGA, saga_id, owner, due_in)
    return saga_id


async def test_a_saga_that_was_due_soon_before_the_clock_jumped_back_three_days_is_claimed_at_once(
    saga_log: PostgresSagaLog, admin: Connection
) -> None:
    due = await park(admin, owner=None, due_in=timedelta(days=3, seconds=5))
    soon = await park(admin, owner=None, due_in=timedelta(minutes=20))
    leased = await park(admin, owner="somebody", due_in=timedelta(days=3))
    assert [claim.saga_id for claim in await saga_log.claim("us", limit=10, lease=LEASE)] == [due]
    left = await admin.fetch("SELECT saga_id, due_at - now() AS due_in FROM sagas WHERE saga_id <> $1", due)
    due_in = {row["saga_id"]: row["due_in"] for row in left}
    assert timedelta(minutes=19) < due_in[soon] < timedelta(minutes=21)
    assert due_in[leased] < LEASE


async def test_a_clock_that_is_behind_the_log_is_measured(admin: Connection, dsn: str) -> None:
    assert await log_ahead(admin) == 0
    await write(dsn, Sample(1).events())
    await admin.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    await admin.execute("UPDATE events SET recorded_at = now() + interval '3 days'")
    assert 3 * 86_400 - 60 < await log_ahead(admin) <= 3 * 86_400
    await admin.execute("UPDATE events SET recorded_at = now() - interval '3 days'")
    assert await log_ahead(admin) < 0
