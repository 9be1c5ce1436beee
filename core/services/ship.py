"""Ship: refuses to ship an order before its fulfilment has ended, since a saga could still undo that order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.domain.message import LeftOut, OrderId, Recorded, StreamId, saga_of
from core.domain.order import ORDER, Order, OrderShipped, ShipOrder, Status
from core.domain.saga import CATEGORY, SagaFailed, finished
from core.errors import FulfilmentNotFinished, NotAllowed, NotFound
from core.ports.log import Entry, EventStore
from core.sagas import ended_before
from core.services.execute import Describe, Outcome, ReadGuards, Terms, execute
from core.services.load import load_state

WAIT = 2.0  # seconds for the fulfilment to end
LOOK_EVERY = 0.05  # seconds


async def ship(store: EventStore, command: ShipOrder, terms: Terms, describe: Describe[Order]) -> Outcome:
    """Execute ShipOrder once the order's fulfilment has ended. Raises FulfilmentNotFinished if that takes over 2 s."""
    ORDER.decide(command, Order(status=Status.CONFIRMED))  # this raises InvalidInput for wrong fields, without any wait
    order = StreamId(command.order_id)

    async def read_guards() -> Sequence[Entry]:
        guards = await _guards(store, command.order_id)
        if not guards:
            raise FulfilmentNotFinished(order)
        return guards

    guards_reader: ReadGuards | None = read_guards
    deadline = asyncio.get_running_loop().time() + WAIT
    while not await _guards(store, command.order_id):
        status = (await load_state(store, ORDER, order)).state.status
        if status is Status.ABSENT:
            raise NotFound("order", str(order))
        if status is Status.CANCELLED:
            guards_reader = None  # `decide` refuses to ship it in any case
            break
        await _must_not_have_failed(store, command.order_id)
        if asyncio.get_running_loop().time() > deadline:
            raise FulfilmentNotFinished(order)
        await asyncio.sleep(LOOK_EVERY)
    return await execute(store, ORDER, order, command, terms, describe, correlation_id=order, read_guards=guards_reader)


async def _must_not_have_failed(store: EventStore, order_id: OrderId) -> None:
    saga_id = saga_of(order_id, ended_before(OrderShipped))
    events = _said(await store.load(StreamId(saga_id)))
    if events and isinstance(events[-1].event, SagaFailed):
        raise NotAllowed(f"the fulfilment of order {order_id} has failed and needs an operator: saga {saga_id}")


async def _guards(store: EventStore, order_id: OrderId) -> Sequence[Entry]:
    """A guard on the stream of the fulfilment; empty while the fulfilment has not ended."""
    stream = StreamId(saga_of(order_id, ended_before(OrderShipped)))
    events = await store.load(stream)
    said = _said(events)
    return [Entry(stream, CATEGORY, events[-1].version)] if said and finished(said[-1].event) else []


def _said(events: Sequence[Recorded]) -> Sequence[Recorded]:
    """The events without those that an operator has left out."""
    return [each for each in events if not isinstance(each.event, LeftOut)]
