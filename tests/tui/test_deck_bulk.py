from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from core.filters.order_language import parse
from core.filters.order_query import OrderQuery
from tests.support.deck_harness import desk_with, opened
from tests.support.fake_desk import START
from tests.support.fake_gateway import FakeGateway
from tui.gateway import CommandAccepted, CommandToSend, ServiceRefused, TimedOut
from tui.viewmodels import bulk as bulk_module
from tui.viewmodels.bulk import Bulk, BulkOrder, TooMany, matching, sums


async def everything(gateway: FakeGateway, text: str = "") -> list[BulkOrder]:
    return [order async for page in matching(gateway, parse(text, START)) for order in page]


async def test_a_frozen_filter_has_every_order_that_matched_and_none_that_came_later() -> None:
    gateway = desk_with(23)
    gateway.page = 5
    query = parse("status:created", START)
    frozen = list[BulkOrder]()
    async for orders in matching(gateway, query):
        frozen += orders
        gateway.place(1_000 + len(frozen))
    assert sorted(o.number for o in frozen) == [f"ORD-{n:010}" for n in range(0, 23, 3)]


async def test_more_orders_than_one_command_takes_are_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_module, "MOST_ORDERS", 10)
    gateway = desk_with(11)
    gateway.page = 4
    with pytest.raises(TooMany, match="more than 10 orders match"):
        await everything(gateway)
    assert not gateway.sent


async def test_a_dry_run_says_what_would_be_done_and_why_not_and_sends_nothing() -> None:
    gateway = desk_with(9)
    orders = await everything(gateway)
    bulk = Bulk(gateway, "cancel", {"reason": "recall"}, orders)
    await bulk.rehearse()
    assert not gateway.sent
    assert (len(bulk.those("would be done")), len(bulk.those("would be refused"))) == (6, 3)
    assert bulk.reasons() == [("cannot cancel an order that is CANCELLED", 3)]
    await bulk.run(stop_at_failure=True)
    assert {order.status for order in gateway.views.values()} == {"CANCELLED"}
    assert len(bulk.those("done")) == len(gateway.sent) == 6
    assert [line.split("  ")[2] for line in bulk.report()] == ["would be refused"] * 3 + ["done"] * 6


@pytest.mark.parametrize(("stops", "done"), [(True, 2), (False, 4)])
async def test_a_bulk_command_stops_at_the_first_failure_or_goes_on(*, stops: bool, done: int) -> None:
    class Failing(FakeGateway):
        async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
            if command.subject_id in (ids[2], ids[4]):
                raise ServiceRefused(500, "internal", "a fault")
            return await super().send(command, key=key)

    gateway = Failing()
    ids = [gateway.place(n) for n in range(6)][::-1]
    bulk = Bulk(gateway, "confirm", {}, await everything(gateway))
    await bulk.rehearse()
    await bulk.run(stop_at_failure=stops)
    assert len(bulk.those("done")) == done
    await bulk.run(stop_at_failure=False)
    assert (len(bulk.those("done")), len(bulk.those("refused"))) == (4, 2)


async def test_a_lost_answer_in_a_bulk_command_records_nothing_twice() -> None:
    gateway = FakeGateway()
    for n in range(4):
        gateway.place(n)
    gateway.lose_answers = 2
    bulk = Bulk(gateway, "cancel", {"reason": "recall"}, await everything(gateway))
    await bulk.rehearse()
    await bulk.run(stop_at_failure=True)
    assert len(bulk.those("done")) == 4
    assert sum(event["event_type"] == "OrderCancelled" for event in gateway.log) == 4


async def test_orders_whose_outcome_is_unknown_can_be_sent_again_under_their_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.receipts.PAUSE", 0)
    gateway = FakeGateway()
    gateway.place(1)
    bulk = Bulk(gateway, "cancel", {"reason": "recall"}, await everything(gateway))
    await bulk.rehearse()
    gateway.commands_down = TimedOut("no answer")
    await bulk.run(stop_at_failure=True)
    assert (len(bulk.those("failed")), bulk.why[bulk.orders[0].order_id]) == (1, "no answer")
    gateway.commands_down = None
    await bulk.run(stop_at_failure=True)
    assert len({key for _, key in gateway.sent}) == 1
    assert len(bulk.those("done")) == 1


