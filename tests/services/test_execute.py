"""Execute on a real log: of two commands the one that appends first wins, and the other decides again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from core.adapters.postgres.event_store import PostgresEventStore
from core.domain.inventory import INVENTORY, ReceiveStock, Stock
from core.domain.message import OrderId, Sku, StreamId, inventory_stream
from core.domain.order import ORDER, CancelOrder, ConfirmOrder, DeliverOrder, OrderCommand, ShipOrder
from core.errors import InvalidInput, KeyReused, NotAllowed, PreconditionFailed, Unavailable, VersionConflict
from core.ports.log import Append, Conflict, Entry, IdempotencyKey, Result, Verdict
from core.services import execute as service
from core.services.execute import Outcome, ReadGuards, Terms, execute
from core.services.load import StateCache
from core.services.ship import ship
from tests.support.log import append, entry, stream
from tests.support.order_desk import Desk, now


def answer(order: Any) -> tuple[Result, Mapping[str, Any]]:
    return Result.DONE, {"status": order.status}


async def do(
    store: Any, command: OrderCommand, terms: Terms | None = None, read_guards: ReadGuards | None = None
) -> Outcome:
    at = StreamId(command.order_id)
    return await execute(
        store, ORDER, at, command, terms or Terms(), answer, correlation_id=at, read_guards=read_guards
    )


class Meddled:
    """The store, where somebody else appends just before each of our own first appends."""

    def __init__(self, store: PostgresEventStore, meddle: Sequence[Callable[[], Awaitable[object]]]) -> None:
        self._store = store
        self._meddle = list(meddle)
        self.appends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, wish: Append) -> Verdict:
        self.appends += 1
        if self._meddle:
            await self._meddle.pop(0)()
        return await self._store.append(wish)


async def test_a_command_that_loses_a_race_is_decided_again(desk: Desk, store: PostgresEventStore) -> None:
    order = await desk.place()
    meddled = Meddled(store, [lambda: do(store, ConfirmOrder(now=now(), order_id=order))])
    outcome = await do(meddled, CancelOrder(now=now(), order_id=order, reason="x"))
    assert (meddled.appends, outcome.answer.version) == (2, 3)
    assert await desk.domain(order) == ["OrderCreated", "OrderConfirmed", "OrderCancelled"]


async def test_a_command_that_loses_a_race_may_be_already_done_or_no_longer_allowed(
    desk: Desk, store: PostgresEventStore
) -> None:
    order = await desk.place()
    confirm = ConfirmOrder(now=now(), order_id=order)
    done = await do(Meddled(store, [lambda: do(store, confirm)]), confirm)
    assert (done.answer.version, done.answer.fields["status"], done.answer.position) == (2, "CONFIRMED", 2)
    order = await desk.place()
    cancel = CancelOrder(now=now(), order_id=order, reason="x")
    with pytest.raises(NotAllowed):
        await do(Meddled(store, [lambda: do(store, cancel)]), ConfirmOrder(now=now(), order_id=order))


async def test_a_command_whose_guarded_stream_changed_is_decided_again(desk: Desk, store: PostgresEventStore) -> None:
    order, guarded = await desk.place(), stream()

    async def guards() -> Sequence[Entry]:
        return [Entry(guarded, "inventory", len(await store.load(guarded)))]

    meddled = Meddled(store, [lambda n=n: store.append(append(entry(guarded, n))) for n in range(2)])
    outcome = await do(meddled, ConfirmOrder(now=now(), order_id=order), read_guards=guards)
    assert (meddled.appends, outcome.answer.version) == (3, 2)


async def test_a_conflict_names_the_stream_that_another_writer_moved(
    desk: Desk, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "KEEP_TRYING", -1.0)
    order, guarded = await desk.place(), stream()

    async def guards() -> Sequence[Entry]:
        return [Entry(guarded, "inventory", 0)]

    meddled = Meddled(store, [lambda: store.append(append(entry(guarded)))])
    with pytest.raises(VersionConflict) as error:
        await do(meddled, ConfirmOrder(now=now(), order_id=order), read_guards=guards)
    assert (error.value.stream, error.value.expected, error.value.actual) == (guarded, 0, 1)


async def test_a_command_with_an_expected_version_that_loses_a_race_is_refused(
    desk: Desk, store: PostgresEventStore
) -> None:
    order = await desk.place()
    meddled = Meddled(store, [lambda: do(store, ConfirmOrder(now=now(), order_id=order))])
    with pytest.raises(PreconditionFailed) as error:
        await do(meddled, CancelOrder(now=now(), order_id=order, reason="x"), Terms(expected=1))
    assert error.value.actual == 2


async def test_a_command_that_loses_every_race_gives_up_after_a_while(
    desk: Desk, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "KEEP_TRYING", 1.0)
    order = await desk.place()

    class Unlucky(Meddled):
        async def append(self, wish: Append) -> Verdict:
            self.appends += 1
            return Conflict([9 for _ in wish.entries])

    unlucky, began = Unlucky(store, []), time.monotonic()
    with pytest.raises(VersionConflict) as error:
        await do(unlucky, ConfirmOrder(now=now(), order_id=order))
    assert (error.value.expected, error.value.actual) == (1, 9)
    assert 1.0 <= time.monotonic() - began < 10
    assert 2 < unlucky.appends < 100  # it pauses in between


async def test_a_refusal_is_kept_for_its_key_only_at_the_version_it_was_decided_on(
    desk: Desk, store: PostgresEventStore
) -> None:
    order = await desk.place()
    await do(store, CancelOrder(now=now(), order_id=order, reason="x"))
    key = IdempotencyKey("scope", "k", b"f")
    confirm = ConfirmOrder(now=now(), order_id=order)
    for replayed in (False, True):
        outcome = await do(store, confirm, Terms(key=key))
        assert (outcome.answer.result, outcome.replayed) == (Result.REJECTED, replayed)
        assert outcome.answer.fields == {"code": "not_allowed", "detail": "cannot confirm a cancelled order"}
    with pytest.raises(KeyReused):
        await do(store, confirm, Terms(key=IdempotencyKey("scope", "k", b"other")))
    order = await desk.place()
    confirmed = Meddled(store, [lambda: do(store, ConfirmOrder(now=now(), order_id=order))])
    kept = await do(confirmed, DeliverOrder(now=now(), order_id=order), Terms(key=IdempotencyKey("scope", "k2", b"f")))
    assert kept.answer.fields["detail"] == "cannot deliver a confirmed order"  # decided again, on what it has become


async def test_a_command_on_a_cached_state_sees_the_events_others_recorded_meanwhile(store: PostgresEventStore) -> None:
    """Two desks with a cache each receive stock in turns, and both count the other's receipts."""
    caches = [StateCache[Stock](store, INVENTORY) for _ in range(2)]
    at = inventory_stream(Sku("A"))
    for n in range(6):
        command = ReceiveStock(now=now(), sku=Sku("A"), quantity=1)
        outcome = await execute(
            store, INVENTORY, at, command, Terms(), lambda s: (Result.CREATED, {"available": s.available}),
            correlation_id=at, cache=caches[n % 2],
        )  # fmt: skip
        assert (outcome.answer.fields["available"], outcome.answer.version) == (n + 1, n + 1)


