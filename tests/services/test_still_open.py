"""What a saga may still hold, in money and in pieces, is what its own history says, wherever it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import asdict

from core.adapters.postgres.queries.queries import PostgresQueries
from core.domain.message import OrderId, saga_of
from core.sagas.wishes import Wish
from core.services.sagas import advance
from daemons.query_api.answers import Open, OpenMoney, OpenStock
from daemons.query_api.open_items import end_of_authorisation, read_saga, still_open
from tests.support.order_desk import Desk
from tests.support.projecting import project
from tests.support.saga_cases import Away, Operator, cancellation, failed, happened, make_unreadable, shipment

MONEY = OpenMoney(amount=Decimal("25.00"), currency="USD")
STOCK = [OpenStock(sku="A", quantity=2)]


async def read_open_items(desk: Desk, order: OrderId, name: str = "fulfil_order") -> Open:
    queries = PostgresQueries(desk.open)
    saga = await queries.saga(saga_of(order, name))
    assert saga is not None
    found = await read_saga(queries, asdict(saga))
    queries.close()
    left = still_open(found, asdict(saga))
    if found.unreadable is None:
        assert (saga.open_amount or 0) == (left.money.amount if left.money else 0), "its row says the same"
    return left


@pytest.fixture
async def operator(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operator]:
    monkeypatch.setattr(advance, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(advance, "LONGEST_WANTED", 0.0)
    desk.scale = 0.0001
    await desk.stock(A=10)
    operator = Operator(desk)
    yield operator
    operator.link.close()


async def test_a_saga_that_tries_its_payment_holds_stock_and_maybe_money(desk: Desk) -> None:
    await desk.stock(A=10)
    desk.gateway = Away(desk, "authorise")  # type: ignore[assignment]
    async with desk.running():
        order = await desk.place(A=2)
        await happened(desk, order, "SagaStepFailed")
    open_items = await read_open_items(desk, order)
    assert (open_items.money, open_items.stock) == (MONEY, STOCK)
    expected = [f"order ORD-{order.hex[-10:]} is not cancelled", "2 x A may be held", "25.00 USD may be authorised"]
    assert [item for item in open_items.items if item in expected] == expected


async def test_a_saga_that_tries_its_void_again_may_hold_stock_and_money(desk: Desk) -> None:
    await desk.stock(A=10)
    desk.gateway = Away(desk, "void")  # type: ignore[assignment]
    async with desk.running():
        order = await desk.place(A=2)
        await desk.ended(order)
        await desk.do(cancellation(order))
        await happened(desk, order, "SagaStepFailed")
    assert await read_open_items(desk, order) == Open(money=None, stock=[], items=[]), (
        "what it held is now another's to give back"
    )
    assert await read_open_items(desk, order, "unwind_order") == Open(
        money=MONEY, stock=STOCK, items=["25.00 USD may be authorised", "2 x A may be held"]
    )


async def test_a_settlement_owes_the_money_when_its_capture_fails_and_when_its_refund_fails_but_no_stock(
    desk: Desk, operator: Operator
) -> None:
    real = desk.gateway
    desk.gateway = Away(desk, "capture")  # type: ignore[assignment]
    async with desk.running():
        order = await desk.place(A=2)
        await desk.ended(order)
        await desk.do(shipment(order))
        await happened(desk, order, "SagaStepFailed")
        expected = Open(money=MONEY, stock=[], items=["25.00 USD is shipped and may not be paid"])
        assert await read_open_items(desk, order, "settle_order") == expected
    connection = await desk.open()
    await connection.execute("UPDATE sagas SET due_at = now() WHERE name = 'settle_order'")
    await connection.close()
    desk.gateway = Away(desk, "refund")  # type: ignore[assignment]
    desk.gateway._real = real  # type: ignore[attr-defined]
    async with desk.running():
        assert await desk.ended(order, "settle_order") == "SagaCompleted"
        assert await read_open_items(desk, order, "settle_order") == Open(money=None, stock=[], items=[])
        await operator.do(Wish.COMPENSATE, saga_of(order, "settle_order"))
        await happened(desk, order, "SagaCompensationFailed")
    expected = Open(money=MONEY, stock=[], items=["25.00 USD may be captured"])
    assert await read_open_items(desk, order, "settle_order") == expected


async def test_a_saga_that_a_person_resolved_has_nothing_open(desk: Desk, operator: Operator) -> None:
    async with desk.running():
        order, saga_id = await failed(desk)
        assert (await read_open_items(desk, order, "unwind_order")).money == MONEY
        await operator.do(Wish.RESOLVE, saga_id)
    assert await read_open_items(desk, order, "unwind_order") == Open(money=None, stock=[], items=[])


async def test_a_saga_whose_table_this_release_lacks_may_have_everything_open(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place(A=2)
        await desk.ended(order)
        connection = await desk.open()
        await connection.execute("UPDATE sagas SET definition = 99, status = 'RUNNING', due_at = now()")
        await connection.close()
        await happened(desk, order, "SagaFailed")
    open_items = await read_open_items(desk, order)
    assert (open_items.money, open_items.stock) == (MONEY, STOCK)
    assert open_items.items == ["25.00 USD may be authorised or captured", "2 x A may be held"]
    assert '"open_items": ["25.00 USD may' in (await desk.timeline(order))[-1].payload


async def test_the_open_items_of_a_saga_that_cannot_be_read_say_so(desk: Desk, dsn: str) -> None:
    await desk.stock(A=10)
    desk.gateway = Away(desk, "authorise")  # type: ignore[assignment]
    async with desk.running():
        order = await desk.place(A=2)
        await happened(desk, order, "SagaStepFailed")
    await make_unreadable(dsn, saga_of(order, "fulfil_order"))
    left = await read_open_items(desk, order)
    assert left.money == MONEY, "its row still says how much"
    (item,) = left.items
    assert "cannot be read" in item
    assert "FromALaterRelease" in item


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (90, "ends in 1 min, at"),
        (5 * 3600, "ends in 5 h, at"),
        (-30, "ended 30 s ago: shipping the order authorises it anew"),
        (-9 * 24 * 3600, "ended 9 days ago: shipping the order authorises it anew"),
    ],
)
def test_the_time_until_an_authorisation_ends_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    ends_at = datetime(2026, 11, 26, 13, 22, 18, tzinfo=UTC)
    assert end_of_authorisation("25.00 USD", ends_at, seconds).startswith(f"the authorisation of 25.00 USD {words}")


async def test_the_money_of_a_confirmed_order_is_open_while_its_authorisation_ends_soon(desk: Desk) -> None:
    await desk.stock(A=10)
    async with desk.running():
        order = await desk.place("test_card_expires", A=2)
        later = await desk.place("card", A=2)
        await desk.ended(later)
        await desk.ended(order)
        await project(desk.open)
        found = await read_open_items(desk, order)
        assert (found.money, found.stock) == (MONEY, [])
        assert found.items[0].startswith("the authorisation of 25.00 USD end"), "it ends, or has ended, after 5 seconds"
        assert (await read_open_items(desk, later)).items == [], "it ends in a week"
        await desk.do(shipment(order))
        assert await desk.ended(order, "settle_order") == "SagaCompleted"
        await project(desk.open)
    assert await read_open_items(desk, order) == Open(money=None, stock=[], items=[])
