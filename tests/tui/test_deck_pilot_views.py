from __future__ import annotations

from tests.support.deck_harness import Deck, desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tui.messages import OpenView
from tui.viewmodels.ring import RingFrame


async def with_detail(deck: Deck, n: int = 1) -> str:
    """Open the order of desk_with's n-th kind; its id."""
    order_id = list(deck.gateway.views)[n]
    deck.app.deck.post_message(OpenView("detail", order_id))
    await deck.until(lambda: (model := deck.view("detail").model) is not None and model.phase == "ready")
    await deck.pilot.pause()
    return order_id


async def test_an_order_shows_its_history_and_the_state_at_the_chosen_event() -> None:
    async with opened(desk_with(3)) as deck:
        await deck.press("j", "enter")
        await deck.shows("├●─·─▪─·┄38.0s┄$─●─◉┤")
        assert "\n ◆ CONFIRMED · AUTHORIZED" in deck.text()
        await deck.press(",")
        await deck.until(lambda: any("▸status" in row and "CONFIRMED  was CREATED" in row for row in deck.lines()))
        assert "VIEWING event 6 of 7, 09:28:31, not live   ◆ CONFIRMED · AUTHORIZED" in deck.text()
        await deck.press(",")
        await deck.shows('"amount": "1999.98"')
        await deck.press("L")
        await deck.until(lambda: "VIEWING" not in deck.text())


async def test_the_chosen_past_event_stays_while_others_arrive_and_no_command_can_be_sent_from_it() -> None:
    gateway = desk_with(2)
    async with opened(gateway) as deck:
        order_id = await with_detail(deck)
        await deck.press("<")
        await deck.shows("1/7")
        gateway.record("order", order_id, "OrderShipped", {"carrier": "dhl", "tracking_number": "1"})
        await deck.shows("1/8")
        await deck.press("c")
        await deck.shows("you are viewing the past: L first, which returns to live")
        assert not gateway.sent
        await deck.press("L")
        await deck.shows("8/8")
        gateway.record("order", order_id, "OrderDelivered", {})
        await deck.shows("9/9")
        assert "✔ DELIVERED" in deck.text()


async def test_esc_leads_from_an_order_back_to_the_view_that_opened_it() -> None:
    async with opened(desk_with(3)) as deck:
        await deck.press("2", "x")
        await deck.shows("HISTORY")
        await deck.press("escape")
        assert deck.app.deck.current == "stream"
        await deck.press("1", "enter", "q")
        assert deck.app.deck.current == "orders"
        await deck.press("q")
        await deck.shows("ctrl+q quits the deck")
        assert deck.app.is_running


async def test_an_event_opens_in_full_and_leads_to_its_order() -> None:
    async with opened(desk_with(2)) as deck:
        await deck.press("2", "enter")
        await deck.shows("SagaCompleted  at position 8")
        await deck.press("x", "o")
        await deck.shows("HISTORY")
        assert deck.app.deck.current == "detail"


async def test_an_event_of_no_order_says_so() -> None:
    gateway = FakeGateway()
    gateway.record("inventory", "stock-1", "StockReplenished", {"sku": "S", "quantity": 5})
    gateway.log[-1]["metadata"] = {}
    async with opened(gateway) as deck:
        await deck.press("2", "x")
        await deck.shows("this event belongs to no order")


async def test_a_terminal_that_is_too_small_says_so_and_the_keys_still_work() -> None:
    async with opened(desk_with(1), size=(79, 24)) as deck:
        await deck.shows("This terminal is 79×24.")
        await deck.press("2")
        await deck.pilot.resize_terminal(80, 24)
        await deck.shows("● FOLLOW")


async def test_when_the_feed_skips_events_the_view_is_read_again() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        before = len(gateway.queries)
        deck.desk.feed.take(b'event: skipped\ndata: {"after": 15, "before": 40, "count": 24}')
        await deck.until(lambda: len(gateway.queries) == before + 1)
        await deck.press("2")
        await deck.shows("lost 24")


async def test_the_top_line_warns_when_the_read_models_are_behind() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        gateway.lag = type(await gateway.health())(head=99, lag_events=40, lag_seconds=4.2)
        await deck.desk.measure()
        await deck.shows("▲ BEHIND 4.2s")


HOSTILE = [
    {"note": "[bold]not markup[/bold] [/] [red"},
    {"note": "\x1b[2J\x1b]0;owned\x07\x9b31m \r\n\t\x00 end"},
    {"note": "x" * 1_000_000},
    {"note": "\u202eRTL\u202c zero\u200bwidth 日本語 \U0001f469\u200d\U0001f467 e" + "\u0301" * 50},
    {
        "sku": "[link=javascript:1]",
        "quantity": {"deep": [[]]},
        "reason": ["\x1b"] * 3,
        "items": "none",
        "amount": "NaN",
    },
]


async def test_no_control_code_in_the_data_reaches_the_terminal() -> None:
    gateway = desk_with(1)
    order_id = next(iter(gateway.views))
    for payload in HOSTILE:
        gateway.record("payment", "\x1b[31m[bold]", "Payment\x1b[0mFailed", payload, order_id)
    gateway.place(5, customer="[bold]\x1b[2Jevil" + "z" * 90_000, sku="\x9b[/]")
    async with opened(gateway, size=(80, 24)) as deck:
        deck.desk.ring.push(RingFrame(999, "Payment\x1b[5mFailed", b"\xff{not json\x1b[2J"))
        for view in ("1", "2", "enter", "escape", "x"):
            await deck.press(view)
            await deck.pilot.pause()
            assert not {"\x1b", "\x9b", "\x07", "\x00", "\r", "\t"} & set(deck.text())
            assert len(deck.lines()) == 24
        await with_detail(deck, 0)
        for _ in HOSTILE:
            await deck.press(",")
            assert not {"\x1b", "\x9b", "\x00"} & set(deck.text())
        await deck.press("1", "/")
        await deck.type("[b]\"'")
        await deck.press("enter")
        await deck.pilot.pause()
        assert deck.app.is_running
