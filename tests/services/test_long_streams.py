"""A long stream is folded once: later loads start from a snapshot, and whatever that holds, the state is the log's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.adapters.postgres import snapshots as adapter
from core.adapters.postgres.connection import Connection
from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.inventory import INVENTORY, InventoryEvent, ReceiveStock, Stock
from core.domain.message import Sku, inventory_stream
from core.domain.order import ORDER
from core.ports.log import Result
from core.ports.snapshots import StreamPage
from core.services import snapshots as service
from core.services.execute import Terms, execute
from core.services.load import Loaded, StateCache, load_state
from core.services.snapshots import EVERY, schema_hash
from tests.support.order_desk import Desk, now
from tests.support.stock import AT, SKU, history, receipts, record, some_moves, wait_for_snapshots

LONG = history(some_moves(400))


@pytest.fixture
def page_sizes(store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of events of each page that was read."""
    pages: list[int] = []
    load = store.snapshots.load

    async def load_and_count(*given: Any, **named: Any) -> StreamPage:
        page = await load(*given, **named)
        pages.append(len(page.events))
        return page

    monkeypatch.setattr(store.snapshots, "load", load_and_count)
    return pages


async def load_as_a_new_process(store: PostgresEventStore) -> Loaded[Stock]:
    """Load the stream as a process that has just started, and wait until its snapshots are written."""
    found = await load_state(store, INVENTORY, AT)
    await wait_for_snapshots(store)
    return found


async def stored_snapshot(admin: Connection) -> tuple[int, str] | None:
    row = await admin.fetchrow("SELECT version, state FROM snapshots WHERE stream_id = $1", AT)
    return (row["version"], row["state"]) if row else None


def is_all_of(events: list[InventoryEvent], found: Loaded[Stock]) -> bool:
    return (found.state, found.version, found.position) == (INVENTORY.fold(events), len(events), len(events))


# --- loading ------------------------------------------------------------------------------------------------
async def test_the_first_load_of_a_stream_folds_every_event_and_the_next_load_none(
    store: PostgresEventStore, admin: Connection, page_sizes: list[int]
) -> None:
    await record(store, LONG)
    assert is_all_of(LONG, await load_as_a_new_process(store))
    assert (await stored_snapshot(admin) or (0,))[0] == len(LONG)
    assert is_all_of(LONG, await load_as_a_new_process(store))
    assert page_sizes == [len(LONG), 0]


async def test_loading_from_any_snapshot_gives_the_same_state(
    store: PostgresEventStore, admin: Connection, page_sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "PAUSE", 0)
    events, kept_at = LONG[:120], set[int]()
    for version, event in enumerate(events, 1):
        await record(store, [event], after=version - 1)
        assert is_all_of(events[:version], await load_as_a_new_process(store))
        kept_at.add((await stored_snapshot(admin) or (0,))[0])
    assert len(kept_at) > 3
    assert max(page_sizes) < 2 * EVERY


async def test_a_short_stream_gets_no_snapshot(store: PostgresEventStore, admin: Connection) -> None:
    await record(store, receipts(EVERY - 1))
    assert is_all_of(receipts(EVERY - 1), await load_as_a_new_process(store))
    assert await stored_snapshot(admin) is None
    await record(store, receipts(1), after=EVERY - 1)
    await load_as_a_new_process(store)
    assert (await stored_snapshot(admin) or (0,))[0] == EVERY


async def test_an_order_gets_no_snapshot(
    desk: Desk, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.snapshots, "load", None)
    order = await desk.place()
    assert (await load_state(store, ORDER, inventory_stream(Sku(str(order))))).version == 0


async def test_a_load_of_a_stream_longer_than_a_page_writes_snapshots_on_the_way(
    store: PostgresEventStore, admin: Connection, page_sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "PAGE", 100)
    monkeypatch.setattr(adapter, "PAUSE", 0)
    await record(store, LONG)
    half = asyncio.create_task(load_state(store, INVENTORY, AT))
    async with asyncio.timeout(60):
        while len(page_sizes) < 2:
            await asyncio.sleep(0)
    half.cancel()  # a caller that gave up, a daemon that was stopped
    await asyncio.gather(half, return_exceptions=True)
    await wait_for_snapshots(store)
    assert 100 <= (await stored_snapshot(admin) or (0,))[0] < len(LONG)
    before = sum(page_sizes)
    assert is_all_of(LONG, await load_as_a_new_process(store))
    assert sum(page_sizes) - before <= len(LONG) - 100
    assert max(page_sizes) == 100


