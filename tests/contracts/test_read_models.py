"""Read models: whatever interrupts the projector, they come out as one undisturbed fold of the log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.queries.progress import progress
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.errors import CheckpointMoved, EventNotApplied, Unavailable
from core.ports.reading import Changes
from core.projections import REVISION, VIEWS
from core.projections.inventory_level import INVENTORY_LEVEL
from core.projections.order_view import ORDER_VIEW
from core.services.project import READER, Projector, declared, fold
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.recorded import at, recorded
from tests.support.samples import replenished, reserved

NOTHING: Mapping[str, Any] = {projection.name: [] for projection in VIEWS}
SUMMED = {"customer_summaries": {("ann", "USD"): (1, Decimal("2.50"), at(1))}}


@pytest.fixture
async def read_models(opener: Opener) -> AsyncIterator[PostgresReadModels]:
    read_models = PostgresReadModels(opener)
    yield read_models
    read_models.close()


async def catch_up(opener: Opener, read_models: PostgresReadModels, head: int, *, limit: int = 2_000) -> None:
    """Run a projector until it has saved everything up to `head`."""
    stop = asyncio.Event()
    projector = Projector(read_models)
    running = asyncio.create_task(projector.run(PostgresSubscription(opener), stop, limit=limit))
    try:
        async with asyncio.timeout(20):
            while projector.position < head and not running.done():
                await asyncio.wait([running], timeout=0.005)
    finally:
        stop.set()
        await running


async def test_what_is_saved_is_loaded_again(read_models: PostgresReadModels) -> None:
    assert await read_models.open(READER, REVISION) == 0
    log = [*Sample(5).events(), *recorded([replenished, reserved])]
    views = {p.name: list(fold(p, {}, declared(p, log)).values()) for p in VIEWS}
    await read_models.save(READER, Changes(after=0, position=len(log), views=views, sums={}))

    orders = await read_models.load(ORDER_VIEW, [view.order_id for view in views["order_views"]])
    assert orders == {view.order_id: view for view in views["order_views"]}
    levels = await read_models.load(INVENTORY_LEVEL, ["LAPTOP-001", "NOT-THERE"])
    assert levels == {"LAPTOP-001": views["inventory_levels"][0]}
    assert await read_models.open(READER, REVISION) == len(log)


async def test_sums_are_added_to_and_of_two_moments_the_later_one_stays(
    read_models: PostgresReadModels, dsn: str
) -> None:
    await read_models.open(READER, REVISION)
    await read_models.save(READER, Changes(after=0, position=1, views=NOTHING, sums=SUMMED))
    earlier = {"customer_summaries": {("ann", "USD"): (1, Decimal("-0.25"), at(1) - timedelta(days=1))}}
    await read_models.save(READER, Changes(after=1, position=2, views=NOTHING, sums=earlier))
    [row] = (await contents(dsn))["customer_summaries"]
    assert tuple(row) == ("ann", "USD", 2, Decimal("2.25"), at(1))


async def test_a_second_projector_rolls_back_and_saves_nothing(read_models: PostgresReadModels, dsn: str) -> None:
    await read_models.open(READER, REVISION)
    await read_models.save(READER, Changes(after=0, position=1, views=NOTHING, sums=SUMMED))
    with pytest.raises(CheckpointMoved):
        await read_models.save(READER, Changes(after=0, position=1, views=NOTHING, sums=SUMMED))
    [row] = (await contents(dsn))["customer_summaries"]
    assert row["orders"] == 1


async def test_two_projectors_at_once_apply_every_event_once(opener: Opener, dsn: str) -> None:
    log = Sample(200).events()
    await write(dsn, log)

    async def follow() -> None:
        mine = PostgresReadModels(opener)
        try:
            while True:
                try:
                    await catch_up(opener, mine, len(log), limit=7)
                except CheckpointMoved:
                    continue  # the other one was first: go on from where it is
                return
        finally:
            mine.close()

    await asyncio.gather(follow(), follow())
    await assert_as_if_undisturbed(opener, dsn)


async def test_other_rules_empty_the_tables_and_start_over(read_models: PostgresReadModels, dsn: str) -> None:
    await read_models.open(READER, "older rules")
    await read_models.save(READER, Changes(after=0, position=1, views=NOTHING, sums=SUMMED))
    assert await read_models.open(READER, "older rules") == 1
    assert await read_models.open(READER, REVISION) == 0
    assert (await contents(dsn))["customer_summaries"] == []
    assert await read_models.open(READER, REVISION) == 0


CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND query LIKE 'SELECT save_read_models%'
"""


