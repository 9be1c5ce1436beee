"""Lists of earlier moments are kept as long as they are used, as of a bounded number of moments."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest

from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.generations import PostgresGenerations
from core.adapters.postgres.past_generations import PostgresPastGenerations
from core.errors import Unavailable
from core.ports.queries import Queries
from core.projections import ORDERS, STOCK
from core.services import past_models
from core.services.past_models import KEEP, PastComing, PastModels
from tests.support.logins import of_daemons
from tests.support.moments import builder
from tests.support.orders import Sample, write


@contextlib.asynccontextmanager
async def queries_of(generation: int) -> AsyncIterator[Queries]:
    yield cast("Queries", generation)


async def ready(models: PastModels, position: int, reader: str = ORDERS.reader) -> Any:
    """The queries, once they are built."""
    while True:
        try:
            return await models.queries(reader, position)
        except PastComing:
            await asyncio.sleep(0.02)


async def test_moments_that_are_in_use_keep_their_lists_and_the_one_unused_longest_makes_room(
    dsn: str, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(dsn, Sample(6).events())
    generations = PostgresPastGenerations(lambda: connect(of_daemons(dsn), name="test"))
    models = PastModels(generations, queries_of, most=2)
    other_process = PastModels(generations, queries_of, most=2)
    async with builder(dsn):
        first, second = await ready(models, 3), await ready(models, 5)
        assert first != second
        assert await ready(models, 3) == await ready(other_process, 3) == first, "nothing is built twice"
        assert await ready(models, 3, STOCK.reader) not in {first, second}, "each group has its own"
        with pytest.raises(PastComing, match="as of 2 other moments are in use: those as of position 4 come when"):
            await models.queries(ORDERS.reader, 4)

        monkeypatch.setattr(past_models, "SAY_AGAIN", 0.0)
        await admin.execute("UPDATE generations SET keep_until = keep_until - interval '2 min' WHERE id = $1", second)
        assert await ready(models, 3) == first
        assert await ready(models, 4) not in {first, second}
        left = await admin.fetchval("SELECT keep_until - clock_timestamp() FROM generations WHERE id = $1", first)
        assert KEEP - timedelta(minutes=1) < left <= KEEP, "its use has prolonged its time"
        expired = PostgresGenerations(lambda: connect(of_daemons(dsn), name="test", limits=False))
        assert list(await expired.expired()) == [second]
        await expired.drop(second, "dropped")
        assert await ready(models, 4) not in {first, second}
        await admin.execute("UPDATE generations SET keep_until = now() - interval '2 min' WHERE state = 'ready'")
        assert await ready(models, 5) not in {first, second}, "one that is gone is built again"
        expired.close()
    await models.close()
    await other_process.close()
    generations.close()


async def test_those_who_ask_for_a_moment_at_once_have_it_built_once_and_what_nobody_waits_for_makes_room(
    dsn: str, admin: Connection
) -> None:
    await write(dsn, Sample(6).events())
    several = [PostgresPastGenerations(lambda: connect(of_daemons(dsn), name="test")) for _ in range(4)]
    models = [PastModels(each, queries_of, most=1) for each in several]
    told = await asyncio.gather(*(one.queries(ORDERS.reader, 3) for one in models), return_exceptions=True)
    assert all(isinstance(one, PastComing) and not one.others for one in told)
    assert await admin.fetchval("SELECT count(*) FROM generations") == 1
    with pytest.raises(PastComing) as waits:
        await models[0].queries(ORDERS.reader, 4)
    assert waits.value.others == 1, "somebody waits for the first one"
    await admin.execute("UPDATE generations SET keep_until = keep_until - interval '30 s'")
    with pytest.raises(PastComing):
        await models[1].queries(ORDERS.reader, 3)
    with pytest.raises(PastComing) as waits:
        await models[0].queries(ORDERS.reader, 4)
    assert waits.value.others == 1, "somebody has asked again"
    await admin.execute("UPDATE generations SET keep_until = keep_until - interval '30 s'")
    with pytest.raises(PastComing) as begun:
        await models[0].queries(ORDERS.reader, 4)
    assert not begun.value.others
    states = await admin.fetch("SELECT end_position, state FROM generations ORDER BY id")
    assert [tuple(row) for row in states] == [(3, "cancelled"), (4, "waiting")]
    for one, generations in zip(models, several, strict=True):
        await one.close()
        generations.close()


async def test_lists_that_cannot_be_made_are_told_as_an_outage_and_tried_again_after_a_minute(
    dsn: str, admin: Connection
) -> None:
    await write(dsn, Sample(6).events())
    generations = PostgresPastGenerations(lambda: connect(of_daemons(dsn), name="test"))
    models = PastModels(generations, queries_of, most=2)
    with pytest.raises(PastComing):
        await models.queries(ORDERS.reader, 3)
    await admin.execute("UPDATE generations SET state = 'failed', note = 'the disk is full', ended_at = now()")
    with pytest.raises(Unavailable, match="as of position 3 cannot be made: the disk is full"):
        await models.queries(ORDERS.reader, 3)
    await admin.execute("UPDATE generations SET ended_at = now() - interval '2 min'")
    with pytest.raises(PastComing):
        await models.queries(ORDERS.reader, 3)
    await models.close()
    generations.close()
