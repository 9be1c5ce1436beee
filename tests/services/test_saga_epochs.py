"""The log alone shows that nobody wrote to a saga under a lease that another had taken over."""

from __future__ import annotations

import asyncio

from core.adapters.postgres.connection import Link
from core.adapters.postgres.saga_log import PostgresSagaLog
from core.domain.message import OrderId, StreamId, saga_of
from core.domain.saga import SagaStepCompleted
from core.ports.log import Conflict
from core.sagas import SAGAS
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.record import Record
from core.sagas.saga import Effect
from core.sagas.wishes import Wish
from core.services.execute import Terms
from core.services.sagas.steer import Operation, operate
from core.services.sagas.work import draft, load_work
from tests.support.order_desk import Desk, RealClock, now
from tests.support.saga_cases import HAPPY, Away, cancellation, happened


async def epochs(desk: Desk, order: OrderId, saga: str = "fulfil_order") -> list[int | None]:
    return [event.metadata.epoch for event in await desk.store.load(StreamId(saga_of(order, saga)))]


async def test_every_event_of_a_saga_names_the_lease_it_was_written_under(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place("test_card_flaky")  # parked twice, so claimed twice
        assert await desk.ended(order) == "SagaCompleted"
    found = await epochs(desk, order)
    assert found[0] == 1
    assert found[-1] == 3
    assert found == sorted(found, key=lambda epoch: epoch or 0)
    assert await desk.domain(order) == HAPPY
    assert {r.metadata.epoch for e in await desk.timeline(order) if e.category != "saga" for r in e.recorded()} == {
        None
    }


async def test_the_events_of_a_failed_saga_and_of_an_operator_name_their_lease_too(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place()
        await desk.ended(order)
        await desk.do(cancellation(order))
        await desk.ended(order, "unwind_order")
    connection = await desk.open()
    saga_id = saga_of(order, "unwind_order")
    unknown = "UPDATE sagas SET definition = 99, status = 'RUNNING', due_at = now() WHERE saga_id = $1"
    await connection.execute(unknown, saga_id)
    async with desk.running():
        async with asyncio.timeout(60):
            while await connection.fetchval("SELECT status FROM sagas WHERE saga_id = $1", saga_id) != "FAILED":
                await asyncio.sleep(0.01)
    epoch = await connection.fetchval("SELECT epoch FROM sagas WHERE saga_id = $1", saga_id)
    await connection.close()
    link = Link(desk.open)
    wish = Operation(saga_id, Wish.RESOLVE, "settled by phone")
    dry = await operate(desk.store, PostgresSagaLog(link), SAGAS, RealClock(), wish, Terms(dry_run=True))
    await operate(desk.store, PostgresSagaLog(link), SAGAS, RealClock(), wish, Terms())
    link.close()
    assert epoch == 2
    assert [event.metadata.epoch for event in dry.preview or ()] == [2]
    assert (await epochs(desk, order, "unwind_order"))[-2:] == [2, 2]


async def test_a_runner_with_the_newest_lease_appends_nothing_to_a_saga_that_changed_since_it_read_it(
    desk: Desk,
) -> None:
    """A person has turned it round meanwhile, which takes no lease: only the version of the saga's stream tells."""
    await desk.stock(A=10)
    desk.gateway = Away(desk, "authorise")  # type: ignore[assignment]
    async with desk.running():
        order = await desk.place()
        await happened(desk, order, "SagaStepFailed")
    saga_id, link = saga_of(order, "fulfil_order"), Link(desk.open)
    epoch = await PostgresSagaLog(link).epoch(saga_id) or 0
    work = await load_work(desk.store, FULFIL_ORDER, saga_id, order, owner="runner-1", epoch=epoch)
    assert work
    wish = Operation(saga_id, Wish.COMPENSATE, "changed my mind")
    await operate(desk.store, PostgresSagaLog(link), SAGAS, RealClock(), wish, Terms())
    assert await PostgresSagaLog(link).epoch(saga_id) == epoch
    link.close()
    before = await desk.log()
    record = Record.of(work, [SagaStepCompleted(saga_id=saga_id, step="authorize_payment")], now())
    done = draft(work, Effect(), record, now())
    assert isinstance(await desk.store.append(done.append()), Conflict)
    assert await desk.log() == before
