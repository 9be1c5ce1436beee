"""Sagas of which an event cannot be read: they are dead letters of the saga runner until it is mended or skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from msgspec.structs import asdict

from core.adapters.postgres import saga_log
from core.adapters.postgres.connection import connect
from core.adapters.postgres.dead_letters import PostgresDeadLetters
from core.adapters.postgres.evidence import open_evidence
from core.adapters.postgres.queries.queries import PostgresQueries
from core.audit.verification import Report, Verification
from core.domain.message import OrderId, Sku, StreamId, inventory_stream, saga_of
from core.ports.dead_letters import DeadLetter, DeadLetterSearch
from core.ports.sagas import READER
from core.sagas import SAGAS
from core.sagas.wishes import Wish
from core.services.dead_letters import LetterDesk, LetterResult, LetterWish, act_on, retry_all, try_out
from core.services.execute import Terms
from core.services.past_sagas import PastSaga
from daemons.query_api.open_items import read_saga
from tests.support.order_desk import Desk
from tests.support.saga_cases import ADA, Operator, available, make_unreadable, shipment

MEND = """
UPDATE events SET event_type = 'StockReplenished', schema_version = 1, payload = '{"sku": "A", "quantity": 0}'
 WHERE position = $1
"""  # an event that the folds of sagas, orders and payments pass over
ROW = "SELECT status, claims, last_error, set_aside FROM sagas WHERE order_id = $1"


class Letters:
    """The dead letters of a desk, and an operator who acts on them."""

    def __init__(self, desk: Desk, dsn: str) -> None:
        self._dsn = dsn
        self.all = PostgresDeadLetters(desk.open)
        self.desk = LetterDesk(desk.store, self.all, desk.clock)

    async def found(self, wanted: int, tries: int = 1) -> list[DeadLetter]:
        async with asyncio.timeout(30):
            while True:
                letters = await self.all.find(DeadLetterSearch())
                if len(letters) == wanted and all(letter.tries >= tries for letter in letters):
                    return list(letters)
                await asyncio.sleep(0.02)

    async def mend(self, letter: DeadLetter) -> None:
        owner = await asyncpg.connect(self._dsn)
        await owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        await owner.execute(MEND, letter.position)
        await owner.execute("ALTER TABLE events ENABLE TRIGGER ALL")
        await owner.close()

    async def act(self, letter: DeadLetter, wish: LetterWish) -> LetterResult:
        _, result = await act_on(self.desk, letter.id, wish, "because", ADA)
        assert result is not None
        return result

    async def row(self, order: OrderId) -> Any:
        owner = await asyncpg.connect(self._dsn)
        try:
            return await owner.fetchrow(ROW, order)
        finally:
            await owner.close()


@pytest.fixture
async def letters(desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Letters]:
    monkeypatch.setattr(saga_log, "TRY_AGAIN", (0.01, 0.01, 0.01))
    letters = Letters(desk, dsn)
    yield letters
    letters.all.close()


async def under_way(desk: Desk) -> OrderId:
    """An order whose saga has tried the payment once and waits; no runner is there."""
    order = await desk.place("test_card_flaky")
    async with desk.running("earlier"):
        async with asyncio.timeout(60):
            while "SagaStepFailed" not in [e.event_type for e in await desk.timeline(order)]:
                await asyncio.sleep(0.005)
    return order


def streams(order: OrderId) -> dict[str, StreamId]:
    return {
        "saga": StreamId(saga_of(order, "fulfil_order")),
        "order": StreamId(order),
        "inventory": inventory_stream(Sku("A")),
    }


@pytest.mark.parametrize(("category", "damaged"), [("saga", False), ("order", True)])
async def test_it_waits_as_a_dead_letter_while_others_flow_and_a_retry_after_the_mend_finishes_it(
    desk: Desk, dsn: str, letters: Letters, category: str, *, damaged: bool
) -> None:
    await desk.stock(A=10)
    order = await under_way(desk)
    await make_unreadable(dsn, streams(order)[category], damaged=damaged)
    async with desk.running("one"), desk.running("two"):
        assert await desk.ended(await desk.place()) == "SagaCompleted"
        [letter] = await letters.found(1, tries=4)  # after that, the runners wait for half a minute
        assert (letter.reader, letter.row, letter.category) == (READER, saga_of(order, "fulfil_order"), category)
        assert (letter.correlation_id, letter.retry_at is not None) == (order, True)
        assert ("FromALaterRelease" in letter.error) is not damaged
        row = await letters.row(order)
        assert (row["status"], row["claims"], row["set_aside"]) == ("RUNNING", 0, True)
        assert ("waits for a later release" in row["last_error"]) is not damaged
        tried = await try_out(letters.desk, letter)
        assert (tried.applied, tried.error) == (0, letter.error)
        assert (await letters.act(letter, LetterWish.RETRY)).state == "fails"
        await letters.mend(letter)
        tried = await try_out(letters.desk, letter)
        assert (tried.applied, tried.error) == (1 + letter.waiting, "")
        _, [result] = await retry_all(letters.desk, DeadLetterSearch(reader=READER), "mended", Terms())
        assert result.state == "done"
        assert await desk.ended(order) == "SagaCompleted"
    assert await letters.found(0) == []
    assert await available(desk, "A") == (8, 2)
    acts = [e.event_type for e in await desk.timeline(order) if e.category == "reader"]
    assert acts == ["DeadLetterRetried", "DeadLetterRetried"]


async def verified(dsn: str) -> Report:
    async with open_evidence(lambda: connect(dsn, name="verify", role=None, limits=False), wait=0) as evidence:
        return await Verification(evidence, SAGAS, None, lambda _done, _of: None).run()


async def shown_and_folded(desk: Desk, order: OrderId) -> None:
    """The query API can read the saga and its order, now and as of an earlier moment."""
    queries = PostgresQueries(desk.open)
    row = await queries.saga(saga_of(order, "fulfil_order"))
    assert row is not None
    unfinished = asdict(row) | {"status": "RUNNING"}  # so that its order is read too
    found = await read_saga(queries, unfinished)
    assert found.unreadable is None
    assert found.order is not None
    assert found.fold.progress is not None
    assert (found.order.status, found.fold.progress.status) == ("CONFIRMED", "COMPLETED")
    past = PastSaga()
    for stored in await queries.events_of_stream(row.saga_id, after=0, limit=1_000):
        past.take(stored)
    queries.close()
    listing = past.listing(found.order, None, desk.clock.now())
    assert listing is not None
    assert listing.status == "COMPLETED"


@pytest.mark.parametrize("category", ["saga", "order", "inventory"])
async def test_a_skipped_event_is_left_out_by_the_saga_and_by_commands_for_ever(
    desk: Desk, dsn: str, letters: Letters, category: str
) -> None:
    await desk.stock(A=10)
    order = await under_way(desk) if category != "inventory" else await desk.place()
    await make_unreadable(dsn, streams(order)[category])
    async with desk.running():
        [letter] = await letters.found(1, tries=4)
        assert (await letters.act(letter, LetterWish.SKIP)).state == "done"
        assert await desk.ended(order) == "SagaCompleted"
        await shown_and_folded(desk, order)
        await desk.do(shipment(order))
        assert await desk.ended(order, "settle_order") == "SagaCompleted"
        assert await desk.ended(await desk.place()) == "SagaCompleted"
    assert await letters.found(0) == []
    report = await verified(dsn)
    assert (report.violations, len(report.vouched)) == ([], 1)


async def test_an_order_whose_first_event_cannot_be_read_has_a_saga_that_waits(
    desk: Desk, dsn: str, letters: Letters
) -> None:
    await desk.stock(A=10)
    order = await desk.place()
    owner = await asyncpg.connect(dsn)
    await owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    payload = await owner.fetchval("SELECT payload FROM events WHERE stream_id = $1", order)
    change = "UPDATE events SET payload = $2 WHERE stream_id = $1"
    await owner.execute(change, order, "{}")
    async with desk.running():
        assert await desk.ended(await desk.place()) == "SagaCompleted"
        [letter] = await letters.found(1, tries=4)
        assert (letter.event_type, letter.version) == ("OrderCreated", 1)
        await owner.execute(change, order, payload)
        assert (await letters.act(letter, LetterWish.RETRY)).state == "done"
        assert await desk.ended(order) == "SagaCompleted"
    await owner.execute("ALTER TABLE events ENABLE TRIGGER ALL")
    await owner.close()


async def test_without_its_first_event_an_order_can_never_be_fulfilled_and_its_saga_says_so_at_once(
    desk: Desk, dsn: str, letters: Letters
) -> None:
    order = await desk.place()
    owner = await asyncpg.connect(dsn)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("UPDATE events SET schema_version = 99 WHERE stream_id = $1", order)
    await owner.close()
    async with desk.running():
        [letter] = await letters.found(1, tries=4)
        assert (await letters.act(letter, LetterWish.SKIP)).state == "done"
        assert await desk.ended(order) == "SagaFailed"
        row = await letters.row(order)
        assert (row["status"], row["last_error"]) == ("FAILED", "the event that started it is left out")
        operator = Operator(desk)
        await operator.do(Wish.RESOLVE, saga_of(order, "fulfil_order"))
        operator.link.close()
    assert (await verified(dsn)).violations == []


async def test_an_operator_who_ends_the_saga_another_way_ends_its_dead_letter_too(
    desk: Desk, dsn: str, letters: Letters
) -> None:
    await desk.stock(A=10)
    order = await under_way(desk)
    await make_unreadable(dsn, order)
    async with desk.running():
        [letter] = await letters.found(1, tries=4)
    await letters.mend(letter)
    operator = Operator(desk)
    await operator.do(Wish.COMPENSATE, saga_of(order, "fulfil_order"))
    operator.link.close()
    assert await letters.found(0) == []
    async with desk.running():
        assert await desk.ended(order) == "SagaCompensated"