async def test_receipts_sent_at_once_through_four_caches_all_count(
    store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "KEEP_TRYING", 60.0)  # on a busy machine twenty turns take more than two seconds
    caches = [StateCache[Stock](store, INVENTORY) for _ in range(4)]
    at = inventory_stream(Sku("A"))

    async def receive(n: int) -> int:
        outcome = await execute(
            store, INVENTORY, at, ReceiveStock(now=now(), sku=Sku("A"), quantity=1), Terms(),
            lambda _: (Result.CREATED, {}), correlation_id=at, cache=caches[n % 4],
        )  # fmt: skip
        return outcome.answer.version or 0

    assert sorted(await asyncio.gather(*(receive(n) for n in range(20)))) == list(range(1, 21))


async def test_a_command_on_a_store_without_a_database_raises_unavailable(store: PostgresEventStore) -> None:
    await store.close()
    command = ReceiveStock(now=now(), sku=Sku("A"), quantity=1)
    at = inventory_stream(Sku("A"))
    with pytest.raises(Unavailable):
        await execute(
            store, INVENTORY, at, command, Terms(), lambda _: (Result.CREATED, {}), correlation_id=UUID(int=1)
        )


async def test_a_shipment_without_a_carrier_is_refused_without_waiting(store: PostgresEventStore) -> None:
    order = OrderId(stream())
    command = ShipOrder(now=now(), order_id=order, tracking_number="1Z", carrier=" ")
    with pytest.raises(InvalidInput, match="carrier"):
        await ship(store, command, Terms(), lambda _: (Result.DONE, {}))
