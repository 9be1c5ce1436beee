"""The sums of a generation are added up at the end of its fill, once, whatever is killed before, after or meanwhile."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import connect
from core.adapters.postgres.generations import PostgresGenerations, opened_in
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.errors import CheckpointMoved
from core.ports.generations import NewGeneration
from core.ports.reading import Changes
from core.projections import ORDERS
from core.services.paced_log import PacedLog
from core.services.project import Projector
from tests.support.building import build
from tests.support.logins import of_daemons
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project

REBUILD = NewGeneration(purpose="rebuild", requested_by="ada")
LOG = Sample(12, payments=True).events()
WAITING = """
SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
 WHERE d.datname = current_database() AND NOT l.granted
"""
BLOCKED = f"{WAITING} AND l.relation IS NOT NULL"


@pytest.fixture
def daemon(dsn: str) -> Opener:
    return lambda: connect(of_daemons(dsn), name="test")


@pytest.fixture
async def generations(dsn: str) -> AsyncIterator[PostgresGenerations]:
    opened = PostgresGenerations(lambda: connect(of_daemons(dsn), name="test", limits=False))
    yield opened
    opened.close()


@pytest.fixture
async def owner(dsn: str, daemon: Opener) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the owner to a database whose live tables are filled."""
    await write(dsn, LOG)
    await project(daemon)
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def fill(daemon: Opener, id_: int, *, upto: float = math.inf) -> None:
    """Fill a generation up to a position in small saves, as a builder does that is killed there."""
    read_models = PostgresReadModels(lambda: opened_in(daemon, id_), ORDERS, id_)
    try:
        log = PacedLog(PostgresSubscription(daemon), upto=upto)
        await Projector(ORDERS, read_models).run(log, asyncio.Event(), limit=5)
    finally:
        read_models.close()


async def rows_and_keys(owner: asyncpg.Connection, id_: int) -> tuple[int, int]:
    """How many rows its customer summaries have, and how many different keys these have."""
    place = await owner.fetchval("SELECT place_of_generation($1)", id_)
    row = await owner.fetchrow(
        f"SELECT count(*), count(DISTINCT (customer_id, currency)) FROM {place}.customer_summaries"
    )
    assert row is not None
    return row[0], row[1]


