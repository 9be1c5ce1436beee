"""Refunds of shipped orders: in parts, never more than was captured, each made once, and told when one is refused."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from core.adapters.postgres.connection import connect
from core.adapters.postgres.evidence import open_evidence
from core.audit.verification import Verification
from core.domain.message import OrderId, StreamId, payment_of, saga_of
from core.domain.order import ORDER
from core.domain.payment import PaymentStatus
from core.domain.provider import Charge, PaymentAnswer
from core.domain.saga import SagaStepStarted
from core.errors import GatewayTimeout, InvalidInput, NotAllowed, NotFound
from core.sagas import SAGAS
from core.services.load import load_state
from tests.support.order_desk import Desk
from tests.support.projecting import project
from tests.support.refunds import REFUND, ask_for_refund, paid, refund_ended, shipped_order, units
from tests.support.saga_cases import Operator, available, shipment


# --- in parts -----------------------------------------------------------------------------------------------
async def test_an_order_is_refunded_in_parts_until_nothing_is_left(desk: Desk) -> None:
    async with desk.running():
        order = await shipped_order(desk)
        await ask_for_refund(desk, order, "12.50", "r-1")
        assert await refund_ended(desk, order, "r-1") == "SagaCompleted"
        payment = await paid(desk, order)
        assert (payment.status, payment.refunded) == (PaymentStatus.PARTLY_REFUNDED, Decimal("12.50"))
        with pytest.raises(NotAllowed, match=r"cannot refund 37\.51 USD: 37\.50 of the 50\.00 captured is left"):
            await ask_for_refund(desk, order, "37.51", "r-2")
        await ask_for_refund(desk, order, "37.5", "r-3")
        assert await refund_ended(desk, order, "r-3") == "SagaCompleted"
        payment = await paid(desk, order)
        assert (payment.status, payment.refunded) == (PaymentStatus.REFUNDED, Decimal("50.00"))
        with pytest.raises(NotAllowed, match=r"0\.00 of the 50\.00 captured is left"):
            await ask_for_refund(desk, order, "0.01", "r-4")
        assert (await ask_for_refund(desk, order, "12.50", "r-1")).answer.version == 5, "asked for already, and done"
    assert desk.gateway._charges[payment_of(order)].refunded == Decimal("50.00")
    keys = [
        each.event.key
        for refund_id in ("r-1", "r-3")
        for each in await desk.store.load(StreamId(saga_of(order, REFUND, refund_id)))
        if isinstance(each.event, SagaStepStarted)
    ]
    assert keys == [f"{payment_of(order)}:refund:r-1", f"{payment_of(order)}:refund:r-3"]
    domain = await desk.domain(order)
    assert domain[-4:] == ["RefundRequested", "PaymentRefunded"] * 2


async def test_of_many_refunds_at_once_no_more_is_made_than_was_captured(desk: Desk) -> None:
    async with desk.running():
        order = await shipped_order(desk)
        asked = await asyncio.gather(
            *(ask_for_refund(desk, order, "20.00", f"r-{n}") for n in range(8)), return_exceptions=True
        )
        refused = [each for each in asked if isinstance(each, NotAllowed)]
        assert (len(asked) - len(refused), len(refused)) == (2, 6), asked
        accepted = [n for n, each in enumerate(asked) if not isinstance(each, BaseException)]
        for n in accepted:
            assert await refund_ended(desk, order, f"r-{n}") == "SagaCompleted"
    assert (await paid(desk, order)).refunded == Decimal("40.00")
    assert desk.gateway._charges[payment_of(order)].refunded == Decimal("40.00")


async def test_a_refund_whose_answer_is_lost_is_made_once(
    desk: Desk, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = desk.gateway.refund
    lost = 3

    async def loses_answers(key: str, **charge: Any) -> PaymentAnswer:
        nonlocal lost
        answer = await real(key, **charge)
        if lost:
            lost -= 1
            raise GatewayTimeout("no answer from the payment provider")
        return answer

    async def finds_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(desk.gateway, "refund", loses_answers)
    monkeypatch.setattr(desk.gateway, "look_up", finds_nothing)
    async with desk.running():
        order = await shipped_order(desk)
        await ask_for_refund(desk, order, "20.00")
        assert await refund_ended(desk, order) == "SagaCompleted"
    assert desk.gateway._charges[payment_of(order)].refunded == Decimal("20.00") == (await paid(desk, order)).refunded
    assert operator


async def test_an_amount_that_is_no_money_is_refused(desk: Desk) -> None:
    async with desk.running():
        order = await shipped_order(desk)
    for amount in ("0", "-1", "0.001", "1.005", "NaN", "sNaN", "Infinity", "1E+99", "1E-99"):
        with pytest.raises(InvalidInput, match="amount"):
            await ask_for_refund(desk, order, amount)


async def test_nothing_is_refunded_of_an_order_that_is_not_shipped_or_not_paid_or_not_there(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await ask_for_refund(desk, OrderId(UUID(int=7)), "1.00")
    await desk.stock(A=10)
    order = await desk.place(A=1)
    with pytest.raises(NotAllowed, match="cannot refund a created order"):
        await ask_for_refund(desk, order, "1.00")
    async with desk.running():
        await desk.ended(order)
        with pytest.raises(NotAllowed, match="cannot refund a confirmed order"):
            await ask_for_refund(desk, order, "1.00")
    await desk.do(shipment(order))  # no runner captures the money
    with pytest.raises(NotAllowed, match="nothing of this order has been captured"):
        await ask_for_refund(desk, order, "1.00")


# --- goods that come back -----------------------------------------------------------------------------------
async def test_goods_come_back_with_a_refund_and_no_more_than_were_shipped(desk: Desk) -> None:
    async with desk.running():
        order = await shipped_order(desk)
        assert await available(desk, "A") == (6, 0)
        await ask_for_refund(desk, order, "12.50", "r-1", (*units(1), *units(1)))
        assert await refund_ended(desk, order, "r-1") == "SagaCompleted"
        assert await available(desk, "A") == (8, 0)
        with pytest.raises(NotAllowed, match="cannot take back 3 of A: 2 were shipped and are not back"):
            await ask_for_refund(desk, order, "12.50", "r-2", units(3))
        with pytest.raises(NotAllowed, match="cannot take back 1 of B: 0 were shipped"):
            await ask_for_refund(desk, order, "12.50", "r-2", units(1, "B"))
        for wrong in (units(0), units(-1), units(1, "A B"), units(1) * 201):
            with pytest.raises(InvalidInput, match="restock"):
                await ask_for_refund(desk, order, "12.50", "r-2", wrong)
        await ask_for_refund(desk, order, "12.50", "r-3", None)  # all that is not back yet
        assert await refund_ended(desk, order, "r-3") == "SagaCompleted"
        assert await available(desk, "A") == (10, 0)
        await ask_for_refund(desk, order, "12.50", "r-4", None)
        assert await refund_ended(desk, order, "r-4") == "SagaCompleted"
    assert await available(desk, "A") == (10, 0), "nothing is left to come back"
    restocked = [each.restock for each in (await load_state(desk.store, ORDER, StreamId(order))).state.refunds]
    assert restocked == [units(2), units(2), ()]


# --- verify -------------------------------------------------------------------------------------------------
async def test_verify_adds_refunds_up_and_names_one_above_what_was_captured(desk: Desk, dsn: str) -> None:
    async with desk.running():
        order, other = await shipped_order(desk), await shipped_order(desk)
        await ask_for_refund(desk, order, "12.50", "r-1", units(1))
        await ask_for_refund(desk, order, "12.50", "r-2")
        await ask_for_refund(desk, other, "50.00", "r-1", None)
        for each, refund_id in ((order, "r-1"), (order, "r-2"), (other, "r-1")):
            assert await refund_ended(desk, each, refund_id) == "SagaCompleted"
    await project(lambda: connect(dsn, name="projector"))
    ledger = {
        payment: Charge(str(payment), "REFUNDED" if c.refunded == c.captured else "CAPTURED",
                        c.authorised, c.captured, c.refunded)
        for payment, c in desk.gateway._charges.items()
    }  # fmt: skip

    async def findings() -> list[str]:
        async with open_evidence(lambda: connect(dsn, name="verify", role=None, limits=False), wait=0) as evidence:
            report = await Verification(evidence, SAGAS, dict(ledger), lambda _done, _of: None).run()
        assert report.sagas == 2 + 2 + 3
        return [finding.what for finding in report.violations if "saga-runner" not in finding.what]

    assert await findings() == []
    theirs = ledger[payment_of(order)]
    ledger[payment_of(order)] = Charge(
        theirs.order_id, "CAPTURED", theirs.authorised, theirs.captured, Decimal("25.01")
    )
    assert [what for what in await findings() if "25.01 refunded" in what]
    ledger[payment_of(order)] = theirs
    async with asyncio.timeout(10):
        connection = await connect(dsn, name="test", role=None, limits=False)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(
        "UPDATE events SET payload = payload || '{\"amount\": 50.00}' WHERE stream_id = $1 AND event_type = $2",
        payment_of(order), "PaymentRefunded",
    )  # fmt: skip
    found = await findings()
    assert "a refund of 50.00, when 0.00 of 50.00 captured were left" in found, found
    await connection.execute(
        "DELETE FROM events WHERE stream_id = $1 AND event_type = $2", payment_of(other), "PaymentRefunded"
    )
    assert any("that was asked for of order" in what for what in await findings())
    await connection.close()
