"""A generation whose rows are filled in shares has every event once, whichever process is killed, and whenever."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from core.adapters.postgres.connection import connect
from core.adapters.postgres.generations import PostgresGenerations, opened_in
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.domain.message import StreamId
from core.errors import CheckpointMoved
from core.ports.generations import Generation, GenerationGone, NewGeneration
from core.ports.reading import Changes, RowShare
from core.projections import ORDERS
from core.services.fill_share import fill_share
from tests.support.building import build
from tests.support.logins import of_daemons
from tests.support.opener import Opener
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project

REBUILD = NewGeneration(purpose="rebuild", requested_by="ada")
LOG = Sample(16, payments=True).events()
ROOT = Path(__file__).parents[2]
FIRST, SECOND = RowShare(0, 2), RowShare(1, 2)


@pytest.fixture
def daemon(dsn: str) -> Opener:
    return lambda: connect(of_daemons(dsn), name="test")


@pytest.fixture
async def generations(dsn: str) -> AsyncIterator[PostgresGenerations]:
    opened = PostgresGenerations(lambda: connect(of_daemons(dsn), name="test", limits=False))
    yield opened
    opened.close()


@contextmanager
def models(daemon: Opener, id_: int, share: RowShare | None) -> Iterator[PostgresReadModels]:
    opened = PostgresReadModels(lambda: opened_in(daemon, id_), ORDERS, id_, share)
    try:
        yield opened
    finally:
        opened.close()


async def fill(daemon: Opener, id_: int, share: RowShare, upto: int) -> None:
    with models(daemon, id_, share) as read_models:
        await fill_share(ORDERS, read_models, PostgresSubscription(daemon, share), share, upto, asyncio.Event())


async def blocked(daemon: Opener, id_: int, share: RowShare | None) -> list[StreamId]:
    with models(daemon, id_, share) as read_models:
        return list((await read_models.aside()).blocked)


async def dead_letters(dsn: str, reader: str) -> list[asyncpg.Record]:
    """All that does not differ from reader to reader."""
    owner = await asyncpg.connect(dsn)
    rows = await owner.fetch(
        "SELECT row_stream, category, event_id, stream_id, version, position, event_type, schema_version, "
        "correlation_id, error, fingerprint FROM dead_letters WHERE reader = $1 ORDER BY position",
        reader,
    )
    await owner.close()
    return rows


async def divided(generations: PostgresGenerations) -> int:
    id_ = (await generations.request(ORDERS, REBUILD)).id
    await generations.make(id_)
    assert await generations.share(id_, 2)
    return id_


async def read(generations: PostgresGenerations, id_: int) -> Generation:
    generation = await generations.read(id_)
    assert generation is not None
    return generation


async def test_shares_that_are_killed_anywhere_and_begun_again_make_a_whole_with_every_event_once(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    await write(dsn, LOG)
    await project(daemon)
    before = await contents(dsn)
    id_ = await divided(generations)
    assert await generations.share(id_, 2, begin=False)  # by a builder that goes on
    for upto in (len(LOG) // 3, len(LOG) // 3, len(LOG)):
        await fill(daemon, id_, FIRST, upto)
    await fill(daemon, id_, SECOND, len(LOG) // 2)
    assert (await read(generations, id_)).position == len(LOG) // 2
    assert not await generations.join(id_, len(LOG))
    with models(daemon, id_, None) as whole, pytest.raises(GenerationGone):  # as a builder of an older release fills it
        await whole.open()
    with models(daemon, id_, SECOND) as frozen:
        await frozen.open()
        await fill(daemon, id_, SECOND, len(LOG))
        with pytest.raises(CheckpointMoved):
            await frozen.save(Changes(len(LOG) // 2, len(LOG), [], {}))
    with models(daemon, id_, FIRST) as late:
        await late.open()
        assert await generations.join(id_, len(LOG))
        assert await generations.join(id_, len(LOG))
        with pytest.raises(CheckpointMoved):
            await late.save(Changes(len(LOG), len(LOG) + 1, [], {}))
    assert not await generations.share(id_, 2)
    await build(daemon, generations, ORDERS, await read(generations, id_))
    assert (await read(generations, id_)).state == "live"
    assert await contents(dsn) == before


async def test_no_share_forgets_a_view_that_it_has_not_saved_yet(
    daemon: Opener, generations: PostgresGenerations, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Sample(60, open_at_once=50, payments=True).events()
    await write(dsn, log)
    await project(daemon)
    before = await contents(dsn)
    monkeypatch.setattr("core.services.fill_share.RECENT", 10)
    monkeypatch.setattr("core.services.fill_share.BATCH", 5)
    id_ = await divided(generations)
    for share in (FIRST, SECOND):
        await fill(daemon, id_, share, len(log))
        assert await blocked(daemon, id_, share) == []
    assert await generations.join(id_, len(log))
    await build(daemon, generations, ORDERS, await read(generations, id_))
    assert (await read(generations, id_)).state == "live"
    assert await contents(dsn) == before


async def test_what_the_database_refuses_is_set_aside_by_the_share_of_its_row_and_nobody_else_looks_at_it(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    created = [event for event in LOG if event.event_type == "OrderCreated"]
    log, damaged = list(LOG), set[StreamId]()
    for share in (FIRST, SECOND):
        event = next(one for one in created if share.has(one.stream))
        huge = re.sub('"quantity":[0-9]+', '"quantity":' + "9" * 30, event.payload)
        log[event.position - 1] = replace(event, payload=huge)
        damaged.add(event.stream)
    paid = next(
        one
        for one in LOG
        if one.event_type == "PaymentAuthorized"
        and SECOND.has(StreamId(one.correlation_id))
        and one.correlation_id not in damaged
    )
    log[paid.position - 1] = replace(paid, payload="{}")
    await write(dsn, log)
    await project(daemon)
    before = await contents(dsn)
    id_ = await divided(generations)
    for share, waiting in ((FIRST, 1), (SECOND, 2)):
        await fill(daemon, id_, share, len(log))
        rows = await blocked(daemon, id_, share)
        assert len(rows) == waiting
        assert all(map(share.has, rows))
    assert len(await blocked(daemon, id_, None)) == 3
    assert await dead_letters(dsn, f"{ORDERS.reader}@{id_}") == await dead_letters(dsn, ORDERS.reader)
    assert await generations.join(id_, len(log))
    await build(daemon, generations, ORDERS, await read(generations, id_))
    assert (await read(generations, id_)).state == "live"
    assert await contents(dsn) == before
    assert len(before["order_views"]) == 14  # the row of the payment has what came before it


async def test_shares_leave_out_the_events_that_an_operator_has_skipped(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    await write(dsn, LOG)
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        "INSERT INTO skipped_events (reader, event_id, position, row_stream, by, reason) "
        "SELECT $1, event_id, position, CASE category WHEN 'order' THEN stream_id ELSE correlation_id END, "
        "'ada', 'wrong' FROM events WHERE event_type IN ('OrderConfirmed', 'PaymentAuthorized')",
        ORDERS.reader,
    )
    await owner.close()
    await project(daemon)
    before = await contents(dsn)
    assert not [row for row in before["order_views"] if '"status":"CONFIRMED"' in row["document"]]
    id_ = await divided(generations)
    for share in (FIRST, SECOND):
        await fill(daemon, id_, share, len(LOG))
    assert await generations.join(id_, len(LOG))
    await build(daemon, generations, ORDERS, await read(generations, id_))
    assert (await read(generations, id_)).state == "live"
    assert await contents(dsn) == before


ONE_IS_KILLED = """
import asyncio, os, pathlib, sys
from core.settings import load_settings
from daemons.process.forks import Forks
from daemons.projector import build

