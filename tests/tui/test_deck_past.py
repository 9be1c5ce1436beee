"""The deck as of an earlier moment: T or :as-of lays it over the deck of now; it only reads, and esc or T returns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from core.filters.order_query import OrderQuery
from tests.support.deck_harness import Deck, desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tui import past_gateway
from tui.gateway import BeingMade, CommandToSend, GatewayError, ServiceRefused
from tui.past_gateway import PastGateway, PastMoment, once_made
from tui.screen import DeckScreen
from tui.viewmodels.past_steps import RELEASES, PastSteps

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)


def the_past(deck: Deck) -> DeckScreen:
    screen = deck.app.screen
    assert isinstance(screen, DeckScreen)
    assert screen is not deck.app.deck
    return screen


async def settled(deck: Deck) -> DeckScreen:
    """The deck of the past, once it knows which event was the last one."""
    screen = the_past(deck)
    assert screen.desk.past is not None
    past = screen.desk.past
    await deck.until(lambda: past.position is not None and not past.steps and (past.event or past.position == 0))
    screen.tick()
    return screen


async def test_the_past_is_asked_for_with_every_question_and_takes_no_command() -> None:
    now = FakeGateway()
    past = PastGateway(now, PastMoment(1200), lambda: NOW)
    await past.orders(OrderQuery(status=("CREATED",)), cursor="c", order_ids=())
    path, asked = now.reads[-1]
    assert path == "/api/v1/orders"
    assert (asked["as_of"], asked["cursor"]) == ("1200", "c")
    assert "CREATED" in asked["status"]
    with pytest.raises(ServiceRefused, match="this is the past: T returns to now"):
        await past.send(CommandToSend("confirm", "x"), key="k")
    with pytest.raises(ServiceRefused):
        await past.dry_run(CommandToSend("confirm", "x"))
    assert now.sent == []
    assert [chunk async for chunk in past.feed(after=0)] == []


async def test_lists_that_are_being_made_are_waited_for_and_how_far_they_are_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(past_gateway, "ASK_AGAIN", 0.0)
    told: list[int | None] = []
    answers: list[Any] = [BeingMade(10, 2), BeingMade(10, 7, 0.5), "there"]

    async def ask() -> Any:
        if isinstance(answers[0], GatewayError):
            raise answers.pop(0)
        return answers[0]

    assert await once_made(ask, lambda making: told.append(making and making.done)) == "there"
    assert told == [2, 7, None]
    answers[:] = [BeingMade(10, 2)] * 3
    monkeypatch.setattr(past_gateway, "LONGEST_STILL", -1.0)
    with pytest.raises(BeingMade, match="still being made"):
        await once_made(ask, lambda _: None)
    assert len(answers) == 1, "given up, since it came no further"


async def test_a_moment_is_laid_over_the_deck_says_so_and_goes_again() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        await deck.press("T")
        await deck.type("soon")
        await deck.press("enter")
        assert "'soon' is no time and no position" in deck.text(), "the question stays, with what was typed"
        for _ in "soon":
            await deck.press("backspace")
        await deck.type("#3")
        await deck.press("enter")
        screen = await settled(deck)
        await deck.until(lambda: any(asked.get("as_of") == "3" for _, asked in gateway.reads))
        assert "THE PAST" in str(screen.top.text)
        assert "after position 3" in str(screen.top.text)
        assert screen.desk.why_no_writes() == "this is the past: T returns to now"
        deck.app.gate._say("2 keys dropped")
        assert "2 keys dropped" in str(screen.notice.text), "it is said on the deck that is seen"
        await deck.press("T")
        assert deck.app.screen is deck.app.deck
        assert deck.desk.why_no_writes() is None

        moments = deck.app.deck.moments
        moments.look_at("09:00")
        await deck.handled()
        assert " 09:00:00 UTC" in the_past(deck).desk.past.named  # type: ignore[union-attr]
        await deck.press("escape")
        assert deck.app.screen is deck.app.deck
        moments.look_at("2999-01-01")
        await deck.handled()
        assert deck.app.screen is deck.app.deck
        assert "2999-01-01 is in the future" in str(deck.app.deck.notice.text)


async def test_every_view_shows_the_past_or_says_that_it_shows_now_only_and_why() -> None:
    gateway = desk_with(3)
    counts = {"total": {"total": 2}, "statuses": {"CREATED": {"total": 2}}, "payments": {}}
    sales = [{"currency": "EUR", "orders": 2, "confirmed": 1, "cancelled": 0, "revenue": "12.00"}]
    stock = [{"sku": "SKU-\x1b[1mA", "on_hand": 9, "reserved": 2, "available": 7}]
    gateway.answers |= {
        "/api/v1/orders/counts": counts,
        "/api/v1/stats": {"sales": sales},
        "/api/v1/inventory": {"items": stock},
    }
    async with opened(gateway) as deck:
        deck.app.deck.moments.look_at("#4")
        await deck.handled()
        screen = await settled(deck)
        now = set(deck.app.deck.views)
        assert set(screen.views) == now, "no key of now means something else here"
        for key, why in (("4", "not which programs ran"), ("6", "is not kept"), ("!", "in the list of sagas")):
            await deck.press(key)
            assert "there is only what is now" in deck.text()
            assert why in deck.text()
        await deck.press("5")
        await deck.shows("STOCK: 1 SKU")
        assert "12.00 EUR" in deck.text()
        assert "9 on hand, 2 reserved" in deck.text()
        assert "\x1b" not in deck.text()
        assert all(
            asked["as_of"] == "4" for path, asked in gateway.reads if path in gateway.answers and "counts" in path
        )
        await deck.press("2")
        await deck.until(lambda: screen.tick() or ("the log as it ended then" in deck.text() and " 4 " in deck.text()))
        assert " 5 " not in deck.text(), "nothing of what came after it"
        await deck.press("4", "enter")
        assert deck.app.screen is deck.app.deck
        assert deck.app.deck.current == "daemons"


async def test_a_burst_of_steps_leads_there_with_one_reading() -> None:
    gateway = desk_with(9)
    end = len(gateway.log)
    assert end > 42  # so that no part of the burst ends at the end of the log, however slow the machine is
    async with opened(gateway) as deck:
        deck.app.deck.moments.look_at("#2")
        await deck.handled()
        screen = await settled(deck)
        screen.desk.debounce = 0.05
        gateway.reads.clear()
        for key in [")"] * 40 + ["("] * 38:
            deck.post(key)
        await deck.handled()
        await settled(deck)
        assert screen.desk.past.position == 4  # type: ignore[union-attr]
        await deck.until(lambda: any(path == "/api/v1/orders" for path, _ in gateway.reads))
        assert {asked["as_of"] for path, asked in gateway.reads if path == "/api/v1/orders"} == {"4"}
        assert len(gateway.reads) <= 4
        await deck.press(*[")"] * end)
        await settled(deck)
        assert screen.desk.past.position == end  # type: ignore[union-attr]
        await deck.until(lambda: "the log ends here" in str(screen.notice.text))


@pytest.mark.parametrize("burst", ["cy", "ny", "xy", "ay", "cTcy"])
async def test_keys_typed_ahead_in_the_past_do_nothing_there_nor_in_the_present(burst: str) -> None:
    """After a refusal all that came with it is dropped, also a T and what was to follow it in the present."""
    gateway = desk_with(4)
    async with opened(gateway) as deck:
        deck.app.deck.moments.look_at("#2")
        await deck.handled()
        screen = await settled(deck)
        for key in burst:
            deck.post(key)
        await deck.handled()
        assert the_past(deck) is screen
        assert gateway.sent == []
        assert gateway.dry_runs == []


async def test_hours_and_releases_lead_to_their_moments_and_say_where_they_end() -> None:
    gateway = desk_with(3)
    gateway.passes(3 * 3_600)
    gateway.place(9)
    log = gateway.log
    gateway.answers[RELEASES] = {
        "releases": [
            {"version": "1.1.0", "began_at": "2026-03-14T15:00:00Z", "position": 5},
            {"version": "1.0.0", "began_at": "2026-03-14T14:00:00Z", "position": 2},
        ]
    }
    moment = PastMoment(len(log))
    steps = PastSteps(cast("Any", gateway), moment, lambda: gateway.time)
    steps.add("hour", -1)
    assert await steps.go() == ""
    assert moment.position == len(log) - 1, (
        "an hour before the last event, the ones of three hours before were the last"
    )
    steps.add("hour", 30)
    assert await steps.go() == "that is in the future: this is the newest event"
    assert moment.position == len(log)
    steps.add("release", -1)
    assert await steps.go() == "the moment before 1.1.0 began to run"
    assert moment.position == 5
    steps.add("release", -1)
    steps.add("release", -1)
    await steps.go()
    assert moment.position == 2
    steps.add("release", -1)
    assert await steps.go() == "no release began before this moment"
    steps.add("event", -(10**6))
    await steps.go()
    assert (moment.position, moment.at, moment.named) == (0, None, "before the first event")
    steps.add("hour", -1)
    assert await steps.go() == "there is nothing before the first event"
    steps.add("hour", 1)
    await steps.go()
    assert moment.position is not None
    assert moment.position > 1
