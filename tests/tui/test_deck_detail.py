"""The view of one order: what is of the past there, marks, categories, places to go, and commands that are tried."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from tests.support.deck_harness import Deck, desk_with, opened
from tests.support.fake_daemons import FakeDaemons
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import entries_of
from tui.dialogs.daemon_log import log_around
from tui.messages import OpenView

WRITING = ("a", "c", "R", "z", "n")


async def with_detail(deck: Deck, order_id: str) -> None:
    deck.app.deck.post_message(OpenView("detail", order_id))
    await deck.until(lambda: (model := deck.view("detail").model) is not None and model.phase == "ready")
    await deck.pilot.pause()


def refunded_desk() -> tuple[FakeGateway, str]:
    """One order: confirmed, shipped and paid, and 5.00 of it refunded."""
    gateway = FakeGateway()
    order_id = gateway.place(1)
    gateway.fulfil(order_id)
    gateway.ship(order_id)
    gateway.refund(order_id, "5.00")
    return gateway, order_id


def keys_at(deck: Deck) -> str:
    return deck.lines()[-1]


async def test_in_the_past_every_fact_is_of_the_chosen_event_and_no_key_writes() -> None:
    gateway, order_id = refunded_desk()
    async with opened(gateway) as deck:
        await with_detail(deck, order_id)
        await deck.shows("PART REFUND 5.00 of 999.99 USD  UPS 1Z9")
        assert deck.lines()[2].endswith(" v3")
        await deck.press("G", ",")
        now = "now: SHIPPED · PART REFUND"
        then = {
            9: "▶ SHIPPED · CAPTURED  UPS 1Z9",
            8: "▶ SHIPPED · AUTHORIZED  UPS 1Z9",
            7: "◆ CONFIRMED · AUTHORIZED ",
            5: "○ CREATED · AUTHORIZED ",
            1: "○ CREATED · – ",
        }
        for event in range(9, 0, -1):
            head, state = deck.lines()[2], deck.text()
            assert f"VIEWING event {event} of 10, " in head
            assert head.rstrip().endswith(now)
            assert f"STATE then, after {event} " in state
            assert then.get(event, "") in head
            status = re.search(r"│[ ▸]status +(\w+)", state)
            assert status is not None
            assert status[1] in head.partition("now:")[0]
            await deck.press(",")
        for key in WRITING:
            deck.app.deck.say()
            await deck.press(key)
            assert "you are viewing the past: L first" in deck.lines()[-2], key
            assert len(deck.app.screen_stack) == 1
        gateway.record("order", order_id, "OrderDelivered", {})
        await deck.shows("now: DELIVERED · PART REFUND")
        assert "VIEWING event 1 of 11, " in deck.lines()[2]
        assert "DELIVERED" not in deck.lines()[2].partition("now:")[0]
        await deck.press("L")
        await deck.shows("✔ DELIVERED · PART REFUND")
        assert "VIEWING" not in deck.text()
        await deck.until(lambda: "viewing the past" not in deck.text())
        assert not gateway.sent


async def test_keys_in_one_burst_act_on_the_event_that_the_keys_before_them_chose() -> None:
    gateway, order_id = refunded_desk()
    async with opened(gateway, size=(80, 24)) as deck:
        await with_detail(deck, order_id)
        for key in ("k", "R"):
            deck.post(key)
        await deck.shows("L first")
        for key in (",", ",", ",", "m", "L", "d"):
            deck.post(key)
        await deck.shows("CHANGED from A (6) to here (10)")
        assert "▸payment      refunded 5.00" in deck.text()


async def test_marks_stand_on_the_track_and_what_changed_between_them_is_shown() -> None:
    gateway, order_id = refunded_desk()
    async with opened(gateway) as deck:
        await with_detail(deck, order_id)
        await deck.press("d")
        await deck.shows("m marks an event first")
        await deck.press("g", "m", "L", ",", "m", "d")
        await deck.shows("CHANGED from A (1) to B (9)")
        assert "SHIPPED  was CREATED" in deck.text()
        assert "5.00" not in "".join(line[80:] for line in deck.lines()[4:16])
        assert any("◉B" in line and "●A" in line for line in deck.lines())
        await deck.press("escape")
        await deck.shows("STATE then, after 9 ")
        await deck.press("m", "m", "escape")
        assert deck.app.deck.current != "detail"


async def test_a_category_is_shown_alone_and_the_newest_event_with_it() -> None:
    gateway, order_id = refunded_desk()
    async with opened(gateway) as deck:
        await with_detail(deck, order_id)
        await deck.press("f")
        await deck.shows("only order (f)")
        rows = [line[1:].split()[2] for line in deck.lines()[4:] if re.match(r"[ ▌] +\d+ [●$·▪↺]", line)]
        assert rows == ["OrderCreated", "OrderConfirmed", "OrderShipped", "PaymentRefunded"]
        await deck.press(",")
        await deck.shows("VIEWING event 8 of 10")
        gateway.record("order", order_id, "OrderDelivered", {})
        await deck.shows("VIEWING event 8 of 11")
        assert "PaymentRefunded" not in "".join(line[:60] for line in deck.lines())
        await deck.press("escape")
        await deck.until(lambda: "PaymentRefunded" in deck.text())


async def test_an_event_leads_to_what_caused_it_and_what_it_led_to() -> None:
    gateway, order_id = refunded_desk()
    gateway.log[7]["metadata"]["causation_id"] = gateway.log[0]["event_id"]
    gateway.log[8]["metadata"]["causation_id"] = "00000000-0000-7000-8000-00000000c0de"
    async with opened(gateway, views=entries_of("orders", "detail", "stream")) as deck:
        await with_detail(deck, order_id)
        await deck.press(",", ",", "x", "c")
        await deck.shows("VIEWING event 1 of 10")
        await deck.press("x", "e")
        await deck.shows("VIEWING event 8 of 10")
        await deck.press("x", "l")
        await deck.shows("no log of a daemon can be read here")
        await deck.press(".", "x")
        await deck.shows("a command caused this event")
        assert "this deck has no view of sagas" in deck.text()
        await deck.press("1")
        await deck.pilot.pause()
        assert len(deck.app.screen_stack) == 2
        await deck.press("escape", "enter")
        await deck.shows("PaymentCaptured  at position 9")


async def test_the_lines_of_the_time_of_an_event_are_found_in_the_logs_of_all_daemons() -> None:
    daemons = FakeDaemons()
    moment = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
    for name, text in [
        ("saga-runner", '{"event": "late", "timestamp": "2026-03-14T09:26:59Z"}'),
        ("saga-runner", '{"event": "second", "timestamp": "2026-03-14T09:26:54.5Z"}'),
        ("command-api", '{"event": "first", "timestamp": "2026-03-14T09:26:50.1Z"}'),
        (
            "command-api",
            '{"event": "no time"}\n{"timestamp": 5}\n{"timestamp": "2026-03-14T09:26:53"}\n[1]\nplain \x1b[',
        ),
    ]:
        daemons.logs[name] += text + "\n"
    lines = await log_around(daemons, moment)
    assert [line.partition(": ")[0] for line in lines] == ["09:26:50.100000 command-api", "09:26:54.500000 saga-runner"]


async def test_a_refund_is_tried_before_it_is_sent_and_the_server_names_what_is_wrong() -> None:
    gateway, order_id = refunded_desk()
    async with opened(gateway, size=(80, 24)) as deck:
        await with_detail(deck, order_id)
        await deck.press("R")
        await deck.shows("994.99 USD of 999.99 USD were captured and not refunded")
        await deck.press("backspace", "x", "enter")
        await deck.type("broken")
        await deck.shows("must be an amount")
        await deck.press("ctrl+s")
        assert not gateway.sent
        await deck.press("up", "ctrl+u")
        await deck.type("7.00")
        await deck.shows("1 RefundRequested   7.00 USD  broken")
        assert len(gateway.log) == 10
        await deck.press("ctrl+s")
        await deck.until(lambda: gateway.sent)
        assert dict(gateway.sent[0][0].body) == {"amount": "7.00", "reason": "broken", "restock": False}
        await deck.shows("✔ refund ORD-0000000001  7.00 USD  accepted")
        await deck.shows("▸refund       asked for 7.00 USD")
        assert deck.lines()[2].endswith(" v4")
        await deck.press("z")
        await deck.shows("nothing takes back a refund")


async def test_the_last_own_action_is_taken_back_only_when_the_operator_says_so() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        created, confirmed = list(gateway.views)[:2]
        await with_detail(deck, created)
        await deck.press("z")
        await deck.shows("you have sent no command")
        await deck.press("a", "o", "y")
        await deck.shows("◆ CONFIRMED")
        await with_detail(deck, confirmed)
        await deck.press("z")
        await deck.shows("Take it back: cancel ORD-0000000000")
        await deck.shows("It is not the order on the screen.")
        assert len(gateway.sent) == 1
        await deck.type("by mistake")
        await deck.shows("1 OrderCancelled   by mistake")
        await deck.press("escape")
        await deck.shows("nothing was sent")
        await deck.press("z")
        await deck.type("by mistake")
        await deck.shows("1 OrderCancelled   by mistake")
        await deck.press("enter")
        await deck.until(lambda: gateway.views[created].status == "CANCELLED")
        await deck.press("z")
        await deck.shows("nothing takes back a cancellation")
        assert len(gateway.sent) == 2


async def test_every_pane_moves_by_the_same_keys_and_the_history_is_written_to_a_private_file() -> None:
    gateway, order_id = refunded_desk()
    async with opened(gateway, size=(80, 24)) as deck:
        await with_detail(deck, order_id)
        await deck.press("g", "tab", "tab")
        pane = deck.view("detail").event
        assert deck.app.focused is pane
        page = pane.size.height - 1
        for key, top in [("j", 1), ("k", 0), ("ctrl+d", page // 2), ("ctrl+u", 0), ("ctrl+f", page), ("ctrl+b", 0)]:
            await deck.press(key)
            assert pane.scroll_offset.y == top, key
        await deck.press("G")
        assert pane.scroll_offset.y == pane.max_scroll_y > 0
        await deck.press("g", ".")
        assert "VIEWING event 2 of 10" in deck.lines()[2]
        await deck.press("e")
        await deck.shows("10 events written to ")
        mode, document = taken(Path(deck.lines()[-2].split(" written to ")[1]))
        assert mode == 0o600
        assert [event["position"] for event in json.loads(document)["events"]] == list(range(1, 11))


def taken(path: Path) -> tuple[int, str]:
    """Who may do what with a file, and its text; it is removed."""
    try:
        return path.stat().st_mode & 0o777, path.read_text()
    finally:
        path.unlink()
