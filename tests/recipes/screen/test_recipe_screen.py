"""The worked example of README's recipe "Add a screen": a screen with a key of its own, added by one line."""

from __future__ import annotations

from pathlib import Path

from syrupy.assertion import SnapshotAssertion

from tests.recipes.screen.entry import SALES
from tests.recipes.screen.sales_model import SalesModel
from tests.support.deck_harness import desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import same_picture
from tui.gateway import Unreachable
from tui.registry import VIEWS

STATS = {
    "head": 40,
    "days": [
        {"day": "2026-03-14", "currency": "USD", "orders": 2, "confirmed": 1, "cancelled": 1, "revenue": 999.99},
        {"day": "2026-03-13", "currency": "USD", "orders": 7, "confirmed": 7, "cancelled": 0, "revenue": 7100.10},
    ],
}


def desk_with_sales() -> FakeGateway:
    gateway = desk_with(3)
    gateway.answers["/api/v1/stats"] = STATS
    return gateway


async def test_the_days_are_read_and_sorted_without_a_screen() -> None:
    model = SalesModel(desk_with_sales())
    await model.load()
    assert [day.orders for day in model.days] == [2, 7]
    model.best_first = True
    assert [day.orders for day in model.days] == [7, 2]


async def test_a_key_opens_the_screen_and_the_bottom_line_and_the_help_sheet_name_it() -> None:
    async with opened(desk_with_sales(), size=(140, 60), views=(*VIEWS, SALES)) as deck:
        await deck.press("9")
        await deck.shows("2026-03-13        7         0")
        assert deck.lines()[0].startswith(" orderdeck ▸ Sales  ● LIVE")
        assert deck.lines()[-1].endswith(" 9 Sales")
        assert "o best day first" in deck.lines()[-1]
        await deck.press("?")
        assert any("│   9             Sales" in line for line in deck.lines())
        assert any("│   o             best day first" in line for line in deck.lines())


async def test_its_own_key_sorts_and_esc_undoes_that_and_a_key_leads_back_to_the_orders() -> None:
    async with opened(desk_with_sales(), views=(*VIEWS, SALES)) as deck:
        await deck.press("9")
        await deck.shows("2 days   newest day first")
        await deck.press("o")
        assert [line.strip("▌ ").split()[0] for line in deck.lines() if "2026-" in line] == ["2026-03-13", "2026-03-14"]
        await deck.press("escape")
        assert [line.strip("▌ ").split()[0] for line in deck.lines() if "2026-" in line] == ["2026-03-14", "2026-03-13"]
        await deck.press("escape")
        await deck.shows("ctrl+q quits the deck")
        await deck.press("-")
        assert deck.app.deck.current == "orders"


async def test_it_is_told_of_events_while_another_view_is_shown() -> None:
    gateway = desk_with_sales()
    async with opened(gateway, views=(*VIEWS, SALES)) as deck:
        await deck.press("9")
        await deck.shows("2026-03-13")
        await deck.press("1")
        gateway.fulfil(gateway.place(9))
        await deck.caught_up()
        assert deck.view("sales").model.changes == 3  # OrderCreated, PaymentAuthorized and OrderConfirmed
        await deck.press("9")
        await deck.until(lambda: deck.view("sales").model.changes == 0)  # it reads again when it is entered


async def test_what_could_not_be_read_is_read_again_when_the_feed_is_back() -> None:
    gateway = desk_with_sales()
    async with opened(gateway, views=(*VIEWS, SALES)) as deck:
        gateway.feed_down, gateway.queries_down = True, Unreachable("the desk does not answer")
        gateway.cut_feed()
        await deck.shows("✖ DISCONNECTED")
        await deck.press("9")
        await deck.shows("the desk does not answer")
        gateway.feed_down, gateway.queries_down = False, None
        await deck.shows("2026-03-13")


async def test_the_sales_screen_looks_like_its_picture(snapshot: SnapshotAssertion) -> None:
    async with opened(desk_with_sales(), views=[SALES]) as deck:
        await deck.shows("2026-03-13")
        await same_picture(deck, Path(__file__).parent / "golden/sales-120x36.txt", snapshot)
