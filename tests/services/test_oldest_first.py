"""A runner that has no room for more: what waits is taken up in its order, by whichever runner has room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.adapters.memory.payments import MemoryPaymentGateway
from core.adapters.postgres.connection import Connection, Link
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.domain.message import OrderId, saga_of
from core.domain.provider import PaymentAnswer
from core.sagas import SAGAS
from core.services.sagas import runner as run_sagas
from core.services.sagas.advance import World
from core.services.sagas.runner import SagaRunner
from core.services.sagas.stock import StockDesk
from tests.support.opener import Opener
from tests.support.order_desk import Desk, RealClock

ROOM = 4


class Provider(MemoryPaymentGateway):
    """Authorises once `open` is set, and knows the order in which it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.asked: list[OrderId] = []

    async def authorise(self, key: str, **charge: Any) -> PaymentAnswer:
        self.asked.append(charge["order_id"])
        await self.open.wait()
        return await super().authorise(key, **charge)


@pytest.fixture
async def link(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Link]:
    monkeypatch.setattr(run_sagas, "MOST_AT_ONCE", ROOM)
    link = Link(opener)
    yield link
    link.close()


def runner(desk: Desk, link: Link, provider: Provider, owner: str) -> SagaRunner:
    world = World(desk.store, StockDesk(desk.store), provider, RealClock())
    return SagaRunner(world, PostgresSagaLog(link), SAGAS, owner)


async def owner_of(admin: Connection, order: OrderId) -> str | None:
    return await admin.fetchval("SELECT owner FROM sagas WHERE saga_id = $1", saga_of(order, "fulfil_order"))


async def test_a_new_saga_queues_behind_those_that_are_due_until_a_claim_has_found_the_last_one(
    desk: Desk, link: Link, admin: Connection
) -> None:
    await desk.stock(A=1000)
    provider = Provider()
    one = runner(desk, link, provider, "one")
    orders = [await desk.place() for _ in range(3 * ROOM)]
    await one.start(await desk.log())
    assert one.held == ROOM
    provider.open.set()
    await one.drain(60)
    assert one.has_room.is_set(), "so that nobody waits for the next look"
    late = await desk.place()
    await one.start((await desk.log())[-1:])
    assert one.held == 0, "it has room, but others have waited for longer"
    while await one.claim():
        await one.drain(60)
    assert provider.asked[-1] == late
    assert sorted(provider.asked) == sorted([*orders, late]), "each once"
    provider.open.clear()
    next_one = await desk.place()
    await one.start((await desk.log())[-1:])
    assert await owner_of(admin, next_one) == "one", "nobody waits any more, so it need not be claimed"
    await one.drain(0)


async def test_what_one_runner_has_no_room_for_another_one_takes_up(desk: Desk, link: Link) -> None:
    await desk.stock(A=1000)
    provider = Provider()
    one, two = runner(desk, link, provider, "one"), runner(desk, link, provider, "two")
    for _ in range(2 * ROOM + 1):
        await desk.place()
    await one.start(await desk.log())
    assert (await two.claim(), one.held, two.held) == (ROOM, ROOM, ROOM)
    assert await one.claim() == 0
    provider.open.set()
    await asyncio.gather(one.drain(60), two.drain(60))
    assert await two.claim() == 1
    await two.drain(60)
    assert len(set(provider.asked)) == len(provider.asked) == 2 * ROOM + 1
