"""The views of webhooks: what waits for each, what became of its messages, and what an admin does, asked first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.support.deck_harness import opened
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import entries_of, same_picture
from tui.gateway import CommandAccepted, CommandToSend, ServiceRefused, TimedOut
from tui.own_actions import why_no_way_back
from tui.receipts import settle
from tui.viewmodels.webhooks import PATH

GOLDEN = Path(__file__).parent / "golden"
SIZES = [(80, 24), (120, 36), (200, 60)]
URL = "https://shop.example.com/orders"


def desk() -> FakeGateway:
    gateway = FakeGateway()
    hooks = gateway.webhooks
    hooks.head = 60
    due = {"waiting": 2, "next_try_at": "2026-03-14T15:14:00Z", "last_error": "answered 503", "failed": 1}
    first = hooks.add(URL, event_types=["OrderShipped", "OrderCancelled"], description="the shop", **due)
    hooks.add("https://old.example.com/in", enabled=False, disabled_why="ana: it moves", behind=40, secrets=2)
    hooks.sent(first, 41)
    hooks.sent(first, 42, state="failed", tries=10, status=503, error="answered 503")
    hooks.sent(first, 43, state="waiting", tries=2, status=None, error="no answer", due_at="2026-03-14T15:14:00Z")
    hooks.letters = [{"id": "letter-1", "row": "d-42"}]
    return gateway


def sent(gateway: FakeGateway) -> list[tuple[str, str | None, dict[str, Any], str]]:
    return [(each.verb, each.subject_id, dict(each.body), each.kind) for each, _ in gateway.sent]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", ["webhooks", "webhook"])
async def test_a_view_of_webhooks_looks_like_its_picture(
    scene: str, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with opened(desk(), size=size, views=entries_of("orders", "webhooks", "webhook")) as deck:
        await deck.press("8")
        await deck.shows("2 webhooks, the oldest first")
        if scene == "webhook":
            await deck.press("enter", "j")
            await deck.shows("3 messages, the newest first")
        await same_picture(deck, GOLDEN / f"{scene}-{size[0]}x{size[1]}.txt", snapshot, svg=size[0] == 120)


async def test_a_message_that_was_tried_once_has_one_try() -> None:
    async with opened(desk(), size=(80, 24)) as deck:
        await deck.press("8", "enter")
        await deck.shows("3 messages, the newest first")
        await deck.shows("; 2 tries")
        await deck.press("j", "j")
        await deck.shows("; 1 try")


async def test_a_webhook_is_added_and_its_secret_stays_until_it_was_copied_or_left_twice() -> None:
    gateway = desk()
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.press("8", "n")
        await deck.shows("enter send")
        await deck.press(*"https://new.example/x")
        await deck.shows("enter next field")
        await deck.press("enter", *"Nonsense", "enter")
        await deck.shows("enter send")
        await deck.press("enter")
        await deck.shows("✖ add https://new.example/x: event_types[0]: must be a type of event")
        await deck.press("n", "tab", "ctrl+u", *"OrderShipped, OrderCreated", "enter", "enter")
        await deck.shows("whsec_of-wh_3")
        for key in "jxt":
            await deck.press(key)
        await deck.press("escape")
        await deck.shows("never shown again")
        await deck.press("y")
        await deck.shows("the secret")
        await deck.press("escape")
        await deck.until(lambda: "whsec_" not in deck.text())
        body = {"url": "https://new.example/x", "event_types": ["OrderShipped", "OrderCreated"], "description": ""}
        assert sent(gateway)[-1] == ("add", None, body, "webhook")
        assert not any(receipt.accepted.secret for receipt in deck.desk.receipts)
        assert "nothing takes back your last action, add of a webhook" in (why_no_way_back(deck.desk.own.last) or "")


async def test_each_act_asks_first_and_what_has_no_way_back_wants_something_typed() -> None:
    gateway = desk()
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.press("8")
        await deck.shows("2 webhooks")
        await deck.press("t", "y")
        await deck.shows("✔ test https://shop.example.com/orders → delivered: answered 204")
        gateway.webhooks.comes_of_a_test = {"state": "failed", "status": 500, "error": "answered 500"}
        await deck.press("t", "y")
        await deck.shows("✖ test https://shop.example.com/orders: not taken: answered 500")
        gateway.webhooks.comes_of_a_test = {"state": "waiting", "status": None, "error": ""}
        await deck.press("t", "y")
        await deck.shows("not sent in 10 s: 4 shows the notifier")
        await deck.press("K", *"it moves", "enter")
        await deck.shows("nothing is sent until s enables it")
        deck.clock.seconds += 3
        await deck.shows("2 disabled")
        await deck.press("K")
        await deck.shows("it is disabled")
        await deck.press("s", "y")
        await deck.shows("gets what comes after event 60")
        await deck.press("P", *"many", "enter")
        await deck.shows("must be a position of the log")
        await deck.press("ctrl+u", "7", "enter")
        await deck.shows("gets events after 7 again")
        await deck.press("R", "enter")
        await deck.shows("whsec_again-wh_1")
        await deck.press("escape", "escape", "X", *"yes", "enter")
        await deck.shows("type remove")
        await deck.press("ctrl+u", *"remove", "enter")
        await deck.until(lambda: gateway.sent[-1][0].verb == "remove")
        deck.clock.seconds += 3
        await deck.shows("1 webhook, the oldest first")
    bodies = [(verb, body) for verb, _, body, _ in sent(gateway)]
    assert bodies == [
        *[("test", {})] * 3,
        ("disable", {"reason": "it moves"}),
        ("enable", {}),
        ("replay", {"after": 7}),
        ("rotate", {"overlap": "24h"}),
        ("remove", {}),
    ]


async def test_a_webhook_is_changed_and_only_what_was_written_anew_is_sent() -> None:
    gateway = desk()
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.press("8")
        await deck.shows("2 webhooks")
        await deck.press("E", "enter")
        await deck.shows("nothing is changed yet")
        await deck.press("tab", "ctrl+u", *"Nonsense", "enter")
        await deck.shows("✖ change https://shop.example.com/orders: event_types[0]: must be a type of")
        await deck.press("E", "tab")
        await deck.shows("Nonsense")
        await deck.press("ctrl+u", *"OrderCreated", "enter")
        await deck.shows("✔ change https://shop.example.com/orders → gets OrderCreated")
        await deck.press("E", "end", *"/new", "escape")
        gateway.webhooks.hooks["wh_1"]["event_types"] = ["OrderDelivered"]  # another admin
        deck.clock.seconds += 3
        await deck.shows("OrderDelivered")
        await deck.press("enter")
        await deck.shows("3 messages, the newest first")
        await deck.press("E", "end", *"?b", "tab", "tab", "ctrl+u", *"shops", "enter")
        await deck.until(lambda: len(gateway.sent) == 3)
    wanted = [
        {"event_types": ["Nonsense"]},
        {"event_types": ["OrderCreated"]},
        {"url": f"{URL}?b", "description": "shops"},
    ]
    assert sent(gateway) == [("change", "wh_1", body, "webhook") for body in wanted]


async def test_the_messages_of_one_are_listed_by_state_and_only_dead_letters_are_retried_and_skipped() -> None:
    gateway = desk()
    async with opened(gateway, size=(120, 36)) as deck:
        await deck.press("8", "enter")
        await deck.shows("3 messages, the newest first")
        await deck.press("r")
        await deck.shows("only a dead letter is retried or skipped")
        await deck.press("o", "o", "o")
        await deck.shows("1 message, the newest first")
        await deck.press("enter")
        await deck.shows("webhook-id m-42")
        await deck.press("escape", "r", *"mended", "enter")
        await deck.until(lambda: len(gateway.sent) == 1)
        await deck.press("S", *"never", "enter")
        await deck.until(lambda: len(gateway.sent) == 2)
        await deck.press("A", *"all", "enter")
        await deck.until(lambda: len(gateway.sent) == 3)
        del gateway.webhooks.hooks["wh_1"]
        await deck.press("ctrl+r")
        await deck.shows("This webhook was removed")
        await deck.press("r", "t", "enter")
        await deck.shows("no webhook is read")
        await deck.press("escape")
        await deck.shows("1 webhook, the oldest first")
    assert sent(gateway) == [
        ("retry", "letter-1", {"reason": "mended"}, "dead-letter"),
        ("skip", "letter-1", {"reason": "never"}, "dead-letter"),
        ("retry", None, {"reason": "all", "reader": "notifier.wh_1"}, "dead-letter"),
    ]


async def test_whoever_may_not_see_webhooks_is_told_so_once_and_a_deck_that_only_reads_changes_none() -> None:
    gateway = desk()
    gateway.answers[PATH] = ServiceRefused(403, "role_too_low", "this needs the role admin, and ana has viewer")
    gateway.read_only = True
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.press("8")
        await deck.shows("Only admins may see webhooks")
        for _ in range(3):
            deck.clock.seconds += 10
            deck.app.deck.tick()
            await deck.pilot.pause()
        assert [path for path, _ in gateway.reads].count(PATH) == 1, "each refusal would be a row of the audit"
        del gateway.answers[PATH]
        await deck.press("ctrl+r")
        await deck.shows("2 webhooks")
        for key in "ntEKRPX":
            await deck.press(key)
            await deck.shows("this deck only reads (--read-only)")
        await deck.press("T", *"-1h", "enter")
        await deck.shows("THE PAST")
        await deck.press("8")
        await deck.shows("Webhooks of an earlier moment cannot be shown")
    assert gateway.sent == []


async def test_what_the_service_says_of_webhooks_is_shown_as_text() -> None:
    evil = "\x1b[2J[bold]gone[/bold]\u202e"
    gateway = desk()
    gateway.webhooks.hooks["wh_1"] |= dict.fromkeys(
        ("url", "description", "disabled_why", "last_error", "created_by"), evil
    ) | {"event_types": [evil] * 50}
    gateway.webhooks.sent("wh_1", 44, message_type=evil, error=evil, message_id=evil, state=evil)
    async with opened(gateway, size=(120, 36)) as deck:
        await deck.press("8")
        await deck.shows("[bold]gone[/bold]")
        await deck.press("enter")
        await deck.shows("4 messages")
        assert "\x1b" not in deck.text()
        await deck.press("t")
        await deck.shows("Send a test to")
        assert "\x1b" not in deck.text()


async def test_what_is_done_to_a_webhook_is_sent_once_though_no_answer_comes() -> None:
    gateway = desk()
    tried: list[str] = []

    async def no_answer(command: CommandToSend, *, key: str) -> CommandAccepted:
        tried.append(f"{command.verb} {key}")
        raise TimedOut("desk.test has not answered in time")

    gateway.send = no_answer
    with pytest.raises(TimedOut, match="has not answered in time: look whether it was done"):
        await settle(gateway, CommandToSend("rotate", "wh_1", {"overlap": "24h"}, kind="webhook"), "k")
    assert tried == ["rotate k"]
