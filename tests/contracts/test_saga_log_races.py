"""Rows of sagas in PostgreSQL: several runners at once, rows that somebody has locked, a database that is away."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.adapters.postgres.connection import Link, connect
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.domain.message import SagaId
from core.errors import Unavailable
from tests.support.log_under_test import PostgresUnderTest, start_saga

LEASE = timedelta(seconds=30)


async def test_six_runners_that_claim_at_once_never_claim_the_same_saga(
    dsn: str, postgres_log: PostgresUnderTest
) -> None:
    started = {await start_saga(postgres_log) for _ in range(60)}
    links = [Link(lambda: connect(dsn, name="runner")) for _ in range(6)]

    async def claim(n: int) -> list[SagaId]:
        mine: list[SagaId] = []
        while claims := await PostgresSagaLog(links[n]).claim(f"runner-{n}", limit=4, lease=LEASE):
            mine += [claim.saga_id for claim in claims]
        return mine

    claimed = await asyncio.gather(*(claim(n) for n in range(6)))
    assert sorted(saga_id for mine in claimed for saga_id in mine) == sorted(started)
    for link in links:
        link.close()


async def test_a_claim_skips_a_row_that_somebody_has_locked_instead_of_waiting_for_it(
    postgres_log: PostgresUnderTest,
) -> None:
    busy, free = await start_saga(postgres_log), await start_saga(postgres_log)
    async with postgres_log.owner.transaction():
        await postgres_log.owner.execute("SELECT FROM sagas WHERE saga_id = $1 FOR UPDATE", busy)
        async with asyncio.timeout(1.5):
            claims = await postgres_log.sagas.claim("a", limit=10, lease=LEASE)
            assert await postgres_log.sagas.extend("a", {busy: 1}, lease=LEASE) == []
    assert [claim.saga_id for claim in claims] == [free]


async def test_claiming_without_a_database_raises_unavailable() -> None:
    link = Link(lambda: connect("postgresql://nobody@127.0.0.1:1/none", name="test"))
    with pytest.raises(Unavailable):
        await PostgresSagaLog(link).claim("a", limit=1, lease=LEASE)
