"""How PostgreSQL stores snapshots: in the background, many streams in one statement, from several processes."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest
from structlog.testing import capture_logs

from core.adapters.postgres import snapshots as in_postgres
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import PostgresEventStore
from core.fault_board import FaultBoard
from core.ports.snapshots import Snapshot
from tests.support.log import stream
from tests.support.opener import Opener
from tests.support.stock import AT, receipts, record, wait_for_snapshots

OURS, OTHER = b"ours", b"other"


def snapshot(version: int, schema_hash: bytes = OURS) -> Snapshot:
    return Snapshot(AT, "inventory", version, schema_hash, f"state {version}")


async def write_each(store: PostgresEventStore, *snapshots: Snapshot) -> None:
    """Write the snapshots one after the other, and wait for each."""
    for each in snapshots:
        store.snapshots.keep(each)
        await wait_for_snapshots(store)


async def read(
    store: PostgresEventStore, *, after: int = 0, schema_hash: bytes | None = OURS
) -> tuple[str | None, list[int]]:
    """The state that a load starts from, and the versions of the events that it is given."""
    page = await store.snapshots.load(AT, after=after, schema_hash=schema_hash)
    return page.state, [*range(page.version - len(page.events) + 1, page.version + 1)]


@pytest.fixture(autouse=True)
async def five_receipts(store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_postgres, "PAUSE", 0)
    await record(store, receipts(5))


async def test_three_processes_that_write_at_once_never_replace_a_newer_snapshot_by_an_older_one(
    opener: Opener, store: PostgresEventStore
) -> None:
    await record(store, receipts(60), after=5)
    stores = [PostgresEventStore(opener) for _ in range(3)]

    async def write(by: PostgresEventStore, seed: int) -> None:
        for version in random.Random(seed).sample(range(1, 66), 40):
            await write_each(by, snapshot(version))

    async def watch(writing: asyncio.Task[list[None]]) -> list[int]:
        seen: list[int] = []
        while not writing.done():
            state, _ = await read(store)
            seen.append(int(state.removeprefix("state ")) if state else 0)
        return seen

    writing = asyncio.ensure_future(asyncio.gather(*(write(by, seed) for seed, by in enumerate(stores))))
    seen = await watch(writing)  # type: ignore[arg-type]
    await writing
    assert seen == sorted(seen)
    highest = max(max(random.Random(seed).sample(range(1, 66), 40)) for seed in range(3))
    assert (await read(store))[0] == f"state {highest}"
    for by in stores:
        await by.close()


async def test_snapshots_of_many_streams_are_written_together(store: PostgresEventStore, admin: Connection) -> None:
    streams = [stream() for _ in range(in_postgres.TOGETHER)]
    for at in streams:
        await record(store, receipts(1), at=at)
        store.snapshots.keep(Snapshot(at, "inventory", 1, OURS, "state 1"))
    await wait_for_snapshots(store)
    assert await admin.fetchval("SELECT count(*) FROM snapshots") == len(streams)
    store.snapshots.keep(snapshot(1))
    store.snapshots.keep(snapshot(2))  # takes the place of the one that waits
    await wait_for_snapshots(store)
    assert await read(store) == ("state 2", [3, 4, 5])


async def test_a_snapshot_that_cannot_be_written_is_logged_and_dropped(
    store: PostgresEventStore, admin: Connection
) -> None:
    await admin.execute("ALTER TABLE snapshots ADD CONSTRAINT full_disk CHECK (version < 0)")
    with capture_logs() as logs:
        await write_each(store, snapshot(3))
    assert [entry["event"] for entry in logs] == ["snapshots not written"]
    assert await read(store) == (None, [1, 2, 3, 4, 5])
    await admin.execute("ALTER TABLE snapshots DROP CONSTRAINT full_disk")
    await write_each(store, snapshot(3))
    assert await read(store) == ("state 3", [4, 5])


async def test_the_store_writes_a_waiting_snapshot_before_it_closes(opener: Opener, store: PostgresEventStore) -> None:
    other, before = PostgresEventStore(opener), asyncio.all_tasks()
    other.snapshots.keep(snapshot(3))
    await other.close()
    assert asyncio.all_tasks() == before
    assert await read(store) == ("state 3", [4, 5])


async def test_a_daemons_role_may_delete_snapshots_and_no_events(opener: Opener, store: PostgresEventStore) -> None:
    await write_each(store, snapshot(3))
    daemon = await opener()
    assert await daemon.fetchval("SELECT current_user") == "orderdeck_app"
    assert await daemon.execute("DELETE FROM snapshots") == "DELETE 1"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await daemon.execute("DELETE FROM events")
    await daemon.close()


async def test_a_store_without_the_right_to_write_snapshots_logs_it_once_and_writes_them_after_the_repair(
    opener: Opener, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_postgres, "PAUSE_AFTER_FAULT", 0.05)
    board = FaultBoard()
    writer = PostgresEventStore(opener, board)
    await admin.execute("ALTER TABLE snapshots RENAME COLUMN state TO away")
    with capture_logs() as logs:
        writer.snapshots.keep(snapshot(3))
        async with asyncio.timeout(10):
            while board.reason is None:
                await asyncio.sleep(0.01)
        assert "undefined column" in board.reason
        assert "writing snapshots" in board.reason
        await asyncio.sleep(0.2)  # a few more tries
        await admin.execute("ALTER TABLE snapshots RENAME COLUMN away TO state")
        async with asyncio.timeout(10):
            while board.reason is not None:
                await asyncio.sleep(0.01)
    assert [entry["event"] for entry in logs] == ["meets a fault", "works again"]
    assert await admin.fetchval("SELECT state FROM snapshots") == "state 3"
    await writer.close()