class Interrupted(PostgresReadModels):
    """Loses its connection at a random point of every few saves."""

    def __init__(self, opener: Opener, admin: Connection, rng: random.Random) -> None:
        super().__init__(opener)
        self._admin = admin
        self._rng = rng
        self.cuts = 0

    async def save(self, reader: str, changes: Changes) -> None:
        cutting = asyncio.create_task(self._cut()) if self._rng.random() < 0.3 else None
        try:
            await super().save(reader, changes)
        finally:
            if cutting is not None:
                await cutting

    async def _cut(self) -> None:
        await self._admin.execute("SELECT pg_sleep($1::float8 / 1000)", self._rng.random() * 3)
        self.cuts += await self._admin.fetchval(CUT)


async def test_connections_lost_in_the_middle_of_a_batch_lose_and_repeat_nothing(opener: Opener, dsn: str) -> None:
    log = Sample(150).events()
    await write(dsn, log)
    admin = await asyncpg.connect(dsn)
    read_models = Interrupted(opener, admin, random.Random(11))
    for _ in range(1_000):
        try:
            await catch_up(opener, read_models, len(log), limit=10)
        except (Unavailable, CheckpointMoved):
            continue
        break
    read_models.close()
    await admin.close()
    assert read_models.cuts > 3
    await assert_as_if_undisturbed(opener, dsn)


async def assert_as_if_undisturbed(opener: Opener, dsn: str) -> None:
    found = await contents(dsn)
    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE checkpoints SET revision = 'older rules'")
    head = await owner.fetchval("SELECT max(position) FROM events")
    await owner.close()
    again = PostgresReadModels(opener)
    await catch_up(opener, again, head)
    again.close()
    assert found == await contents(dsn)


async def test_before_an_event_that_cannot_be_applied_everything_is_saved(
    read_models: PostgresReadModels, opener: Opener, dsn: str
) -> None:
    log = list(Sample(10).events())
    broken = next(event for event in log[5:] if event.event_type == "OrderCreated")
    log[broken.position - 1] = replace(broken, payload="{}")
    await write(dsn, log)
    with pytest.raises(EventNotApplied) as stopped:
        await catch_up(opener, read_models, len(log))
    assert stopped.value.position == broken.position
    assert await read_models.open(READER, REVISION) == broken.position - 1


async def test_a_log_that_begins_with_an_event_that_cannot_be_applied_goes_nowhere(
    read_models: PostgresReadModels, opener: Opener, dsn: str
) -> None:
    [first, *rest] = Sample(2).events()
    await write(dsn, [replace(first, payload="{}"), *rest])
    with pytest.raises(EventNotApplied):
        await catch_up(opener, read_models, len(rest) + 1)
    assert await read_models.open(READER, REVISION) == 0


async def test_what_is_no_longer_remembered_is_loaded_again(
    read_models: PostgresReadModels, opener: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.project.RECENT", 20)
    log = Sample(100, open_at_once=60).events()
    await write(dsn, log)
    await catch_up(opener, read_models, len(log), limit=10)
    await assert_as_if_undisturbed(opener, dsn)


async def test_progress_says_how_long_the_next_event_has_been_waiting(
    read_models: PostgresReadModels, opener: Opener, dsn: str
) -> None:
    connection = await opener()
    await read_models.open(READER, REVISION)
    [empty] = await progress(connection)
    assert (empty.position, empty.head, empty.behind) == (0, 0, 0)
    log = Sample(5).events()
    await write(dsn, [replace(event, recorded_at=at(0) - timedelta(days=500)) for event in log])
    [behind] = await progress(connection)
    assert (behind.position, behind.head) == (0, len(log))
    assert behind.behind > 60
    await catch_up(opener, read_models, len(log))
    [up] = await progress(connection)
    assert (up.position, up.head, up.behind) == (len(log), len(log), 0)
    await connection.close()
