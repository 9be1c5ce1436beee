"""Refunds that the provider refuses, that a person steers, and that meet the undoing of a settlement."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.postgres.queries.queries import PostgresQueries
from core.domain.message import StreamId, payment_of, saga_of
from core.domain.payment import PaymentStatus
from core.domain.provider import PaymentAnswer, Refused
from core.domain.saga import SagaFailed
from core.errors import NotAllowed
from core.sagas.wishes import Wish
from daemons.query_api.open_items import read_saga, still_open
from tests.support.order_desk import Desk
from tests.support.refunds import REFUND, SETTLE, ask_for_refund, paid, refund_ended, shipped_order, units
from tests.support.saga_cases import Operator, available


def refuses_refunds(desk: Desk, monkeypatch: pytest.MonkeyPatch, keys: list[str]) -> None:
    """The provider refuses every refund for good; the keys of the calls are added to `keys`."""

    async def refused(key: str, **_: Any) -> PaymentAnswer:
        keys.append(key)
        return Refused("the card is closed")

    monkeypatch.setattr(desk.gateway, "refund", refused)


async def test_a_refused_refund_fails_with_its_amount_named_and_no_longer_counts(
    desk: Desk, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []
    async with desk.running():
        order = await shipped_order(desk)
        with monkeypatch.context() as closed:
            refuses_refunds(desk, closed, keys)
            await ask_for_refund(desk, order, "20.00", "r-1", units(1))
            assert await refund_ended(desk, order, "r-1") == "SagaFailed"
        saga_id = saga_of(order, REFUND, "r-1")
        failed = (await desk.store.load(StreamId(saga_id)))[-1].event
        assert isinstance(failed, SagaFailed)
        assert failed.reason == "the card is closed"
        assert failed.open_items == ("20.00 USD is not refunded", "1 x A may not be back in stock")
        row = {"saga_id": saga_id, "order_id": order, "name": REFUND, "definition": 1}
        row |= {"status": "FAILED", "state": "failed"}
        queries = PostgresQueries(desk.open)
        left = still_open(await read_saga(queries, row), row)
        assert (left.money and left.money.amount, [(each.sku, each.quantity) for each in left.stock]) == (
            Decimal("20.00"),
            [("A", 1)],
        )
        assert (await desk.domain(order))[-1] == "PaymentRefundFailed"
        await ask_for_refund(desk, order, "50.00", "r-2", units(4))  # the refused one is not counted
        assert await refund_ended(desk, order, "r-2") == "SagaCompleted"
        await operator.do(Wish.RETRY, saga_id)
        assert await refund_ended(desk, order, "r-1") == "SagaFailed", "nothing is left of the money"
        await operator.do(Wish.RESOLVE, saga_id)
    assert len(keys) == 1, "a retry does not call the provider when our own log says that too little is left"
    assert (await paid(desk, order)).refunded == Decimal("50.00")
    assert await available(desk, "A") == (10, 0)


async def test_a_skipped_refund_takes_back_only_what_no_other_refund_has_taken_back(
    desk: Desk, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.running():
        order = await shipped_order(desk)
        with monkeypatch.context() as closed:
            refuses_refunds(desk, closed, [])
            await ask_for_refund(desk, order, "20.00", "r-1", units(3))
            assert await refund_ended(desk, order, "r-1") == "SagaFailed"
        await ask_for_refund(desk, order, "10.00", "r-2", units(2))
        assert await refund_ended(desk, order, "r-2") == "SagaCompleted"
        await operator.do(Wish.SKIP_STEP, saga_of(order, REFUND, "r-1"))
        assert await refund_ended(desk, order, "r-1") == "SagaCompleted"
    assert await available(desk, "A") == (10, 0)


async def test_what_is_left_is_refunded_when_an_operator_undoes_a_settlement(desk: Desk, operator: Operator) -> None:
    async with desk.running():
        order = await shipped_order(desk)
        await ask_for_refund(desk, order, "20.00")
        assert await refund_ended(desk, order) == "SagaCompleted"
        await operator.do(Wish.COMPENSATE, saga_of(order, SETTLE))
        async with asyncio.timeout(30):
            while await desk.ended(order, SETTLE) != "SagaCompensated":
                await asyncio.sleep(0.01)
    payment = await paid(desk, order)
    assert (payment.status, payment.refunded) == (PaymentStatus.REFUNDED, Decimal("50.00"))
    assert desk.gateway._charges[payment_of(order)].refunded == Decimal("50.00")


async def test_a_refund_and_the_undoing_of_a_settlement_exclude_each_other(desk: Desk, operator: Operator) -> None:
    async with desk.running():
        order = await shipped_order(desk)
    await ask_for_refund(desk, order, "20.00")  # no runner is at work, so both stay under way
    with pytest.raises(NotAllowed, match=r"a refund of 20\.00 is under way"):
        await operator.do(Wish.COMPENSATE, saga_of(order, SETTLE))
    async with desk.running():
        other = await shipped_order(desk)
    await operator.do(Wish.COMPENSATE, saga_of(other, SETTLE))
    with pytest.raises(NotAllowed, match=f"refunded already: saga {saga_of(other, SETTLE)}"):
        await ask_for_refund(desk, other, "20.00")
