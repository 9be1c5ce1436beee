"""Generations: read models that are filled beside the live ones, and put in their place while everybody goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from core.adapters.postgres import generation_rows
from core.adapters.postgres.connection import connect
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.generations import PostgresGenerations, opened_in
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.errors import CheckpointMoved, NotAllowed
from core.ports.generations import Generation, GenerationGone, NewGeneration
from core.ports.reading import Changes
from core.projections import GROUPS, ORDERS
from core.projections.projection import Group
from core.services.execute import Terms
from core.services.rebuilds import RebuildDesk, RebuildWish, act_on_group
from daemons.cli.rebuild import line_of
from tests.support.building import SHAPES, build
from tests.support.logins import of_daemons
from tests.support.opener import Opener
from tests.support.order_desk import RealClock
from tests.support.orders import Sample, contents, write
from tests.support.projecting import project

REBUILD = NewGeneration(purpose="rebuild", requested_by="ada")


@pytest.fixture
def daemon(dsn: str) -> Opener:
    """Opens connections as a user who owns no table."""
    return lambda: connect(of_daemons(dsn), name="test")


@pytest.fixture
async def generations(dsn: str) -> AsyncIterator[PostgresGenerations]:
    opened = PostgresGenerations(lambda: connect(of_daemons(dsn), name="test", limits=False))
    yield opened
    opened.close()


async def rows_in(opener: Opener, generation: int, table: str) -> Sequence[Mapping[str, Any]]:
    connection = await opened_in(opener, generation)
    try:
        return [dict(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")]
    finally:
        await connection.close()


async def test_a_rebuild_takes_the_place_of_the_live_tables_and_their_spoilt_rows_are_gone(
    daemon: Opener, generations: PostgresGenerations, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation_rows, "AT_ONCE", 3)  # so that the events of one order are compared in several parts
    await write(dsn, Sample(5, payments=True).events())
    await project(daemon)
    before = await contents(dsn)
    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE customer_summaries SET orders = 99; DELETE FROM order_views")
    await owner.execute("ALTER TABLE order_views SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)")
    shapes = await owner.fetch(SHAPES)
    built = await generations.request(ORDERS, REBUILD)
    again = await generations.request(ORDERS, REBUILD)
    assert again.id == built.id  # of one group only one rebuild is under way
    await build(daemon, generations, ORDERS, built)
    assert await contents(dsn) == before
    assert await owner.fetch(SHAPES) == shapes  # indexes, options and rights are the same, under the same names
    live = await generations.read(built.id)
    assert live is not None
    assert (live.state, live.position) == ("live", live.head)
    [kept] = [one for one in await generations.newest(limit=10) if one.state == "kept"]
    assert kept.keep_until is not None
    assert await rows_in(daemon, kept.id, "order_views") == []
    assert await generations.drop(kept.id, "dropped")
    assert await owner.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%generation%'") == 0
    assert await owner.fetchval("SELECT count(*) FROM checkpoints WHERE reader LIKE '%@%'") == 0
    assert not await generations.drop(built.id, "dropped")  # the live one cannot be dropped
    await owner.close()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
async def test_a_generation_as_of_a_position_ends_there_and_the_live_tables_stay(
    daemon: Opener, generations: PostgresGenerations, dsn: str, group: Group[Any]
) -> None:
    events = Sample(7, payments=True).events()
    end = len(events) // 2
    await write(dsn, events[:end])
    await project(daemon)
    then = await contents(dsn)
    await write(dsn, events[end:])
    await project(daemon)
    now = await contents(dsn)
    wanted = NewGeneration(purpose="as_of", requested_by="ada", end_position=end)
    asked = await generations.request(group, wanted)
    await build(daemon, generations, group, asked)
    ready = await generations.read(asked.id)
    assert ready is not None
    assert (ready.state, ready.position, ready.note) == ("ready", end, "")
    assert not await without_autovacuum(dsn, asked.id)
    for model in group.models:
        rows = await rows_in(daemon, asked.id, model.name)
        assert sorted(map(str, rows)) == sorted(str(dict(row)) for row in then[model.name])
    assert await contents(dsn) == now


async def test_autovacuum_leaves_tables_alone_while_they_are_filled(generations: PostgresGenerations, dsn: str) -> None:
    asked = await generations.request(ORDERS, REBUILD)
    await generations.make(asked.id)
    assert await without_autovacuum(dsn, asked.id) == {model.name for model in ORDERS.models}


async def without_autovacuum(dsn: str, id_: int) -> set[str]:
    """The tables of a generation that autovacuum leaves alone."""
    owner = await asyncpg.connect(dsn)
    rows = await owner.fetch(WITHOUT_AUTOVACUUM, id_)
    await owner.close()
    return {row["relname"] for row in rows}


WITHOUT_AUTOVACUUM = """
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = quote_ident(place_of_generation($1))::regnamespace
   AND 'autovacuum_enabled=off' = ANY (c.reloptions)