def test_sums_are_told_by_currency() -> None:
    orders = [BulkOrder(str(n), "A", Decimal(n), code) for n, code in ((5, "USD"), (7, "JPY"), (2, "USD"))]
    assert sums(orders) == "7 JPY + 7.00 USD"
    assert sums([]) == "nothing"


async def test_marked_orders_are_cancelled_after_a_dry_run_and_their_number() -> None:
    gateway = desk_with(9)
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.press("b")
        assert "mark orders with space first" in deck.text()
        await deck.press("space", "space", "space")
        assert "3 marked" in deck.text()
        await deck.press("b", "c")
        await deck.type("recall")
        await deck.press("enter")
        await deck.shows("2 would be done")
        await deck.shows("1 × cannot cancel an order that is CANCELLED")
        await deck.type("3")
        await deck.press("enter")
        assert "type 2 to send" in deck.text()
        assert not gateway.sent
        await deck.press("backspace", "2", "enter")
        await deck.shows("✔ 2 done")
        await deck.press("ctrl+y", "escape")
        await deck.shows("cancel: 2 of 3 orders done")
        assert [command.body for command, _ in gateway.sent] == [{"reason": "recall"}] * 2
        assert not deck.desk.marks


async def test_all_orders_of_a_filter_are_confirmed_and_a_stopped_command_is_taken_up_again() -> None:
    class Stopping(FakeGateway):
        stop: Callable[[], None] = staticmethod(lambda: None)

        async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
            accepted = await super().send(command, key=key)
            if len(self.sent) == 2:
                self.stop()
            return accepted

    gateway = Stopping()
    for n in range(12):
        gateway.place(n)
    async with opened(gateway) as deck:
        gateway.stop = lambda: deck.app.screen.pressed("escape")  # type: ignore[attr-defined] - the bulk dialog
        await deck.press("/")
        await deck.type("status:created")
        await deck.press("enter")
        await deck.until(lambda: deck.desk.orders.query == OrderQuery(status=("CREATED",)))
        await deck.press("b", "o")
        await deck.shows("12 would be done")
        await deck.type("12")
        await deck.press("enter")
        await deck.shows("10 would be done")
        assert "✔ 2 done" in deck.text()
        await deck.type("10")
        await deck.press("enter")
        await deck.shows("✔ 12 done")


async def test_a_sort_and_a_saved_view_are_chosen_from_menus_and_a_heading_sorts() -> None:
    gateway = desk_with(9)
    async with opened(gateway, size=(120, 24)) as deck:
        await deck.press("o", "5")
        await deck.shows("largest amount first")
        assert "AMOUNT▼" in deck.text()
        amounts = [order.total_amount for order in deck.desk.orders.window]
        assert amounts == sorted(amounts, reverse=True)
        x = deck.lines()[3].index("CREATED")
        await deck.pilot.click(offset=(x, 3))
        await deck.shows("newest first")
        await deck.pilot.click(offset=(deck.lines()[3].index("CREATED"), 3))
        await deck.shows("oldest first")


async def test_the_view_of_ones_own_orders_has_those_to_which_this_deck_sent_a_command() -> None:
    gateway = desk_with(6)
    async with opened(gateway, size=(120, 24)) as deck:
        await deck.press("v", "4")
        await deck.shows("this deck has sent no command to an order yet")
        await deck.press("j", "c")
        await deck.type("no want")
        await deck.press("enter")
        await deck.until(lambda: deck.desk.own.order_ids)
        await deck.press("v", "4")
        await deck.until(lambda: deck.desk.orders.total == 1)
        assert [order.order_id for order in deck.desk.orders.window] == deck.desk.own.order_ids
