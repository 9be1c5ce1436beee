"""An operator steers sagas on a real log, with a runner at work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from core.domain.message import SagaId, StreamId, payment_of, saga_of
from core.domain.provider import PaymentAnswer
from core.domain.saga import SagaFailed, SagaResolved
from core.errors import InvalidInput, NotAllowed, NotFound
from core.ports.log import IdempotencyKey, Result
from core.sagas.wishes import Wish
from core.services.execute import Terms
from tests.support.order_desk import Desk
from tests.support.saga_cases import Operator, available, failed, shipment


async def test_a_saga_whose_void_never_succeeds_fails_naming_the_amount_and_an_operator_resolves_it(
    desk: Desk, operator: Operator
) -> None:
    async with desk.running():
        order, saga_id = await failed(desk)
        events = await desk.store.load(StreamId(saga_id))
        assert isinstance(events[-1].event, SagaFailed)
        assert events[-1].event.open_items == ("25.00 USD may be authorised", "2 x A may be held")
        tries = [e for e in events if type(e.event).__name__ == "SagaStepFailed"]
        assert len(tries) >= 10
        outcome = await operator.do(Wish.RESOLVE, saga_id)
        assert (outcome.answer.result, outcome.answer.fields["status"]) == (Result.DONE, "RESOLVED")
        last = (await desk.store.load(StreamId(saga_id)))[-1]
        assert last.event == SagaResolved(saga_id=saga_id, reason="because", by="ada", step="void_payment")
        assert (last.metadata.user_id, last.metadata.request_id) == ("ada", "r-1")
        assert last.metadata.causation_id not in {event.event_id for event in events}, "its cause is the command"
        for wish in Wish:
            with pytest.raises(NotAllowed, match=r"resolved|turn back"):
                await operator.do(wish, saga_id)
    assert await available(desk, "A") == (8, 2), "what was vouched for is not touched"
    assert order


async def test_a_runner_takes_up_an_operators_retry_at_once_and_it_may_succeed(desk: Desk, operator: Operator) -> None:
    async with desk.running():
        order, saga_id = await failed(desk)
        desk.gateway._charges[payment_of(order)].method = "card"  # pyright: ignore[reportPrivateUsage] - it is back
        await operator.do(Wish.RETRY, saga_id)
        assert await desk.ended(order, "unwind_order") == "SagaCompleted"
    assert (await desk.domain(order))[-2:] == ["PaymentVoided", "InventoryReleased"]
    assert await available(desk, "A") == (10, 0)


async def test_an_operator_who_skips_an_undo_leaves_it_open_and_the_rest_is_undone(
    desk: Desk, operator: Operator
) -> None:
    async with desk.running():
        order, saga_id = await failed(desk)
        await operator.do(Wish.SKIP_STEP, saga_id)
        assert await desk.ended(order, "unwind_order") == "SagaCompleted"
    assert "PaymentVoided" not in await desk.domain(order)
    assert await available(desk, "A") == (10, 0)


async def test_an_operator_refunds_a_settled_order(desk: Desk, operator: Operator) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=2)
        await desk.ended(order)
        await desk.do(shipment(order))
        assert await desk.ended(order, "settle_order") == "SagaCompleted"
        await operator.do(Wish.COMPENSATE, saga_of(order, "settle_order"))
        async with asyncio.timeout(60):
            while await desk.ended(order, "settle_order") != "SagaCompensated":
                await asyncio.sleep(0.01)
    assert (await desk.domain(order))[-1] == "PaymentRefunded"
    assert await available(desk, "A") == (8, 0), "the goods have left"


async def test_an_operator_compensates_an_unfinished_fulfilment_and_a_late_authorisation_is_undone(
    desk: Desk, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.stock(A=10)
    called, answer, authorise = asyncio.Event(), asyncio.Event(), desk.gateway.authorise

    async def late(*arguments: Any, **named: Any) -> PaymentAnswer:
        found = await authorise(*arguments, **named)
        called.set()
        await answer.wait()
        return found

    monkeypatch.setattr(desk.gateway, "authorise", late)
    async with desk.running():
        order = await desk.place(A=2)
        await called.wait()
        await operator.do(Wish.COMPENSATE, saga_of(order, "fulfil_order"))
        answer.set()
        assert await desk.ended(order) == "SagaCompensated"
    timeline = await desk.domain(order)
    assert timeline[-2:] == ["InventoryReleased", "OrderCancelled"]
    assert await available(desk, "A") == (10, 0)
    assert desk.gateway._charges[payment_of(order)].state == "voided"  # pyright: ignore[reportPrivateUsage]


async def test_an_operators_repeated_key_gets_the_first_answer_and_a_dry_run_records_nothing(
    desk: Desk, operator: Operator
) -> None:
    async with desk.running():
        _, saga_id = await failed(desk)
        before = await desk.store.load(StreamId(saga_id))
        shown = {
            wish: (await operator.do(wish, saga_id, Terms(dry_run=True))).preview or ()
            for wish in (Wish.RETRY, Wish.SKIP_STEP, Wish.RESOLVE)
        }
        assert [[type(e.event).__name__ for e in events] for events in shown.values()] == [
            ["SagaRetried", "SagaStepStarted"],
            ["SagaStepSkipped"],
            ["SagaResolved"],
        ]
        for terms in (Terms(dry_run=True), Terms()):
            with pytest.raises(NotAllowed, match="unwind_order has nothing to turn back to"):
                await operator.do(Wish.COMPENSATE, saga_id, terms)
        assert len(await desk.store.load(StreamId(saga_id))) == len(before)
        keyed = Terms(user_id="ada", key=IdempotencyKey("here", "k", b"f"))
        first = await operator.do(Wish.RESOLVE, saga_id, keyed)
        again = await operator.do(Wish.RESOLVE, saga_id, keyed)
        assert (again.answer.version, again.answer.fields["status"]) == (first.answer.version, "RESOLVED")
        assert again.replayed


async def test_an_operator_cannot_steer_an_unknown_saga_or_without_a_reason(desk: Desk, operator: Operator) -> None:
    with pytest.raises(NotFound):
        await operator.do(Wish.RETRY, SagaId(uuid7()))
    with pytest.raises(InvalidInput, match="reason"):
        await operator.do(Wish.RETRY, SagaId(uuid7()), reason=" ")
