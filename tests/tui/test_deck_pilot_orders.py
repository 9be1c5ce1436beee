from __future__ import annotations

import asyncio
import base64

from tests.support.deck_harness import desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tui.clipboard import Clipboard
from tui.dialogs.ask import Ask
from tui.gateway import ServiceRefused, Unreachable


async def test_the_list_shows_the_newest_orders_first_with_their_status() -> None:
    async with opened(desk_with(3)) as deck:
        rows = [line for line in deck.lines() if line[1:5] == "ORD-"]
        assert [row[1:].split()[0] for row in rows] == [f"ORD-{n:010}" for n in (2, 1, 0)]
        assert ["✖ CANCELLED" in rows[0], "◆ CONFIRMED" in rows[1], "○ CREATED" in rows[2]] == [True] * 3
        assert "3 orders" in deck.text()
        assert "row 1/3" in deck.text()


async def test_a_status_changes_in_place_while_new_orders_wait() -> None:
    gateway = desk_with(4)
    async with opened(gateway) as deck:
        await deck.press("j")
        before = [line[1:15] for line in deck.lines() if line[1:5] == "ORD-"]
        gateway.fulfil(next(iter(gateway.views)))
        for n in range(10, 47):
            gateway.place(n)
        await deck.shows("▲ 37 new (.)")
        assert [line[1:15] for line in deck.lines() if line[1:5] == "ORD-"] == before
        assert next(line for line in deck.lines() if "ORD-0000000000" in line).count("◆ CONFIRMED") == 1
        chosen = deck.desk.orders.chosen
        await deck.press(".")
        await deck.until(lambda: not deck.desk.orders.new)
        assert deck.desk.orders.chosen == chosen
        assert "new (.)" not in deck.text()


async def test_an_empty_desk_says_what_to_do() -> None:
    async with opened(FakeGateway()) as deck:
        assert "No orders yet" in deck.text()
        assert "n places the first one" in deck.text()
        await deck.press("enter", "j", "G", "g", "a", "c", "y", ".")
        assert "no new orders wait" in deck.text()


async def test_the_filter_asks_the_server_and_typing_q_there_does_not_quit() -> None:
    async with opened(desk_with(9)) as deck:
        await deck.press("/")
        await deck.type("status:confirmed")
        await deck.press("enter")
        await deck.shows("3 orders match")
        assert deck.gateway.queries[-1].status == ("CONFIRMED",)
        await deck.press("/", "q")
        assert deck.view("orders").filter.value == "status:confirmedq"
        await deck.shows("✖ no status confirmedq")
        await deck.press("escape", "escape")
        await deck.shows("9 orders")
        assert deck.app.is_running


async def test_a_filter_that_matches_nothing_says_so() -> None:
    async with opened(desk_with(2)) as deck:
        await deck.press("/")
        await deck.type("customer:nobody")
        await deck.press("enter")
        await deck.shows("No order matches this filter")


async def test_a_list_that_cannot_be_read_says_why_and_comes_back() -> None:
    gateway = desk_with(2)
    gateway.queries_down = ServiceRefused(503, "unavailable", "the database is away")
    async with opened(gateway) as deck:
        await deck.shows("✖ the database is away")
        gateway.queries_down = None
        await deck.press("ctrl+r")
        await deck.shows("2 orders")


async def test_confirming_asks_first_and_then_says_when_it_was_accepted_and_seen() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        await deck.press("a", "o")
        assert "Confirm ORD-0000000000?" in deck.text()
        await deck.press("x", "n")
        await deck.shows("nothing was sent")
        assert not gateway.sent
        await deck.press("a", "o", "y")
        await deck.shows("✔ confirm ORD-0000000000")
        assert "accepted 0 ms → event 2 → visible in the view 0 ms" in deck.text()
        await deck.shows("◆ CONFIRMED")


async def test_shipping_needs_carrier_and_tracking_and_cancelling_a_reason() -> None:
    gateway = desk_with(2)
    async with opened(gateway) as deck:
        await deck.press("a", "s", "enter")
        assert isinstance(deck.app.screen, Ask)
        assert "Carrier is needed" in deck.text()
        await deck.type("dhl")
        await deck.press("enter")
        await deck.type("q1")
        await deck.press("enter")
        await deck.shows("✔ ship ORD-0000000001")
        command, key = gateway.sent[-1]
        assert command.body == {"carrier": "dhl", "tracking_number": "q1"}
        assert key.startswith("deck-")
        await deck.press("a")
        await deck.shows("d   Deliver")
        await deck.press("escape", "j", "c")
        await deck.type("no stock")
        await deck.press("enter")
        await deck.shows("✔ cancel ORD-0000000000")
        assert gateway.sent[-1][0].body == {"reason": "no stock"}