"""


async def test_a_rebuild_that_takes_less_than_a_second_says_how_fast_it_goes(
    daemon: Opener, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []

    class Listening(PostgresGenerations):
        async def tell(self, id_: int, *, rate: float, note: str) -> Generation | None:
            told.append(rate)
            return await super().tell(id_, rate=rate, note=note)

    await write(dsn, Sample(7, payments=True).events()[:30])
    monkeypatch.setattr("core.services.build_generation.TELL_EVERY", 0.45)
    generations = Listening(lambda: connect(of_daemons(dsn), name="test", limits=False))
    wanted = NewGeneration(purpose="as_of", requested_by="ada", end_position=30, max_rate=40)
    asked = await generations.request(ORDERS, wanted)
    await build(daemon, generations, ORDERS, asked)
    generations.close()
    assert max(told) > 1


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(0.0, "99 % of 1,000  makes the indexes"), (61_240.4, "99 % of 1,000, 61,240 ev/s  makes the indexes")],
)
def test_the_line_of_a_rebuild_says_how_fast_it_goes_if_that_is_known(rate: float, shown: str) -> None:
    row = {"group": "stock", "id": 7, "state": "indexing", "position": 990, "end": 1_000, "seconds_left": None}
    assert line_of({**row, "rate": rate, "note": "makes the indexes"}).endswith(shown)


async def test_who_fills_a_generation_that_is_dropped_saves_nothing_in_the_live_tables(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    events = Sample(3, payments=True).events()
    await write(dsn, events)
    await project(daemon)
    before = await contents(dsn)
    asked = await generations.request(ORDERS, REBUILD)
    await generations.make(asked.id)
    read_models = PostgresReadModels(lambda: opened_in(daemon, asked.id), ORDERS, asked.id)
    await read_models.open()
    await generations.drop(asked.id, "cancelled")
    with pytest.raises(CheckpointMoved):
        await read_models.save(
            Changes(
                after=0,
                position=1,
                views=[],
                sums={"customer_summaries": {("x", "USD"): (1, 1, events[0].recorded_at)}},
            )
        )
    with pytest.raises(GenerationGone):
        await read_models.open()
    with pytest.raises(GenerationGone):
        await opened_in(daemon, asked.id)
    read_models.close()
    assert await contents(dsn) == before


async def test_no_daemon_can_move_the_log_out_of_its_place(daemon: Opener, generations: PostgresGenerations) -> None:
    connection = await daemon()
    for table in ("events", "sagas", "checkpoints", "pg_class", "no_such_table"):
        id_ = await connection.fetchval(
            "INSERT INTO generations (reader, tables, revision, purpose, requested_by) "
            "VALUES ('x', ARRAY[$1], '', 'as_of', 'mallory') RETURNING id",
            table,
        )
        with pytest.raises(asyncpg.RaiseError, match="no read model"):
            await connection.execute("SELECT make_generation($1)", id_)
        await connection.execute("UPDATE generations SET state = 'switching' WHERE id = $1", id_)
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("SELECT switch_generation($1, '0 s', '1 s')", id_)
        assert await generations.drop(id_, "failed")
        assert await connection.fetchval("SELECT to_regclass('public.events') IS NOT NULL")
    await connection.close()


async def readers_of_letters(dsn: str) -> list[str]:
    owner = await asyncpg.connect(dsn)
    rows = await owner.fetch("SELECT reader FROM dead_letters ORDER BY reader")
    await owner.close()
    return [row["reader"] for row in rows]


async def test_each_generation_keeps_its_own_dead_letters_over_switches_and_a_rebuild_after_the_mend_has_none(
    daemon: Opener, generations: PostgresGenerations, dsn: str
) -> None:
    log = list(Sample(6).events())
    bad = next(e for e in log if e.event_type == "OrderConfirmed")
    await write(dsn, [replace(e, payload="{}") if e is bad else e for e in log])
    await project(daemon)
    assert await readers_of_letters(dsn) == [ORDERS.reader]
    built = await generations.request(ORDERS, REBUILD)
    await build(daemon, generations, ORDERS, built)
    [kept] = [one for one in await generations.newest(limit=10) if one.state == "kept"]
    assert await readers_of_letters(dsn) == [ORDERS.reader, f"{ORDERS.reader}@{kept.id}"]
    owner = await asyncpg.connect(dsn)
    await owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    await owner.execute("UPDATE events SET payload = $2::text::jsonb WHERE position = $1", bad.position, bad.payload)
    await owner.execute("ALTER TABLE events ENABLE TRIGGER ALL")
    await owner.execute("UPDATE dead_letters SET retry_at = now() WHERE reader = $1", ORDERS.reader)
    await project(daemon)  # only what is read now is mended
    assert await readers_of_letters(dsn) == [f"{ORDERS.reader}@{kept.id}"]
    mended = await contents(dsn)
    assert await generations.switch_back(ORDERS.reader)
    back = await generations.read(kept.id)
    assert back is not None
    await build(daemon, generations, ORDERS, back)
    assert await readers_of_letters(dsn) == [ORDERS.reader]  # the row waits in these tables again, and says so
    assert await contents(dsn) != mended
    again = await generations.request(ORDERS, REBUILD)
    await build(daemon, generations, ORDERS, again)
    assert ORDERS.reader not in await readers_of_letters(dsn)
    assert await contents(dsn) == mended
    for one in await generations.newest(limit=10):
        if one.state == "kept":
            await generations.drop(one.id, "dropped")
    assert await readers_of_letters(dsn) == []
    await owner.close()


async def test_a_second_rebuild_that_asks_for_another_rate_or_a_fuller_check_is_refused(
    daemon: Opener, generations: PostgresGenerations
) -> None:
    store = PostgresEventStore(daemon)
    desk = RebuildDesk(store, generations, RealClock())

    async def ask(**options: Any) -> None:
        await act_on_group(desk, "orders", RebuildWish.START, "", Terms(), **options)

    await ask(max_rate=5_000)
    await ask()
    await ask(max_rate=5_000)
    for options in ({"max_rate": 900}, {"check_all": True}):
        with pytest.raises(NotAllowed, match="its rate and check stay as they are"):
            await ask(**options)
    await store.close()
