"""The snapshots' contract: the newest one that the log bears out, and never an older one in its place."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest
from structlog.testing import capture_logs

from core.adapters.postgres import snapshots as module
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import PostgresEventStore
from core.errors import UnknownEvent
from core.ports.snapshots import Snapshot
from tests.support.log import stream
from tests.support.opener import Opener
from tests.support.stock import AT, receipts, record, settled

OURS, OTHER = b"ours", b"other"


def snapshot(version: int, schema_hash: bytes = OURS) -> Snapshot:
    return Snapshot(AT, "inventory", version, schema_hash, f"state {version}")


async def kept(store: PostgresEventStore, *snapshots: Snapshot) -> None:
    """Each written by itself, in this order."""
    for each in snapshots:
        store.snapshots.keep(each)
        await settled(store)


async def given(
    store: PostgresEventStore, *, after: int = 0, schema_hash: bytes | None = OURS
) -> tuple[str | None, list[int]]:
    """The state that a load starts from, and the versions of the events it is given."""
    page = await store.snapshots.load(AT, after=after, schema_hash=schema_hash)
    return page.state, [*range(page.version - len(page.events) + 1, page.version + 1)]


@pytest.fixture(autouse=True)
async def five_receipts(store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0)
    await record(store, receipts(5))


# --- reading ------------------------------------------------------------------------------------------------
async def test_a_load_starts_from_the_snapshot(store: PostgresEventStore) -> None:
    assert await given(store) == (None, [1, 2, 3, 4, 5])
    await kept(store, snapshot(3))
    assert await given(store) == ("state 3", [4, 5])
    assert await given(store, after=2) == ("state 3", [4, 5])
    page = await store.snapshots.load(AT, after=0, schema_hash=OURS)
    assert (page.version, page.position, page.more) == (5, 5, False)


async def test_a_snapshot_that_says_nothing_new_is_not_given(store: PostgresEventStore) -> None:
    await kept(store, snapshot(3))
    assert await given(store, after=3) == (None, [4, 5])
    assert await given(store, after=5) == (None, [])


async def test_a_snapshot_of_the_last_event_is_all_there_is_to_read(store: PostgresEventStore) -> None:
    await kept(store, snapshot(5))
    page = await store.snapshots.load(AT, after=0, schema_hash=OURS)
    assert (page.state, page.events, page.version, page.position, page.more) == ("state 5", [], 5, 5, False)


async def test_other_code_is_not_given_ours(store: PostgresEventStore) -> None:
    await kept(store, snapshot(3))
    for schema_hash in (OTHER, None):
        assert await given(store, schema_hash=schema_hash) == (None, [1, 2, 3, 4, 5])


async def test_a_snapshot_ahead_of_the_log_is_not_given(store: PostgresEventStore, admin: Connection) -> None:
    """As after the log was restored from a dump, and the snapshots were not."""
    await kept(store, snapshot(5))
    await cut_off(admin, after=3)
    assert await given(store) == (None, [1, 2, 3])
    await record(store, receipts(2), after=3)  # the log goes on otherwise, to the same version and position
    assert await given(store) == (None, [1, 2, 3, 4, 5])


async def cut_off(admin: Connection, *, after: int) -> None:
    await admin.execute("ALTER TABLE events DISABLE TRIGGER events_are_facts")
    await admin.execute("DELETE FROM events WHERE version > $1", after)
    await admin.execute("ALTER TABLE events ENABLE TRIGGER events_are_facts")


async def test_a_long_stream_comes_in_pages(store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    pages = [await store.snapshots.load(AT, after=after, schema_hash=OURS) for after in (0, 2, 4)]
    assert [(len(page.events), page.version, page.more) for page in pages] == [
        (2, 2, True),
        (2, 4, True),
        (1, 5, False),
    ]
    await kept(store, snapshot(1))
    page = await store.snapshots.load(AT, after=0, schema_hash=OURS)
    assert (page.state, len(page.events), page.version, page.more) == ("state 1", 2, 3, True)


async def test_streams_that_are_read_together_are_each_given_their_own(store: PostgresEventStore) -> None:
    others = [stream() for _ in range(40)]
    for n, at in enumerate(others, 1):
        await record(store, receipts(n % 3), at=at)
    await kept(store, snapshot(4))
    loads = [store.snapshots.load(at, after=0, schema_hash=OURS) for at in (AT, *others)]
    pages = await asyncio.gather(*loads, store.snapshots.load(AT, after=0, schema_hash=OTHER))
    assert (pages[0].state, len(pages[0].events)) == ("state 4", 1)
    assert [len(page.events) for page in pages[1:-1]] == [n % 3 for n in range(1, 41)]
    assert (pages[-1].state, len(pages[-1].events)) == (None, 5)


async def test_an_event_that_is_not_known_is_refused_only_to_its_readers(
    store: PostgresEventStore, admin: Connection
) -> None:
    other = stream()
    await record(store, receipts(1), at=other)
    await admin.execute("ALTER TABLE events DISABLE TRIGGER events_are_facts")
    await admin.execute("UPDATE events SET event_type = 'StockFrozen' WHERE stream_id = $1", other)
    loads = [store.snapshots.load(at, after=0, schema_hash=OURS) for at in (AT, other)]
    ours, theirs = await asyncio.gather(*loads, return_exceptions=True)
    assert isinstance(theirs, UnknownEvent)
    assert not isinstance(ours, BaseException)
    assert len(ours.events) == 5


# --- keeping ------------------------------------------------------------------------------------------------
async def test_an_older_writer_does_not_replace_a_newer_one(store: PostgresEventStore) -> None:
    await kept(store, snapshot(4), snapshot(2))
    assert await given(store) == ("state 4", [5])


async def test_many_writers_never_move_one_back(opener: Opener, store: PostgresEventStore) -> None:
    await record(store, receipts(60), after=5)
    stores = [PostgresEventStore(opener) for _ in range(3)]

    async def write(by: PostgresEventStore, seed: int) -> None:
        for version in random.Random(seed).sample(range(1, 66), 40):
            await kept(by, snapshot(version))

    async def watch(writing: asyncio.Task[list[None]]) -> list[int]:
        seen: list[int] = []
        while not writing.done():
            state, _ = await given(store)
            seen.append(int(state.removeprefix("state ")) if state else 0)
        return seen

    writing = asyncio.ensure_future(asyncio.gather(*(write(by, seed) for seed, by in enumerate(stores))))
    seen = await watch(writing)  # type: ignore[arg-type]
    await writing
    assert seen == sorted(seen)
    highest = max(max(random.Random(seed).sample(range(1, 66), 40)) for seed in range(3))
    assert (await given(store))[0] == f"state {highest}"
    for by in stores:
        await by.close()


async def test_other_code_takes_the_place_over(store: PostgresEventStore) -> None:
    await kept(store, snapshot(4), snapshot(2, OTHER))
    assert await given(store) == (None, [1, 2, 3, 4, 5])
    assert await given(store, schema_hash=OTHER) == ("state 2", [3, 4, 5])


async def test_one_that_is_ahead_of_the_log_is_replaced(store: PostgresEventStore, admin: Connection) -> None:
    await kept(store, snapshot(5))
    await cut_off(admin, after=3)
    await kept(store, snapshot(2))
    assert await given(store) == ("state 2", [3])


async def test_a_state_of_a_version_that_the_log_has_not_is_not_kept(store: PostgresEventStore) -> None:
    await kept(store, snapshot(6))
    await record(store, receipts(1), after=5)
    assert await given(store) == (None, [1, 2, 3, 4, 5, 6])


async def test_a_forgotten_one_is_gone_until_the_next(store: PostgresEventStore) -> None:
    await kept(store, snapshot(4))
    await store.snapshots.forget(AT)
    assert await given(store) == (None, [1, 2, 3, 4, 5])
    await kept(store, snapshot(2))
    assert await given(store) == ("state 2", [3, 4, 5])


async def test_many_streams_are_written_in_one_statement(store: PostgresEventStore, admin: Connection) -> None:
    streams = [stream() for _ in range(module.TOGETHER)]
    for at in streams:
        await record(store, receipts(1), at=at)
        store.snapshots.keep(Snapshot(at, "inventory", 1, OURS, "state 1"))
    await settled(store)
    assert await admin.fetchval("SELECT count(*) FROM snapshots") == len(streams)
    store.snapshots.keep(snapshot(1))
    store.snapshots.keep(snapshot(2))  # takes the place of the one that waits
    await settled(store)
    assert await given(store) == ("state 2", [3, 4, 5])


async def test_what_cannot_be_written_is_logged_and_forgotten(store: PostgresEventStore, admin: Connection) -> None:
    await admin.execute("ALTER TABLE snapshots ADD CONSTRAINT full_disk CHECK (version < 0)")
    with capture_logs() as logs:
        await kept(store, snapshot(3))
    assert [entry["event"] for entry in logs] == ["snapshots not written"]
    assert await given(store) == (None, [1, 2, 3, 4, 5])
    await admin.execute("ALTER TABLE snapshots DROP CONSTRAINT full_disk")
    await kept(store, snapshot(3))
    assert await given(store) == ("state 3", [4, 5])


async def test_what_waits_is_written_before_the_store_closes(opener: Opener, store: PostgresEventStore) -> None:
    other, before = PostgresEventStore(opener), asyncio.all_tasks()
    other.snapshots.keep(snapshot(3))
    await other.close()
    assert asyncio.all_tasks() == before
    assert await given(store) == ("state 3", [4, 5])


async def test_a_daemon_may_empty_the_snapshots_but_not_the_log(opener: Opener, store: PostgresEventStore) -> None:
    await kept(store, snapshot(3))
    daemon = await opener()
    assert await daemon.fetchval("SELECT current_user") == "orderdeck_app"
    assert await daemon.execute("DELETE FROM snapshots") == "DELETE 1"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await daemon.execute("DELETE FROM events")
    await daemon.close()
