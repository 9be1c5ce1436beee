"""The log grows, and others read on, while a process waits for a lock: that is never taken for an older log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.generations import PostgresGenerations, opened_in
from core.adapters.postgres.read_models.shared_store import PostgresSharedReadModels
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.shares import PostgresShares
from core.ports.generations import NewGeneration
from core.projections import ORDERS
from tests.support.locks import while_it_waits
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project
from tests.support.sharing import shares

READER = ORDERS.reader
LEASE = timedelta(seconds=30)
LOG = Sample(20, payments=True).events()
BEGUN = 30
OTHERS_READ_ON = f"UPDATE reader_shares SET position = {len(LOG)} WHERE reader = $1"
CHECKPOINT = "UPDATE checkpoints SET position = $2 WHERE reader = $1"
LOCK_SHARES = "SELECT pg_advisory_xact_lock(hashtext('reader_shares'), hashtext($1))"


@pytest.fixture
async def link(opener: Opener) -> AsyncIterator[Link]:
    link = Link(opener)
    yield link
    link.close()


async def test_a_projector_that_waits_for_one_who_saves_keeps_the_tables(
    opener: Opener, admin: Connection, dsn: str
) -> None:
    await write(dsn, LOG[:BEGUN])
    await project(opener, groups=[ORDERS])
    before = await contents(dsn)
    models = PostgresReadModels(opener, ORDERS)
    async with while_it_waits(models.open(), admin, CHECKPOINT, READER, BEGUN):
        await write(dsn, LOG[BEGUN:])
        await admin.execute(CHECKPOINT, READER, len(LOG))
    assert await contents(dsn) == before
    models.close()


async def test_a_projector_that_fills_shares_keeps_the_tables_when_others_read_on(
    opener: Opener, admin: Connection, dsn: str, link: Link
) -> None:
    await write(dsn, LOG[:BEGUN])
    await project(opener, groups=[ORDERS])
    before = await contents(dsn)
    await admin.execute("UPDATE reader_shares SET lease_until = '-infinity'")
    await PostgresShares(link).keep(READER, "ann", count=2, lease=LEASE)
    await admin.execute("UPDATE reader_shares SET lease_until = '-infinity'")
    models = PostgresSharedReadModels(opener, ORDERS)
    other = await opener()
    async with while_it_waits(models.open(), admin, CHECKPOINT, READER, BEGUN):
        await write(dsn, LOG[BEGUN:])
        await other.execute(OTHERS_READ_ON, READER)
    assert await contents(dsn) == before
    assert [share["position"] for share in await shares(dsn)] == [len(LOG)] * 2
    await other.close()
    models.close()


async def test_a_builder_that_waits_for_the_one_of_before_goes_on_with_its_generation(
    opener: Opener, admin: Connection, dsn: str
) -> None:
    await write(dsn, LOG[:BEGUN])
    await project(opener, groups=[ORDERS])
    generations = PostgresGenerations(opener)
    one = await generations.request(ORDERS, NewGeneration(purpose="rebuild", requested_by="ann"))
    await generations.make(one.id)
    reader = f"{READER}@{one.id}"
    models = PostgresReadModels(lambda: opened_in(opener, one.id), ORDERS, one.id)
    async with while_it_waits(models.open(), admin, CHECKPOINT, reader, BEGUN):
        await write(dsn, LOG[BEGUN:])
        await admin.execute(CHECKPOINT, reader, len(LOG))
    models.close()
    generations.close()


@pytest.mark.parametrize("meanwhile", ["nothing", "emptied"])
async def test_a_position_that_waits_for_another_opening_is_saved_unless_the_tables_are_emptied(
    opener: Opener, admin: Connection, dsn: str, link: Link, meanwhile: str
) -> None:
    """Else the next process would begin behind what nobody has read into the new tables.

    If it was not saved in the other case, the reader would seem to stand still until the next event.
    """
    await write(dsn, LOG)
    models = PostgresSharedReadModels(opener, ORDERS)
    await models.open()
    epochs = await PostgresShares(link).keep(READER, "ann", count=2, lease=LEASE)
    states, _ = await models.take(epochs)
    saves = {number: state.saves for number, state in states.items()}
    reaching = models.reach(dict.fromkeys(epochs, len(LOG)), epochs, saves)
    async with while_it_waits(reaching, admin, "UPDATE checkpoints SET epoch = epoch + 1 WHERE reader = $1", READER):
        if meanwhile == "emptied":
            await admin.execute("UPDATE checkpoints SET position = 0 WHERE reader = $1", READER)
            await admin.execute("UPDATE reader_shares SET position = 0, epoch = epoch + 1 WHERE reader = $1", READER)
    found = await admin.fetchval("SELECT position FROM checkpoints WHERE reader = $1", READER)
    assert found == (0 if meanwhile == "emptied" else len(LOG))
    models.close()


@pytest.mark.parametrize("how", ["takes a share", "goes back to the end of the log"])
async def test_a_share_stays_where_another_process_has_brought_it_meanwhile(
    opener: Opener, admin: Connection, dsn: str, link: Link, how: str
) -> None:
    await write(dsn, LOG[:BEGUN])
    shared = PostgresShares(link)
    await shared.keep(READER, "ann", count=2, lease=LEASE)
    await shared.leave(READER, ["ann"])
    work = shared.rewind(READER) if how.startswith("goes") else shared.keep(READER, "ben", count=2, lease=LEASE)
    async with while_it_waits(work, admin, LOCK_SHARES, READER):
        await write(dsn, LOG[BEGUN:])
        await admin.execute(OTHERS_READ_ON, READER)
    assert [share["position"] for share in await shares(dsn)] == [len(LOG)] * 2