dsn, id_, upto, killed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
settings = load_settings(database_url=dsn)
build.PAUSE = 0.1

def work(number):
    if not killed.exists():
        killed.touch()
        os.kill(os.getpid(), 9)
    asyncio.run(build.fill_other_share(settings, id_, *divmod(number, build.SHARES), asyncio.Event()))

forks = Forks(work)

async def main():
    async with build.opened(settings, id_) as at:
        await build.fill_shares(at, forks, upto, asyncio.Event())
        assert await at.generations.join(id_, upto)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_before_its_share_is_full_is_followed_by_another_at_once(
    generations: PostgresGenerations, dsn: str, tmp_path: Path
) -> None:
    await write(dsn, LOG)
    id_ = await divided(generations)
    assert await generations.share_lacks_events(id_, 1, len(LOG))
    killed = tmp_path / "killed"
    arguments = [sys.executable, "-c", ONE_IS_KILLED, of_daemons(dsn), str(id_), str(len(LOG)), str(killed)]
    done = await asyncio.to_thread(
        subprocess.run, arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert killed.exists()
    assert (await read(generations, id_)).position == len(LOG)
    assert not await generations.share_lacks_events(id_, 1, len(LOG))  # it is a whole


async def test_a_divided_generation_that_is_dropped_leaves_nothing_and_its_shares_save_nothing(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    await write(dsn, LOG)
    id_ = await divided(generations)
    with models(daemon, id_, FIRST) as filling:
        await filling.open()
        assert await generations.drop(id_, "cancelled")
        with pytest.raises(CheckpointMoved):
            await filling.save(Changes(0, len(LOG), [], {}))
    owner = await asyncpg.connect(dsn)
    assert await owner.fetchval("SELECT count(*) FROM checkpoints WHERE reader LIKE '%@%'") == 0
    await owner.close()


async def test_a_generation_that_has_rows_already_is_not_divided(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    await write(dsn, LOG)
    id_ = (await generations.request(ORDERS, REBUILD)).id
    await generations.make(id_)
    assert not await generations.share(id_, 2, begin=False)
    with models(daemon, id_, None) as whole:
        await whole.open()
        await whole.save(Changes(0, 1, [], {}))
        assert not await generations.share(id_, 2)
        await whole.save(Changes(1, 2, [], {}))
