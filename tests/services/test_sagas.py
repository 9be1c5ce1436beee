"""Each course that an order can take, with a real log and a payment provider in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import chain

import pytest

from core.domain.message import StreamId, payment_of, saga_of
from core.domain.order import CancelOrder, ConfirmOrder, DeliverOrder, ShipOrder
from core.errors import FulfilmentNotFinished, NotAllowed
from core.sagas import SAGAS
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.saga import Call, newest
from tests.support.order_desk import Desk, now
from tests.support.saga_cases import HAPPY, available, cancellation, shipment


async def test_an_order_goes_through_all_events_from_placed_to_delivered(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=2)
        assert await desk.ended(order) == "SagaCompleted"
        await desk.do(shipment(order))
        assert await desk.ended(order, "settle_order") == "SagaCompleted"
        await desk.do(DeliverOrder(now=now(), order_id=order))
    assert await desk.domain(order) == [
        *HAPPY, "OrderShipped", "InventoryShipped", "PaymentCaptured", "OrderDelivered",
    ]  # fmt: skip
    assert await available(desk, "A") == (8, 0)
    table = newest(SAGAS)[FULFIL_ORDER.name]
    saga = [e.event_type for e in await desk.timeline(order) if e.stream == saga_of(order, table.name)]
    steps = [["SagaStepStarted"] * isinstance(step.do, Call) + ["SagaStepCompleted"] for step in table.steps]
    assert saga == ["SagaStarted", *chain.from_iterable(steps), "SagaCompleted"]


async def test_every_event_of_a_saga_names_the_event_that_caused_it(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=2)
        await desk.ended(order)
    first, *rest = [recorded for event in await desk.timeline(order) for recorded in event.recorded()]
    known = {first.event_id}
    for event in rest:
        assert event.metadata.causation_id in known
        known.add(event.event_id)
    assert rest[0].metadata.causation_id == first.event_id


async def test_a_declined_card_gives_the_stock_back_and_cancels(desk: Desk) -> None:
    await desk.stock(A=10, B=10)
    async with desk.running():
        order = await desk.place("test_card_fail", A=2, B=1)
        assert await desk.ended(order) == "SagaCompensated"
    assert await desk.domain(order) == [
        "OrderCreated", "InventoryReserved", "InventoryReserved", "PaymentFailed",
        "InventoryReleased", "InventoryReleased", "OrderCancelled",
    ]  # fmt: skip
    assert await available(desk, "A") == (10, 0)


async def test_an_order_with_one_sku_out_of_stock_reserves_nothing(desk: Desk) -> None:
    await desk.stock(A=10, B=1)
    async with desk.running():
        order = await desk.place(A=2, B=5)
        assert await desk.ended(order) == "SagaCompensated"
    assert await desk.domain(order) == ["OrderCreated", "InventoryReservationFailed", "OrderCancelled"]
    assert await available(desk, "A") == (10, 0)


async def test_an_unknown_sku_cannot_be_reserved(desk: Desk) -> None:
    async with desk.running():
        order = await desk.place(NOPE=1)
        assert await desk.ended(order) == "SagaCompensated"
    assert await desk.domain(order) == ["OrderCreated", "InventoryReservationFailed", "OrderCancelled"]


async def test_a_saga_tries_a_flaky_provider_again(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place("test_card_flaky")
        assert await desk.ended(order) == "SagaCompleted"
    assert await desk.domain(order) == HAPPY
    types = Counter(e.event_type for e in await desk.timeline(order))
    assert types["SagaStepFailed"] == 2
    assert types["SagaStepStarted"] == 3


async def test_a_saga_looks_up_a_charge_whose_answer_was_lost_and_does_not_charge_again(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place("test_card_timeout")
        assert await desk.ended(order) == "SagaCompleted"
    assert await desk.domain(order) == HAPPY


async def test_an_order_cancelled_after_its_confirmation_is_unwound(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=3)
        await desk.ended(order)
        await desk.do(cancellation(order))
        assert await desk.ended(order, "unwind_order") == "SagaCompleted"
    assert await desk.domain(order) == [*HAPPY, "OrderCancelled", "PaymentVoided", "InventoryReleased"]
    assert await available(desk, "A") == (10, 0)


async def test_an_order_cancelled_before_its_saga_runs_holds_no_stock_and_no_money(desk: Desk) -> None:
    await desk.stock(A=10)
    order = await desk.place(A=3)
    await desk.do(cancellation(order))
    async with desk.running():
        assert await desk.ended(order) == "SagaCompensated"
    assert await desk.domain(order) == ["OrderCreated", "OrderCancelled"]
    assert not await desk.store.load(StreamId(saga_of(order, "unwind_order")))


async def test_a_confirmation_by_hand_does_not_stop_the_saga(desk: Desk) -> None:
    await desk.stock(A=10)
    order = await desk.place(A=3)
    await desk.do(ConfirmOrder(now=now(), order_id=order))
    async with desk.running():
        assert await desk.ended(order) == "SagaCompleted"
    assert await desk.domain(order) == ["OrderCreated", "OrderConfirmed", "InventoryReserved", "PaymentAuthorized"]


async def test_an_order_confirmed_by_hand_is_cancelled_when_its_card_is_declined(desk: Desk) -> None:
    await desk.stock(A=10)
    order = await desk.place("test_card_fail", A=3)
    await desk.do(ConfirmOrder(now=now(), order_id=order))
    async with desk.running():
        assert await desk.ended(order) == "SagaCompensated"
    assert (await desk.domain(order))[-3:] == ["PaymentFailed", "InventoryReleased", "OrderCancelled"]


async def test_an_order_is_not_shipped_before_its_fulfilment_has_ended(desk: Desk) -> None:
    await desk.stock(A=10)
    order = await desk.place(A=3)
    await desk.do(ConfirmOrder(now=now(), order_id=order))
    with pytest.raises(FulfilmentNotFinished):
        await desk.do(shipment(order))


async def test_the_shipment_of_a_cancelled_order_is_refused_while_its_fulfilment_runs_and_afterwards(
    desk: Desk,
) -> None:
    order = await desk.place(A=3)
    await desk.do(cancellation(order))
    with pytest.raises(NotAllowed, match="cannot ship a cancelled order"):
        await desk.do(shipment(order))


async def test_a_shipment_waits_for_the_fulfilment_to_end(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=3)
        outcome = await desk.do(shipment(order))  # while the saga is at work
        assert outcome.answer.fields["status"] == "SHIPPED"


async def test_two_runners_and_a_redelivered_log_start_each_saga_once(desk: Desk) -> None:
    await desk.stock(A=1000)
    async with desk.running("runner-1") as first, desk.running("runner-2"):
        orders = [await desk.place(A=1) for _ in range(20)]
        for order in orders:
            assert await desk.ended(order) == "SagaCompleted"
        await first.start(await desk.log())
    for order in orders:
        assert await desk.domain(order) == HAPPY


async def test_another_runner_finishes_the_sagas_of_a_runner_that_died(desk: Desk) -> None:
    await desk.stock(A=1000)
    order = await desk.place("test_card_flaky")
    async with desk.running("runner-1"):
        async with asyncio.timeout(60):
            while "SagaStepFailed" not in [e.event_type for e in await desk.timeline(order)]:
                await asyncio.sleep(0.005)
    async with desk.running("runner-2"):
        assert await desk.ended(order) == "SagaCompleted"
    assert await desk.domain(order) == HAPPY


async def test_an_order_cancelled_and_shipped_at_once_ends_as_one_of_both(desk: Desk) -> None:
    await desk.stock(A=1000)
    async with desk.running():
        orders = [await desk.place(A=1) for _ in range(30)]
        for order in orders:
            await desk.ended(order)

        async def attempt(command: CancelOrder | ShipOrder) -> bool:
            try:
                await desk.do(command)
            except NotAllowed:
                return False
            return True

        for order in orders:
            shipped, cancelled = await asyncio.gather(attempt(shipment(order)), attempt(cancellation(order)))
            assert shipped != cancelled
            end = "settle_order" if shipped else "unwind_order"
            assert await desk.ended(order, end) == "SagaCompleted"
            expected = ["InventoryShipped", "PaymentCaptured"] if shipped else ["PaymentVoided", "InventoryReleased"]
            assert (await desk.domain(order))[-2:] == expected
    on_hand, held = await available(desk, "A")
    assert held == 0
    assert on_hand == 1000 - sum(["InventoryShipped" in await desk.domain(o) for o in orders])
    assert len({payment_of(o) for o in orders}) == 30


async def test_many_orders_for_few_units_sell_exactly_as_many_as_there_are(desk: Desk) -> None:
    await desk.stock(A=30)
    async with desk.running():
        orders = await asyncio.gather(*(desk.place(A=1) for _ in range(50)))
        ends = Counter([await desk.ended(order) for order in orders])
    assert ends == {"SagaCompleted": 30, "SagaCompensated": 20}
    assert await available(desk, "A") == (0, 30)


async def test_a_saga_of_an_unknown_definition_waits_for_a_person(desk: Desk) -> None:
    order = await desk.place()
    async with desk.running():
        await desk.ended(order)
    connection = await desk.open()
    await connection.execute("UPDATE sagas SET definition = 99, status = 'RUNNING', due_at = now()")
    await connection.close()
    async with desk.running():
        async with asyncio.timeout(60):
            while "SagaFailed" not in [e.event_type for e in await desk.timeline(order)]:
                await asyncio.sleep(0.01)
    failed = (await desk.timeline(order))[-1]
    assert "fulfil_order in definition 99" in failed.payload
