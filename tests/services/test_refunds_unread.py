"""Refunds whose event cannot be read: no money moves until it is mended, then once; or never, when it is skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from core.adapters.postgres import saga_log
from core.adapters.postgres.connection import connect
from core.adapters.postgres.dead_letters import PostgresDeadLetters
from core.adapters.postgres.evidence import open_evidence
from core.audit.verification import Report, Verification
from core.domain.message import OrderId, StreamId, payment_of, saga_of
from core.domain.saga import SagaFailed
from core.ports.dead_letters import DeadLetterSearch
from core.ports.sagas import READER
from core.sagas import SAGAS
from core.sagas.wishes import Wish
from core.services.dead_letters import LetterDesk, LetterWish, act_on
from tests.support.order_desk import Desk
from tests.support.refunds import REFUND, ask_for_refund, paid, refund_ended, shipped_order, units
from tests.support.saga_cases import ADA, Operator, available


@pytest.fixture
async def letters(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LetterDesk]:
    monkeypatch.setattr(saga_log, "TRY_AGAIN", (0.01, 0.01, 0.01))
    letters = PostgresDeadLetters(desk.open)
    yield LetterDesk(desk.store, letters, desk.clock)
    letters.close()


async def change(dsn: str, sql: str, *values: Any) -> None:
    owner = await asyncpg.connect(dsn)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(sql, *values)
    await owner.close()


async def make_refund_unreadable(desk: Desk, dsn: str, order: OrderId, sets: str) -> str:
    """Ask for a refund, and damage its event before a runner sees it. Returns the payload that it had."""
    await ask_for_refund(desk, order, "20.00", "r-1", units(1))
    [asked] = [each for each in await desk.timeline(order) if each.event_type == "RefundRequested"]
    await change(dsn, f"UPDATE events SET {sets} WHERE event_id = $1", asked.event_id)
    return asked.payload


async def act(letters: LetterDesk, wish: LetterWish) -> str:
    """Act on the one dead letter as soon as there is one that was tried four times."""
    async with asyncio.timeout(30):
        while True:
            found = await letters.letters.find(DeadLetterSearch(reader=READER))
            if found and found[0].tries >= 4:
                break
            await asyncio.sleep(0.02)
    [letter] = found
    assert letter.event_type == "RefundRequested"
    _, result = await act_on(letters, letter.id, wish, "because", ADA)
    assert result is not None
    return result.state


async def verified(dsn: str) -> Report:
    async with open_evidence(lambda: connect(dsn, name="verify", role=None, limits=False), wait=0) as evidence:
        return await Verification(evidence, SAGAS, None, lambda _done, _of: None).run()


@pytest.mark.parametrize(("sets", "about_is_read"), [("schema_version = 99", True), ("payload = '{}'", False)])
async def test_no_money_moves_while_it_waits_and_after_the_mend_it_is_refunded_once(
    desk: Desk, dsn: str, letters: LetterDesk, sets: str, *, about_is_read: bool
) -> None:
    async with desk.running():
        order = await shipped_order(desk)
    payload = await make_refund_unreadable(desk, dsn, order, sets)
    [asked] = [each for each in await desk.timeline(order) if each.event_type == "RefundRequested"]
    about = "r-1" if about_is_read else str(asked.event_id)
    async with desk.running():
        assert await act(letters, LetterWish.RETRY) == "fails"
        assert (await paid(desk, order)).refunded == 0
        with pytest.raises(Exception, match=r"RefundRequested|missing required field"):
            await ask_for_refund(desk, order, "5.00", "r-2")
        await change(
            dsn, "UPDATE events SET schema_version = 1, payload = $2 WHERE event_id = $1", asked.event_id, payload
        )
        assert await act(letters, LetterWish.RETRY) == "done"
        assert await refund_ended(desk, order, about) == "SagaCompleted"
    assert (await paid(desk, order)).refunded == Decimal("20.00")
    assert desk.gateway._charges[payment_of(order)].refunded == Decimal("20.00")
    assert await available(desk, "A") == (7, 0)
    assert (await verified(dsn)).violations == []


async def test_a_refund_that_is_skipped_is_not_made_and_its_saga_says_so_until_a_person_resolves_it(
    desk: Desk, dsn: str, letters: LetterDesk, operator: Operator
) -> None:
    async with desk.running():
        order = await shipped_order(desk)
    await make_refund_unreadable(desk, dsn, order, "schema_version = 99")
    saga_id = saga_of(order, REFUND, "r-1")
    async with desk.running():
        assert await act(letters, LetterWish.SKIP) == "done"
        assert await refund_ended(desk, order) == "SagaFailed"
        failed = (await desk.store.load(StreamId(saga_id)))[-1].event
        assert isinstance(failed, SagaFailed)
        assert failed.reason == "the event that started it is left out"
        await ask_for_refund(desk, order, "5.00", "r-2")
        assert await refund_ended(desk, order, "r-2") == "SagaCompleted"
        await operator.do(Wish.RETRY, saga_id)
        async with asyncio.timeout(10):
            while len([e for e in await desk.store.load(StreamId(saga_id)) if isinstance(e.event, SagaFailed)]) < 2:
                await asyncio.sleep(0.01)
        await operator.do(Wish.RESOLVE, saga_id)
    assert desk.gateway._charges[payment_of(order)].refunded == Decimal("5.00")
    assert (await verified(dsn)).violations == []
