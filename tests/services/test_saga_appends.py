"""What a runner records together, what it records all the same if it cannot, and which trace that belongs to."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from core import tracing
from core.domain.message import SagaId, saga_of
from core.sagas import SAGAS
from core.sagas.actions import confirm, reserve
from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.saga import Effect, Facts
from core.services.sagas.work import load_work
from tests.support.fake_tracer import GIVEN, FakeTracer
from tests.support.order_desk import Desk
from tests.support.saga_cases import HAPPY, happened


async def test_the_start_and_the_reservation_are_one_append_and_the_answer_and_the_confirmation_another(
    desk: Desk,
) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=2)
        await desk.ended(order)
    placed, *timeline = await desk.timeline(order)
    assert placed.event_type == "OrderCreated"
    assert [[event.event_type for event in each] for _, each in groupby(timeline, lambda event: event.recorded_at)] == [
        ["InventoryReserved", "SagaStarted", *["SagaStepCompleted"] * 2, "SagaStepStarted"],
        ["PaymentAuthorized", "OrderConfirmed", *["SagaStepCompleted"] * 2, "SagaCompleted"],
    ]


async def test_a_saga_is_started_although_its_first_step_cannot_be_decided(desk: Desk) -> None:
    def broken(_: Facts) -> Effect:
        raise ArithmeticError("a fault of ours")

    first, second, *steps = FULFIL_ORDER.steps
    odd = replace(FULFIL_ORDER, steps=(first, replace(second, do=replace(reserve, decide=broken)), *steps))
    desk.tables = {**SAGAS, (odd.name, odd.definition): odd}
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=2)
        await happened(desk, order, "SagaStarted")
    assert await desk.domain(order) == ["OrderCreated"]
    assert [event.event_type for event in await desk.timeline(order)][1:] == ["SagaStarted", "SagaStepCompleted"]


async def test_the_steps_of_a_saga_are_spans_beside_each_other_also_for_a_runner_that_reads_it_later(
    desk: Desk,
) -> None:
    tracer = FakeTracer()
    tracing.use(tracer)
    await desk.stock(A=10)
    async with desk.running():
        with tracing.span("placed", GIVEN):
            order = await desk.place(A=2)
        await desk.ended(order)
    placed, *others = [span for span in tracer.spans if "append" not in span.name and "provider" not in span.name]
    assert [(span.name, span.parent) for span in others] == [
        (f"fulfil_order {step.name}", placed.traceparent) for step in FULFIL_ORDER.steps[1:]
    ]
    saga = saga_of(order, FULFIL_ORDER.name)
    work = await load_work(desk.store, FULFIL_ORDER, SagaId(saga), order, owner="another", epoch=2)
    assert work is not None
    assert work.traceparent == placed.traceparent
    reserved = [recorded for event in await desk.timeline(order) for recorded in event.recorded()][1]
    assert reserved.metadata.traceparent == others[0].traceparent


async def test_an_answer_is_recorded_although_the_next_step_cannot_be_decided(desk: Desk) -> None:
    def broken(_: Facts) -> Effect:
        raise ArithmeticError("a fault of ours")

    *steps, last = FULFIL_ORDER.steps
    odd = replace(FULFIL_ORDER, steps=(*steps, replace(last, do=replace(confirm, decide=broken))))
    desk.tables = {**SAGAS, (odd.name, odd.definition): odd}
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=2)
        await happened(desk, order, "PaymentAuthorized")
    assert await desk.domain(order) == HAPPY[:-1]
