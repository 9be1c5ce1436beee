"""Read models: whatever interrupts a projector, they come out as one undisturbed fold of the log."""

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
from core.adapters.postgres.queries.readers import positions_of, progress
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.errors import CheckpointMoved, Unavailable
from core.ports.reading import Changes
from core.projections import GROUPS, ORDERS, STOCK
from core.projections.projection import Group
from core.services.fold_events import fold, read
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project, project_group
from tests.support.samples import replenished, reserved
from tests.support.stored_events import at, stored_events

SUMMED: Mapping[str, Any] = {"customer_summaries": {("ann", "USD"): (1, Decimal("2.50"), at(1))}}


@pytest.fixture
async def orders(opener: Opener) -> AsyncIterator[PostgresReadModels]:
    read_models = PostgresReadModels(opener, ORDERS)
    yield read_models
    read_models.close()


@pytest.fixture
async def stock(opener: Opener) -> AsyncIterator[PostgresReadModels]:
    read_models = PostgresReadModels(opener, STOCK)
    yield read_models
    read_models.close()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
async def test_a_projector_loads_a_saved_view_by_its_stream(opener: Opener, dsn: str, group: Group[Any]) -> None:
    read_models = PostgresReadModels(opener, group)
    assert (await read_models.open()).position == 0
    log = [*stored_events([replenished, reserved]), *Sample(5, payments=True).events()]
    log = [replace(event, position=position) for position, event in enumerate(log, start=1)]
    await write(dsn, log)
    views = fold(group.projection, {}, read(group.projection, log))
    await read_models.save(Changes(after=0, position=len(log), views=list(views.values()), sums={}))
    assert await read_models.load(list(views)) == views
    assert (await read_models.open()).position == len(log)
    read_models.close()


async def test_a_save_adds_numbers_to_a_sum_and_keeps_the_later_of_two_times(
    orders: PostgresReadModels, dsn: str
) -> None:
    await orders.open()
    await orders.save(Changes(after=0, position=1, views=[], sums=SUMMED))
    earlier = {"customer_summaries": {("ann", "USD"): (1, Decimal("-0.25"), at(1) - timedelta(days=1))}}
    await orders.save(Changes(after=1, position=2, views=[], sums=earlier))
    [row] = (await contents(dsn))["customer_summaries"]
    assert tuple(row) == ("ann", "USD", 2, Decimal("2.25"), at(1))


async def test_a_second_projector_that_was_overtaken_saves_nothing(orders: PostgresReadModels, dsn: str) -> None:
    await orders.open()
    await orders.save(Changes(after=0, position=1, views=[], sums=SUMMED))
    with pytest.raises(CheckpointMoved):
        await orders.save(Changes(after=0, position=1, views=[], sums=SUMMED))
    [row] = (await contents(dsn))["customer_summaries"]
    assert row["orders"] == 1


async def test_a_projector_that_another_one_has_relieved_saves_nothing_even_where_both_are_equally_far(
    orders: PostgresReadModels, opener: Opener, dsn: str
) -> None:
    heir = PostgresReadModels(opener, ORDERS)
    await orders.open()
    await heir.open()
    with pytest.raises(CheckpointMoved):
        await orders.save(Changes(after=0, position=1, views=[], sums=SUMMED))
    await heir.save(Changes(after=0, position=1, views=[], sums=SUMMED))
    assert len((await contents(dsn))["customer_summaries"]) == 1
    heir.close()


async def test_two_projectors_at_once_apply_every_event_once(opener: Opener, dsn: str) -> None:
    log = Sample(200, payments=True).events()
    await write(dsn, log)

    async def follow() -> None:
        mine = PostgresReadModels(opener, ORDERS)
        try:
            while True:
                try:
                    await project_group(opener, ORDERS, mine, limit=7)
                except (CheckpointMoved, Unavailable):
                    # The other one was first, or PostgreSQL has ended this one's statement, since each waited for a
                    # lock of the other. A daemon begins again too: it goes on from where the group is.
                    continue
                return
        finally:
            mine.close()

    await asyncio.gather(follow(), follow())
    await assert_as_if_undisturbed(opener, dsn)