async def test_a_key_that_the_status_does_not_allow_says_why_and_sends_nothing() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        await deck.press("c")
        await deck.shows("cannot cancel an order that is CANCELLED: it has ended")
        await deck.press("a")
        await deck.shows("nothing more can be done to an order that is CANCELLED")
        assert not gateway.sent


async def test_a_refusal_is_shown_in_its_own_words() -> None:
    gateway = desk_with(1)
    gateway.commands_down = ServiceRefused(409, "fulfilment_not_finished", "the order is still being fulfilled")
    async with opened(gateway) as deck:
        await deck.press("a", "o", "y")
        await deck.shows("✖ confirm ORD-0000000000: the order is still being fulfilled")
        assert not deck.desk.under_way


async def test_lists_that_could_not_be_read_are_read_when_the_feed_is_back() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        gateway.feed_down, gateway.queries_down = True, Unreachable("the desk does not answer")
        gateway.cut_feed()
        await deck.shows("✖ DISCONNECTED")
        await deck.press("ctrl+r")
        await deck.shows("ctrl+r reads again")
        await deck.press("enter")
        await deck.shows("This order could not be read")
        gateway.feed_down, gateway.queries_down = False, None
        await deck.shows("● LIVE")
        await deck.shows("STATE now, after 1")
        await deck.press("escape")
        await deck.shows("1 order   newest first")


async def test_lists_that_could_not_be_read_are_read_again_although_the_feed_stayed_open() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        gateway.queries_down = ServiceRefused(503, "unavailable", "the database is away")
        await deck.press("ctrl+r")
        await deck.shows("ctrl+r reads again")
        await deck.press("enter")
        await deck.shows("This order could not be read")
        deck.app.deck.tick()
        gateway.queries_down = None
        deck.clock.seconds += 5
        await deck.shows("STATE now, after 1")
        await deck.press("escape")
        await deck.shows("ctrl+r reads again")
        deck.app.deck.tick()
        deck.clock.seconds += 5
        await deck.shows("1 order   newest first")
        assert "● LIVE" in deck.text()


async def test_a_key_that_moves_tells_no_reason_against_other_keys() -> None:
    async with opened(desk_with(3)) as deck:
        await deck.press("ctrl+d", "ctrl+f")
        assert not deck.lines()[-2].strip()


async def test_a_second_command_to_an_order_waits_for_the_first() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        deck.desk.under_way.add(next(iter(gateway.views)))
        await deck.press("c")
        await deck.shows("the last command to this order is still under way")


async def test_a_late_answer_to_an_earlier_filter_does_not_replace_the_list() -> None:
    gateway = desk_with(6)
    async with opened(gateway) as deck:
        gateway.hold = held = asyncio.Event()
        await deck.press("/")
        await deck.type("status:cancelled")
        gateway.hold = None
        deck.view("orders").filter.value = "status:confirmed"
        await deck.shows("2 orders match")
        held.set()
        await deck.pilot.pause()
        assert {order.status for order in deck.desk.orders.window} == {"CONFIRMED"}


async def test_one_key_goes_to_the_end_of_a_long_list_and_another_back() -> None:
    gateway = FakeGateway()
    for n in range(1_000):
        gateway.place(n)
    async with opened(gateway) as deck:
        await deck.press("G")
        await deck.shows("row 1,000/1,000")
        assert "ORD-0000000000" in deck.text()
        await deck.press("g")
        await deck.shows("row 1/1,000")
        await deck.press(*["pagedown"] * 8)
        await deck.until(lambda: len(deck.desk.orders.window) >= 300)
        assert deck.desk.orders.view.cursor > 200


async def test_copying_reaches_the_clipboard() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        sent: list[str] = []
        deck.app.copies = Clipboard(sent.append, {"TERM": "xterm"})
        await deck.press("y")
        order_id = next(iter(gateway.views))
        await deck.shows(f"{order_id} was sent to the terminal's clipboard")
        assert base64.b64decode(sent[0].removeprefix("\x1b]52;c;").removesuffix("\a")).decode() == order_id