async def test_a_builder_that_is_killed_between_any_two_steps_leaves_what_the_next_one_goes_on_with(
    daemon: Opener, generations: PostgresGenerations, owner: asyncpg.Connection, dsn: str
) -> None:
    before = await contents(dsn)
    await owner.execute("UPDATE customer_summaries SET orders = 99")
    id_ = (await generations.request(ORDERS, REBUILD)).id
    await generations.make(id_)
    await generations.make(id_)
    await fill(daemon, id_, upto=len(LOG) // 2)
    await fill(daemon, id_, upto=len(LOG))
    await fill(daemon, id_, upto=len(LOG))
    rows, keys = await rows_and_keys(owner, id_)
    assert rows > keys  # what each save adds is a row of its own
    await generations.move(id_, "building", "indexing")
    await generations.index(id_)
    assert await rows_and_keys(owner, id_) == (keys, keys)
    await generations.index(id_)
    asked = await generations.read(id_)
    assert asked is not None
    await build(daemon, generations, ORDERS, asked)  # it follows the log from here, and adds to the rows
    assert await contents(dsn) == before


async def test_sums_are_added_up_whole_when_that_is_broken_off_and_done_again(
    daemon: Opener, generations: PostgresGenerations, owner: asyncpg.Connection, dsn: str
) -> None:
    before = await contents(dsn)
    id_ = (await generations.request(ORDERS, REBUILD)).id
    await generations.make(id_)
    await fill(daemon, id_, upto=len(LOG))
    await generations.move(id_, "building", "indexing")
    place = await owner.fetchval("SELECT place_of_generation($1)", id_)
    async with owner.transaction():  # the last table is locked, so the others are added up when it is broken off
        await owner.execute(f"LOCK TABLE {place}.daily_sales IN ACCESS SHARE MODE")
        indexing = asyncio.create_task(generations.index(id_))
        async with asyncio.timeout(10):
            while (pid := await owner.fetchval(BLOCKED)) is None:
                await asyncio.sleep(0.01)
        await owner.execute("SELECT pg_terminate_backend($1)", pid)
        async with asyncio.timeout(10):
            while await owner.fetchval(f"{BLOCKED} AND l.pid <> $1", pid) is None:  # it is tried again by itself
                await asyncio.sleep(0.01)
    await indexing
    asked = await generations.read(id_)
    assert asked is not None
    await build(daemon, generations, ORDERS, asked)
    assert await contents(dsn) == before


async def test_a_generation_that_an_older_release_has_made_with_keys_is_filled_with_them(
    daemon: Opener, generations: PostgresGenerations, owner: asyncpg.Connection, dsn: str
) -> None:
    before = await contents(dsn)
    asked = await generations.request(ORDERS, REBUILD)
    await owner.execute("SELECT make_tables_of_generation($1)", asked.id)
    await fill(daemon, asked.id, upto=len(LOG))
    rows, keys = await rows_and_keys(owner, asked.id)
    assert rows == keys
    made = await generations.read(asked.id)
    assert made is not None
    await build(daemon, generations, ORDERS, made)
    assert await contents(dsn) == before


async def test_any_text_is_filled_in_as_it_is_and_what_the_database_refuses_is_set_aside(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    texts = {"customer-1": "null", "customer-2": '\t"}{,\\N\r\n', "1 Market St": "\\.\n'%", "SKU-001": '"]\n["'}
    log = [replace(event, payload=odd(event.payload, texts)) for event in LOG]
    huge = next(event for event in reversed(log) if event.event_type == "OrderCreated")
    payload = re.sub('"quantity":[0-9]+', '"quantity":' + "9" * 30, huge.payload)
    log[huge.position - 1] = replace(huge, payload=payload)
    await write(dsn, log)
    await project(daemon)
    before = await contents(dsn)
    assert len(before["order_views"]) == 11
    await build(daemon, generations, ORDERS, await generations.request(ORDERS, REBUILD))
    assert await contents(dsn) == before


def odd(payload: str, texts: Mapping[str, str]) -> str:
    for text, other in texts.items():
        payload = payload.replace(json.dumps(text), json.dumps(other))
    return payload


async def test_no_daemon_makes_or_indexes_tables_but_by_the_two_functions_for_it(
    daemon: Opener, owner: asyncpg.Connection
) -> None:
    connection = await daemon()
    for name in ("make_tables_of_generation", "index_tables_of_generation", "sum_up_generation"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"SELECT {name}(1)")
    await connection.close()


async def test_two_builders_who_add_up_the_same_sums_at_once_leave_them_right(
    daemon: Opener, generations: PostgresGenerations, owner: asyncpg.Connection, dsn: str
) -> None:
    """The database goes on with the statement of a builder that was killed, while the next one begins its own."""
    before = await contents(dsn)
    id_ = (await generations.request(ORDERS, REBUILD)).id
    await generations.make(id_)
    await fill(daemon, id_, upto=len(LOG))
    await generations.move(id_, "building", "indexing")
    place = await owner.fetchval("SELECT place_of_generation($1)", id_)
    other = PostgresGenerations(lambda: connect(of_daemons(dsn), name="test", limits=False))
    async with owner.transaction():
        await owner.execute(f"LOCK TABLE {place}.daily_sales IN ACCESS SHARE MODE")
        indexing = [asyncio.create_task(one.index(id_)) for one in (generations, other)]
        async with asyncio.timeout(10):
            while len(await owner.fetch(WAITING)) < len(indexing):
                await asyncio.sleep(0.01)
    await asyncio.gather(*indexing)
    other.close()
    asked = await generations.read(id_)
    assert asked is not None
    await build(daemon, generations, ORDERS, asked)
    assert await contents(dsn) == before


async def test_a_builder_saves_nothing_while_another_one_adds_the_sums_up(
    daemon: Opener, generations: PostgresGenerations, owner: asyncpg.Connection
) -> None:
    id_ = (await generations.request(ORDERS, REBUILD)).id
    await generations.make(id_)
    await fill(daemon, id_, upto=len(LOG) // 2)
    filling = PostgresReadModels(lambda: opened_in(daemon, id_), ORDERS, id_)
    position = (await filling.open()).position
    await generations.move(id_, "building", "indexing")
    with pytest.raises(CheckpointMoved):
        await filling.save(Changes(position, len(LOG), [], {}))
    filling.close()