# --- what is not believed -----------------------------------------------------------------------------------
async def test_a_load_ignores_a_snapshot_of_another_revision_and_replaces_it(
    store: PostgresEventStore, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(stock: Stock, event: InventoryEvent) -> Stock:
        return stock

    await record(store, LONG)
    assert INVENTORY.snapshot
    former = replace(INVENTORY.snapshot, revision=INVENTORY.snapshot.revision - 1)
    older = replace(INVENTORY, evolve=forgetful, snapshot=former)
    await load_state(store, older, AT)
    await wait_for_snapshots(store)
    wrong = await stored_snapshot(admin)
    assert wrong
    assert '"available":0' in wrong[1]
    assert schema_hash(older) != schema_hash(INVENTORY)
    assert is_all_of(LONG, await load_as_a_new_process(store))
    right = await stored_snapshot(admin)
    assert right
    assert right != wrong
    assert is_all_of(LONG, await load_as_a_new_process(store))


@pytest.mark.parametrize("garbage", ["{}", "", "\x01", '{"known":true,"available":-1,"held":{}}'])
async def test_a_load_ignores_an_unreadable_snapshot_logs_it_once_and_replaces_it(
    store: PostgresEventStore, admin: Connection, page_sizes: list[int], garbage: str
) -> None:
    await record(store, LONG)
    await load_as_a_new_process(store)
    right = await stored_snapshot(admin)
    await admin.execute("UPDATE snapshots SET state = $1", garbage)
    with capture_logs() as logs:
        assert is_all_of(LONG, await load_as_a_new_process(store))
        assert await stored_snapshot(admin) == right
        assert is_all_of(LONG, await load_as_a_new_process(store))
    assert [entry["event"] for entry in logs] == ["unreadable snapshot ignored"]
    assert page_sizes[-2:] == [len(LONG), 0]


async def test_an_unreadable_snapshot_that_cannot_be_deleted_stops_no_load(
    store: PostgresEventStore, admin: Connection
) -> None:
    await record(store, LONG)
    await load_as_a_new_process(store)
    await admin.execute("UPDATE snapshots SET state = 'garbage'")
    await admin.execute("REVOKE DELETE ON snapshots FROM orderdeck_app")
    assert is_all_of(LONG, await load_as_a_new_process(store))


async def test_without_snapshots_a_load_gives_the_same_state_from_more_events(
    store: PostgresEventStore, admin: Connection, page_sizes: list[int]
) -> None:
    await record(store, LONG)
    with_them = [await load_as_a_new_process(store), await load_as_a_new_process(store)]
    await admin.execute("DELETE FROM snapshots")
    without = await load_as_a_new_process(store)
    assert [(each.state, each.version, each.position) for each in with_them] == [
        (without.state, without.version, without.position)
    ] * 2
    assert page_sizes == [len(LONG), 0, len(LONG)]


async def test_the_log_refuses_a_decision_on_an_outdated_state_by_its_version(
    store: PostgresEventStore, admin: Connection
) -> None:
    """Two desks, one of which read before the other wrote: what the snapshots say makes no difference."""
    await record(store, receipts(40))
    await load_as_a_new_process(store)
    caches = [StateCache[Stock](store, INVENTORY) for _ in range(2)]
    for cache in caches:
        await cache.latest(AT)
    for n in range(4):
        command = ReceiveStock(now=now(), sku=SKU, quantity=1)
        outcome = await execute(
            store, INVENTORY, AT, command, Terms(), lambda s: (Result.CREATED, {"available": s.available}),
            correlation_id=AT, cache=caches[n % 2],
        )  # fmt: skip
        assert (outcome.answer.fields["available"], outcome.answer.version) == (41 + n, 41 + n)


# --- keeping by who appends ---------------------------------------------------------------------------------
async def test_a_desk_that_appends_writes_snapshots_as_the_stream_grows(
    desk: Desk, store: PostgresEventStore, admin: Connection, page_sizes: list[int]
) -> None:
    await desk.stock(LONG=1_000)
    async with desk.running():
        orders = [await desk.place(LONG=1) for _ in range(EVERY + 8)]
        for order in orders:
            assert await desk.ended(order) == "SagaCompleted"
    await wait_for_snapshots(store)
    assert (await stored_snapshot(admin) or (0,))[0] >= EVERY
    before = len(page_sizes)
    found = await load_state(store, INVENTORY, AT)
    assert (found.state.available, len(found.state.held)) == (1_000 - len(orders), len(orders))
    assert page_sizes[before:]
    assert sum(page_sizes[before:]) < EVERY


async def test_a_load_that_folds_few_events_writes_no_snapshot(
    store: PostgresEventStore, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(store, LONG)
    await load_as_a_new_process(store)
    await record(store, receipts(5), after=len(LONG))
    taken: list[int] = []
    monkeypatch.setattr(store.snapshots, "keep", lambda snapshot: taken.append(snapshot.version))
    await load_as_a_new_process(store)
    assert taken == []
    await record(store, receipts(2 * EVERY), after=len(LONG) + 5)
    await load_as_a_new_process(store)
    assert taken == [len(LONG) + 5 + 2 * EVERY]


async def test_a_snapshot_is_written_once_for_a_fixed_number_of_events(
    store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(store.snapshots, "keep", lambda snapshot: taken.append(snapshot.version))
    monkeypatch.setattr(service, "BYTES_AN_EVENT", 10_000)
    cache, known = StateCache[Stock](store, INVENTORY), Loaded(INVENTORY.initial, 0, 0)
    for version, event in enumerate(LONG[:200], 1):
        known = Loaded(INVENTORY.evolve(known.state, event), version, 0, known.due)
        cache.put(AT, known)
        [known] = await cache.recent([AT])
    assert taken == list(range(EVERY, 201, EVERY))
