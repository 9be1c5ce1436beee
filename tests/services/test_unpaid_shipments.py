"""Orders are shipped and the provider refuses for good to pay: that is told soon, and an operator may get the money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.adapters.memory.payments import MemoryPaymentGateway
from core.domain import saga as e
from core.domain.message import OrderId, StreamId, payment_of, saga_of
from core.domain.payment import PAYMENT, PaymentAuthorized, PaymentStatus
from core.domain.provider import Approved, PaymentAnswer, Refused
from core.errors import GatewayUnavailable, NotAllowed
from core.sagas import SAGAS
from core.sagas.settle_order import SETTLE_ORDER, SETTLE_ORDER_1
from core.sagas.wishes import Wish
from core.services.load import load_state
from core.services.sagas import advance
from tests.support.order_desk import Desk, now
from tests.support.saga_cases import HAPPY, Operator, available, cancellation, happened, shipment

SETTLE = SETTLE_ORDER.name
OLD = {key: saga for key, saga in SAGAS.items() if saga is not SETTLE_ORDER}
UNPAID = [*HAPPY, "OrderShipped", "InventoryShipped", "PaymentCaptureFailed"]


class ShiftedClock:
    """The time of the desk and of the provider, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return now() + self.ahead


class Provider(MemoryPaymentGateway):
    """Notes the keys of the calls. It may be away for captures, refuse them, or hold their answers back."""

    def __init__(self, clock: ShiftedClock) -> None:
        super().__init__(clock.now)
        self.keys: list[str] = []
        self.refuses_captures = self.away = False
        self.captured, self.answers = asyncio.Event(), asyncio.Event()
        self.answers.set()

    async def authorise(self, key: str, **asked: Any) -> PaymentAnswer:
        self.keys.append(key)
        return await super().authorise(key, **asked)

    async def capture(self, key: str, **asked: Any) -> PaymentAnswer:
        self.keys.append(key)
        if self.refuses_captures:
            return Refused("you may not do that")
        if self.away:
            raise GatewayUnavailable("away")
        answer = await super().capture(key, **asked)
        self.captured.set()
        await self.answers.wait()
        return answer

    def lets_go(self, order: OrderId) -> None:
        """Somebody voids the authorisation at the provider, and we are not told."""
        self._charges[payment_of(order)].state = "voided"

    def calls(self, order: OrderId) -> list[str]:
        return [key.partition(":")[2] for key in self.keys if key.startswith(str(payment_of(order)))]


@pytest.fixture
def clock(desk: Desk) -> ShiftedClock:
    clock = desk.clock = ShiftedClock()
    return clock


@pytest.fixture
def provider(desk: Desk, clock: ShiftedClock) -> Provider:
    provider = desk.gateway = Provider(clock)
    return provider


