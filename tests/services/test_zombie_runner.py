"""A runner whose lease ran out while it waited for the provider writes nothing more: the epoch of its lease is old."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from core.adapters.memory.payments import MemoryPaymentGateway
from core.adapters.postgres.connection import Link
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.domain.message import OrderId, StreamId, saga_of
from core.domain.provider import PaymentAnswer
from core.errors import GatewayUnavailable
from core.sagas import SAGAS
from core.services.sagas.advance import World
from core.services.sagas.runner import SagaRunner
from core.services.sagas.stock import StockDesk
from tests.chaos.mutants import MUTANTS
from tests.support.customers import eventually
from tests.support.order_desk import Desk, RealClock


class Away(MemoryPaymentGateway):
    """A provider that is unavailable: it sets `called` at a call, and fails once `let` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.let = asyncio.Event(), asyncio.Event()

    async def authorise(self, *_: Any, **__: Any) -> PaymentAnswer:
        self.called.set()
        await self.let.wait()
        raise GatewayUnavailable("the payment provider is away", 60.0)


def runner(desk: Desk, link: Link, gateway: MemoryPaymentGateway, owner: str) -> SagaRunner:
    world = World(desk.store, StockDesk(desk.store), gateway, RealClock())
    return SagaRunner(world, PostgresSagaLog(link), SAGAS, owner)


async def fulfilment(desk: Desk, order: OrderId) -> list[str]:
    return [type(event.event).__name__ for event in await desk.store.load(StreamId(saga_of(order, "fulfil_order")))]


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_runner_that_lost_its_lease_may_not_write_even_after_it_reads_the_saga_again(
    desk: Desk, dsn: str, *, fenced: bool
) -> None:
    owner = await asyncpg.connect(dsn)
    if not fenced:
        await MUTANTS["fencing"].switch_off(dsn)
    await desk.stock(A=5)
    order = await desk.place()
    link, first, second = Link(desk.open), Away(), Away()
    zombie, heir = runner(desk, link, first, "zombie"), runner(desk, link, second, "heir")
    second.let.set()
    await zombie.start(await desk.log())
    await first.called.wait()

    await owner.execute("UPDATE sagas SET due_at = now()")  # its lease has run out
    await heir.claim()

    async def failed() -> list[str] | None:
        seen = await fulfilment(desk, order)
        return seen if seen[-1] == "SagaStepFailed" else None

    left = await eventually(failed, 60)
    first.let.set()
    await zombie.drain(60)
    now = await fulfilment(desk, order)
    assert (now == left) is fenced, f"without the epoch nobody would have noticed: {now[len(left) :]}"
    await heir.drain(60)
    link.close()
    await owner.close()