async def test_a_group_that_starts_over_leaves_the_other_groups_tables_as_they_are(
    orders: PostgresReadModels, stock: PostgresReadModels, opener: Opener, dsn: str
) -> None:
    log = stored_events([replenished, reserved])
    await write(dsn, log)
    await project(opener)
    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE checkpoints SET position = 0 WHERE reader = $1", ORDERS.reader)
    await owner.close()
    assert (await orders.open()).position == 0
    assert (await stock.open()).position == len(log)
    assert len((await contents(dsn))["inventory_levels"]) == 1


async def test_tables_whose_checkpoint_is_gone_are_emptied_before_they_are_filled(
    orders: PostgresReadModels, dsn: str
) -> None:
    await orders.open()
    await orders.save(Changes(after=0, position=1, views=[], sums=SUMMED))
    owner = await asyncpg.connect(dsn)
    await owner.execute("DELETE FROM checkpoints")
    await owner.close()
    assert (await orders.open()).position == 0
    assert (await contents(dsn))["customer_summaries"] == []


CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND query LIKE '%WITH moved AS%' AND pid <> pg_backend_pid()
"""


class Interrupted(PostgresReadModels):
    """Loses its connection at a random point of every few saves."""

    def __init__(self, opener: Opener, admin: Connection, rng: random.Random) -> None:
        super().__init__(opener, ORDERS)
        self._admin = admin
        self._rng = rng
        self.cuts = 0

    async def save(self, changes: Changes) -> None:
        cutting = asyncio.create_task(self._cut()) if self._rng.random() < 0.3 else None
        try:
            await super().save(changes)
        finally:
            if cutting is not None:
                await cutting

    async def _cut(self) -> None:
        await self._admin.execute("SELECT pg_sleep($1::float8 / 1000)", self._rng.random() * 3)
        self.cuts += await self._admin.fetchval(CUT)


async def test_a_projector_whose_connection_is_lost_during_a_batch_neither_loses_nor_repeats_an_event(
    opener: Opener, dsn: str
) -> None:
    log = Sample(150, payments=True).events()
    await write(dsn, log)
    admin = await asyncpg.connect(dsn)
    read_models = Interrupted(opener, admin, random.Random(11))
    for _ in range(1_000):
        try:
            await project_group(opener, ORDERS, read_models, limit=10)
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
    await owner.execute("UPDATE checkpoints SET position = 0")
    await owner.close()
    await project(opener, groups=[ORDERS])
    assert found == await contents(dsn)


async def test_a_projector_loads_a_view_again_that_is_no_longer_in_its_memory(opener: Opener, dsn: str) -> None:
    await write(dsn, Sample(100, open_at_once=60, payments=True).events())
    await project(opener, limit=10, recent=5)
    await assert_as_if_undisturbed(opener, dsn)


async def test_an_event_unknown_to_this_release_moves_on_the_version_of_a_view_that_is_no_longer_in_memory(
    opener: Opener, dsn: str
) -> None:
    [first, second] = stored_events([replenished, reserved])
    await write(dsn, [first])
    await project(opener)
    await write(dsn, [replace(second, event_type="StockCounted", payload='{"counted": 9}')])
    await project(opener)
    [level] = (await contents(dsn))["inventory_levels"]
    assert (level["sku"], level["version"], level["on_hand"], level["reserved"]) == ("LAPTOP-001", 2, 10, 0)


async def test_progress_says_how_long_the_next_event_has_been_waiting(
    orders: PostgresReadModels, opener: Opener, dsn: str
) -> None:
    connection = await opener()
    assert await orders.progress() is None
    await orders.open()
    [empty] = await progress(connection)
    assert (empty.position, empty.head, empty.behind) == (0, 0, 0)
    log = Sample(5).events()
    await write(dsn, [replace(event, recorded_at=at(0) - timedelta(days=500)) for event in log])
    behind = await orders.progress()
    assert behind is not None
    assert (behind.position, behind.head) == (0, len(log))
    assert behind.behind > 60
    await project_group(opener, ORDERS, orders)
    up = await orders.progress()
    assert up is not None
    assert (up.position, up.head, up.behind) == (len(log), len(log), 0)
    assert await positions_of(connection, [ORDERS.reader, STOCK.reader]) == {ORDERS.reader: len(log)}
    await connection.close()