@pytest.fixture
async def operator(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operator]:
    monkeypatch.setattr(advance, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(advance, "LONGEST_PAUSE", 0.01)
    operator = Operator(desk)
    yield operator
    operator.link.close()


async def confirmed(desk: Desk, method: str = "card") -> OrderId:
    await desk.stock(A=10)
    order = await desk.place(method, A=2)
    assert await desk.ended(order) == "SagaCompleted"
    return order


async def settlement(desk: Desk, order: OrderId) -> list[Any]:
    return [recorded.event for recorded in await desk.store.load(StreamId(saga_of(order, SETTLE)))]


async def settled(desk: Desk, order: OrderId, end: str) -> None:
    """Wait until the settlement has this end, which it did not have before an operator acted."""
    async with asyncio.timeout(60):
        while await desk.ended(order, SETTLE) != end:
            await asyncio.sleep(0.01)


async def paid(desk: Desk, order: OrderId) -> PaymentStatus:
    return (await load_state(desk.store, PAYMENT, StreamId(payment_of(order)))).state.status


async def test_a_capture_that_is_refused_for_good_fails_at_once_with_the_amount_and_a_retry_authorises_anew(
    desk: Desk, provider: Provider, operator: Operator
) -> None:
    async with desk.running():
        order = await confirmed(desk)
        provider.lets_go(order)
        await desk.do(shipment(order))
        assert await desk.ended(order, SETTLE) == "SagaFailed"
        assert await desk.domain(order) == UNPAID
        assert await available(desk, "A") == (8, 0), "the goods have left"
        *_, failed, end = await settlement(desk, order)
        assert (failed.attempt, failed.final) == (1, True)
        assert (end.reason, end.open_items) == (failed.error, ("25.00 USD is shipped and not paid",))
        assert await paid(desk, order) is PaymentStatus.UNPAID
        with pytest.raises(NotAllowed, match="nothing to undo, since capture_payment was refused"):
            await operator.do(Wish.COMPENSATE, saga_of(order, SETTLE))
        await operator.do(Wish.RETRY, saga_of(order, SETTLE))
        await settled(desk, order, "SagaCompleted")
    assert await desk.domain(order) == [*UNPAID, "PaymentAuthorized", "PaymentCaptured"]
    assert provider.calls(order) == ["authorise", "capture", "capture", "authorise:2", "capture:2"]
    assert provider._charges[payment_of(order)].captured == 25


async def test_a_settlement_of_the_former_definition_ships_its_stock_and_fails_when_its_capture_is_refused(
    desk: Desk, provider: Provider, operator: Operator
) -> None:
    desk.tables = OLD
    async with desk.running():
        order = await confirmed(desk)
        provider.lets_go(order)
        await desk.do(shipment(order))
        assert await desk.ended(order, SETTLE) == "SagaFailed"
        assert await available(desk, "A") == (8, 0), "the stock does not wait for the money"
        *_, end = events = await settlement(desk, order)
        assert events[0].definition == SETTLE_ORDER_1.definition
        assert end.open_items == ("25.00 USD is shipped and not paid",)
        assert end.reason == "cannot capture this payment"
        await operator.do(Wish.RETRY, saga_of(order, SETTLE))
        await settled(desk, order, "SagaCompleted")
    assert await paid(desk, order) is PaymentStatus.CAPTURED


async def test_the_stock_of_a_shipped_order_leaves_while_the_provider_is_away_and_an_operator_may_retry_or_resolve(
    desk: Desk, provider: Provider, operator: Operator
) -> None:
    provider.away = True
    async with desk.running():
        order = await confirmed(desk)
        saga_id = saga_of(order, SETTLE)
        await desk.do(shipment(order))
        await happened(desk, order, "SagaStepFailed")
        assert await available(desk, "A") == (8, 0)
        for wish in (Wish.SKIP_STEP, Wish.COMPENSATE):
            with pytest.raises(NotAllowed, match="whether capture_payment happened is not known yet: retry"):
                await operator.do(wish, saga_id)
        await operator.do(Wish.RETRY, saga_id)
        failures = len([each for each in await settlement(desk, order) if isinstance(each, e.SagaStepFailed)])
        async with asyncio.timeout(60):
            while len([x for x in await settlement(desk, order) if isinstance(x, e.SagaStepFailed)]) <= failures:
                await asyncio.sleep(0.01)
        await operator.do(Wish.RESOLVE, saga_id, reason="paid by bank transfer")
        assert isinstance((await settlement(desk, order))[-1], e.SagaResolved)
    assert await paid(desk, order) is PaymentStatus.AUTHORIZED


async def test_a_capture_that_succeeds_after_a_person_resolved_its_saga_is_recorded(
    desk: Desk, provider: Provider, clock: ShiftedClock, operator: Operator
) -> None:
    async with desk.running():
        order = await confirmed(desk)
        provider.answers.clear()
        await desk.do(shipment(order))
        await provider.captured.wait()
        with pytest.raises(NotAllowed, match="no try has failed"):
            await operator.do(Wish.RESOLVE, saga_of(order, SETTLE))
        clock.ahead = timedelta(seconds=40)
        await operator.do(Wish.RESOLVE, saga_of(order, SETTLE))
        provider.answers.set()
        await happened(desk, order, "PaymentCaptured")
    *_, end = await settlement(desk, order)
    assert isinstance(end, e.SagaResolved), "the saga itself has ended"


@pytest.mark.parametrize("days", [7, 8, 400])
async def test_an_order_that_is_shipped_after_its_authorisation_has_lapsed_is_authorised_anew_first(
    desk: Desk, provider: Provider, clock: ShiftedClock, days: int
) -> None:
    async with desk.running():
        order = await confirmed(desk)
        clock.ahead = timedelta(days=days, seconds=1)
        await desk.do(shipment(order))
        assert await desk.ended(order, SETTLE) == "SagaCompleted"
    ends = ["OrderShipped", "InventoryShipped", "PaymentAuthorized", "PaymentCaptured"]
    assert await desk.domain(order) == [*HAPPY, *ends]
    assert provider.calls(order) == ["authorise", "authorise:2", "capture:2"]
    first, second = [
        each.event
        for each in await desk.store.load(StreamId(payment_of(order)))
        if isinstance(each.event, PaymentAuthorized)
    ]
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert second.expires_at - first.expires_at > timedelta(days=days) - timedelta(minutes=5)
    announced = [each.key for each in await settlement(desk, order) if isinstance(each, e.SagaStepStarted)]
    assert announced == [f"{payment_of(order)}:authorise:2", f"{payment_of(order)}:capture:2"]


async def test_a_declined_new_authorisation_fails_with_the_amount_and_a_retry_succeeds_once_the_card_works(
    desk: Desk, provider: Provider, clock: ShiftedClock, operator: Operator
) -> None:
    async with desk.running():
        order = await confirmed(desk, "test_card_expires_fail")
        clock.ahead = timedelta(seconds=6)
        await desk.do(shipment(order))
        assert await desk.ended(order, SETTLE) == "SagaFailed"
        assert await desk.domain(order) == UNPAID
        *_, end = await settlement(desk, order)
        assert end.reason == "a new authorisation was refused: card declined"
        assert end.open_items == ("25.00 USD is shipped and not paid",)
        assert provider.calls(order) == ["authorise", "authorise:2"]
        await operator.do(Wish.RETRY, saga_of(order, SETTLE))
        await settled(desk, order, "SagaCompleted")
    assert provider.calls(order)[2:] == ["capture:2", "authorise:3", "capture:3"]
    assert await paid(desk, order) is PaymentStatus.CAPTURED


async def test_a_retry_captures_with_the_first_authorisation_if_only_somebody_on_the_way_refused_it(
    desk: Desk, provider: Provider, operator: Operator
) -> None:
    provider.refuses_captures = True
    async with desk.running():
        order = await confirmed(desk)
        await desk.do(shipment(order))
        assert await desk.ended(order, SETTLE) == "SagaFailed"
        provider.refuses_captures = False
        await operator.do(Wish.RETRY, saga_of(order, SETTLE))
        await settled(desk, order, "SagaCompleted")
    assert provider.calls(order) == ["authorise", "capture", "capture"]
    assert await desk.domain(order) == [*UNPAID, "PaymentCaptured"]


async def test_an_operator_writes_an_unpaid_shipment_off_by_skipping_its_capture(
    desk: Desk, provider: Provider, operator: Operator
) -> None:
    provider.refuses_captures = True
    async with desk.running():
        order = await confirmed(desk)
        await desk.do(shipment(order))
        assert await desk.ended(order, SETTLE) == "SagaFailed"
        await operator.do(Wish.SKIP_STEP, saga_of(order, SETTLE))
        assert await desk.ended(order, SETTLE) == "SagaCompleted"
        with pytest.raises(NotAllowed, match="nothing to undo, since capture_payment was skipped"):
            await operator.do(Wish.COMPENSATE, saga_of(order, SETTLE))
    assert await paid(desk, order) is PaymentStatus.UNPAID


async def test_an_order_whose_authorisation_has_lapsed_is_cancelled_without_an_error(
    desk: Desk, provider: Provider, clock: ShiftedClock
) -> None:
    async with desk.running():
        order = await confirmed(desk)
        clock.ahead = timedelta(days=8)
        await desk.do(cancellation(order))
        assert await desk.ended(order, "unwind_order") == "SagaCompleted"
    assert (await desk.domain(order))[-2:] == ["PaymentVoided", "InventoryReleased"]
    assert await provider.look_up(f"{payment_of(order)}:void") == Approved(f"void_{payment_of(order)}:void")
