"""The contract of snapshots: a load gets the newest one that the log bears out, and no older one replaces it."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest

from core.adapters.memory import snapshots as in_memory
from core.adapters.postgres import snapshots as in_postgres
from core.errors import UnknownEvent
from core.ports.snapshots import Snapshot
from tests.support.log import stream
from tests.support.log_under_test import LogUnderTest
from tests.support.stock import AT, receipts, record

OURS, OTHER = b"ours", b"other"


def snapshot(version: int, schema_hash: bytes = OURS) -> Snapshot:
    return Snapshot(AT, "inventory", version, schema_hash, f"state {version}")


async def read(log: LogUnderTest, *, after: int = 0, schema_hash: bytes | None = OURS) -> tuple[str | None, list[int]]:
    """The state that a load starts from, and the versions of the events that it is given."""
    page = await log.store.snapshots.load(AT, after=after, schema_hash=schema_hash)
    return page.state, [*range(page.version - len(page.events) + 1, page.version + 1)]


@pytest.fixture(autouse=True)
async def five_receipts(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_postgres, "PAUSE", 0)
    await record(log.store, receipts(5))


# --- reading ------------------------------------------------------------------------------------------------
async def test_loading_a_stream_starts_from_its_snapshot(log: LogUnderTest) -> None:
    assert await read(log) == (None, [1, 2, 3, 4, 5])
    await log.keep(snapshot(3))
    assert await read(log) == ("state 3", [4, 5])
    assert await read(log, after=2) == ("state 3", [4, 5])
    page = await log.store.snapshots.load(AT, after=0, schema_hash=OURS)
    assert (page.version, page.position, page.more) == (5, 5, False)
    assert [recorded.event for recorded in await log.store.load(AT, after=3)] == list(page.events)


async def test_a_load_gets_no_snapshot_that_is_older_than_what_the_reader_has(log: LogUnderTest) -> None:
    await log.keep(snapshot(3))
    assert await read(log, after=3) == (None, [4, 5])
    assert await read(log, after=4) == (None, [5])


async def test_loading_a_stream_without_new_events_answers_the_version_the_caller_already_has(
    log: LogUnderTest,
) -> None:
    for at, after in ((AT, 5), (AT, 7), (stream(), 0)):
        page = await log.store.snapshots.load(at, after=after, schema_hash=OURS)
        assert (page.state, list(page.events), page.version, page.position, page.more) == (None, [], after, 0, False)


async def test_a_load_gets_a_snapshot_of_the_last_event_and_no_events(log: LogUnderTest) -> None:
    await log.keep(snapshot(5))
    page = await log.store.snapshots.load(AT, after=0, schema_hash=OURS)
    assert (page.state, list(page.events), page.version, page.position, page.more) == ("state 5", [], 5, 5, False)


async def test_a_load_gets_no_snapshot_with_another_hash(log: LogUnderTest) -> None:
    await log.keep(snapshot(3))
    for schema_hash in (OTHER, None):
        assert await read(log, schema_hash=schema_hash) == (None, [1, 2, 3, 4, 5])


async def test_a_load_gets_no_snapshot_that_is_ahead_of_the_log(log: LogUnderTest) -> None:
    """As after the log was restored from a dump, and the snapshots were not."""
    await log.keep(snapshot(5))
    await log.cut_off(after=3)
    assert await read(log) == (None, [1, 2, 3])
    await record(log.store, receipts(2), after=3)  # other events come to the same versions and positions
    assert await read(log) == (None, [1, 2, 3, 4, 5])


async def test_a_long_stream_is_loaded_in_pages(log: LogUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    for adapter in (in_postgres, in_memory):
        monkeypatch.setattr(adapter, "PAGE", 2)
    pages = [await log.store.snapshots.load(AT, after=after, schema_hash=OURS) for after in (0, 2, 4)]
    assert [(len(page.events), page.version, page.position, page.more) for page in pages] == [
        (2, 2, 2, True),
        (2, 4, 4, True),
        (1, 5, 5, False),
    ]
    await log.keep(snapshot(1))
    page = await log.store.snapshots.load(AT, after=0, schema_hash=OURS)
    assert (page.state, len(page.events), page.version, page.more) == ("state 1", 2, 3, True)


async def test_streams_that_are_loaded_at_once_each_get_their_own_page(log: LogUnderTest) -> None:
    others = [stream() for _ in range(40)]
    for n, at in enumerate(others, 1):
        await record(log.store, receipts(n % 3), at=at)
    await log.keep(snapshot(4))
    loads = [log.store.snapshots.load(at, after=0, schema_hash=OURS) for at in (AT, *others)]
    pages = await asyncio.gather(*loads, log.store.snapshots.load(AT, after=0, schema_hash=OTHER))
    assert (pages[0].state, len(pages[0].events)) == ("state 4", 1)
    assert [len(page.events) for page in pages[1:-1]] == [n % 3 for n in range(1, 41)]
    assert (pages[-1].state, len(pages[-1].events)) == (None, 5)


async def test_a_stream_with_an_event_of_unknown_type_is_refused_and_all_others_are_read(log: LogUnderTest) -> None:
    other = stream()
    await record(log.store, receipts(1), at=other)
    await log.write_elsewhere(other, event_type="StockFrozen")
    loads = [log.store.snapshots.load(at, after=0, schema_hash=OURS) for at in (AT, other)]
    ours, theirs = await asyncio.gather(*loads, return_exceptions=True)
    assert isinstance(theirs, UnknownEvent)
    assert not isinstance(ours, BaseException)
    assert len(ours.events) == 5


# --- keeping ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("versions", permutations([2, 3, 4]))
async def test_the_store_keeps_the_newest_snapshot_in_whatever_order_snapshots_are_written(
    log: LogUnderTest, versions: tuple[int, ...]
) -> None:
    await log.keep(*map(snapshot, versions))
    assert await read(log) == ("state 4", [5])


async def test_a_snapshot_with_another_hash_replaces_a_newer_one(log: LogUnderTest) -> None:
    await log.keep(snapshot(4), snapshot(2, OTHER))
    assert await read(log) == (None, [1, 2, 3, 4, 5])
    assert await read(log, schema_hash=OTHER) == ("state 2", [3, 4, 5])


async def test_an_older_snapshot_replaces_one_that_is_ahead_of_the_log(log: LogUnderTest) -> None:
    await log.keep(snapshot(5))
    await log.cut_off(after=3)
    await log.keep(snapshot(2))
    assert await read(log) == ("state 2", [3])


async def test_the_store_keeps_no_snapshot_of_a_version_that_the_log_does_not_have(log: LogUnderTest) -> None:
    await log.keep(snapshot(3), snapshot(6))
    assert await read(log) == ("state 3", [4, 5])
    await record(log.store, receipts(1), after=5)
    assert await read(log) == ("state 3", [4, 5, 6])


async def test_a_deleted_snapshot_is_gone_until_the_next_one_is_written(log: LogUnderTest) -> None:
    await log.keep(snapshot(4))
    await log.store.snapshots.forget(AT)
    assert await read(log) == (None, [1, 2, 3, 4, 5])
    await log.keep(snapshot(2))
    assert await read(log) == ("state 2", [3, 4, 5])
