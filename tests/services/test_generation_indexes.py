"""Indexes that a migration makes while older generations are there, which may be read from later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.generations import PostgresGenerations
from core.ports.generations import NewGeneration
from core.projections import ORDERS
from core.projections.projection import Group
from tests.support.building import SHAPES, build
from tests.support.logins import of_daemons
from tests.support.opener import Opener
from tests.support.orders import Sample, write
from tests.support.projecting import project

SECOND = timedelta(seconds=1)


@pytest.fixture
def daemon(dsn: str) -> Opener:
    """Opens connections as a user who owns no table."""
    return lambda: connect(of_daemons(dsn), name="test")


@pytest.fixture
async def generations(dsn: str) -> AsyncIterator[PostgresGenerations]:
    opened = PostgresGenerations(lambda: connect(of_daemons(dsn), name="test", limits=False))
    yield opened
    opened.close()


async def test_tables_that_are_read_again_get_the_indexes_that_a_migration_has_made_since(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    await write(dsn, Sample(2).events())
    await project(daemon)
    await build(
        daemon,
        generations,
        ORDERS,
        await generations.request(ORDERS, NewGeneration(purpose="rebuild", requested_by="ada")),
    )
    owner = await asyncpg.connect(dsn)
    await owner.execute("CREATE INDEX made_since ON order_views (version)")
    await owner.execute("DROP INDEX order_views_total; CREATE INDEX order_views_total ON order_views (total_amount)")
    await owner.execute("DROP STATISTICS order_views_statuses")
    await owner.execute("CREATE STATISTICS order_views_statuses (mcv) ON status, currency FROM order_views")
    await owner.execute("ALTER TABLE order_views SET (fillfactor = 75)")
    shapes = await owner.fetch(SHAPES)
    assert await generations.switch_back(ORDERS.reader)
    [back] = await generations.unfinished()
    assert await generations.switch(back.id, within=SECOND, keep=SECOND) == "it lacks the index made_since"
    await build(daemon, generations, ORDERS, back)
    assert await owner.fetch(SHAPES) == shapes
    await owner.close()


async def test_read_models_as_of_a_position_get_the_indexes_that_a_migration_has_made_since(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    asked = await generations.request(ORDERS, NewGeneration(purpose="as_of", requested_by="ada", end_position=0))
    await build(daemon, generations, ORDERS, asked)
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        "UPDATE generations SET keep_until = now() + '1 hour'; ALTER TABLE order_views SET (fillfactor = 75)"
    )
    assert await generations.index_ready(ORDERS) == []
    await owner.execute("DROP INDEX order_views_total; CREATE INDEX order_views_total ON order_views (total_amount)")
    assert await generations.index_ready(Group("orders", ORDERS.projection)) == []  # of another revision
    assert await generations.index_ready(ORDERS) == [asked.id]
    [again] = await generations.unfinished()
    await build(daemon, generations, ORDERS, again)
    assert await generations.index_ready(ORDERS) == []
    assert (await generations.read(asked.id) or again).state == "ready"
    made = await owner.fetchval(
        "SELECT pg_get_indexdef(to_regclass(quote_ident(place_of_generation($1)) || '.order_views_total'))", asked.id
    )
    assert made.endswith("(total_amount)")
    await owner.close()


async def test_read_models_are_filled_and_built_anew_where_nobody_may_call_functions_without_being_named(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    owner = await asyncpg.connect(dsn)
    await owner.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC")
    await write(dsn, Sample(2).events())
    await project(daemon)
    built = await generations.request(ORDERS, NewGeneration(purpose="rebuild", requested_by="ada"))
    await build(daemon, generations, ORDERS, built)
    [live] = [one for one in await generations.newest(limit=10) if one.id == built.id]
    assert live.state == "live"
    await owner.close()
