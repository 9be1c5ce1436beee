"""The deck as of an earlier moment: T or :as-of lays it over the deck of now; it only reads, and esc or T returns."""

from __future__ import annotations

import pytest

from core.filters.order_query import OrderQuery
from tests.support.deck_harness import desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tui.gateway import CommandToSend, ServiceRefused
from tui.past_gateway import PastGateway
from tui.screen import DeckScreen


async def test_the_past_is_asked_for_with_every_question_and_takes_no_command() -> None:
    now = FakeGateway()
    past = PastGateway(now, "1200")
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


async def test_a_moment_is_laid_over_the_deck_says_so_and_goes_again() -> None:
    gateway = desk_with(3)
    async with opened(gateway) as deck:
        await deck.press("T")
        await deck.type("#1200")
        await deck.press("enter")
        screen = deck.app.screen
        assert isinstance(screen, DeckScreen)
        assert screen is not deck.app.deck
        await deck.until(lambda: any(asked.get("as_of") == "1200" for _, asked in gateway.reads))
        screen.tick()
        assert "THE PAST, after position 1,200" in str(screen.top.text)
        assert list(screen.views) == ["orders", "detail", "saga"]
        assert screen.desk.why_no_writes() == "this is the past: T returns to now"
        await deck.press("T")
        assert deck.app.screen is deck.app.deck
        assert deck.desk.why_no_writes() is None

        deck.app.deck.look_at("09:00")
        await deck.handled()
        assert "at 2" in deck.app.screen.desk.past  # type: ignore[attr-defined]
        await deck.press("escape")
        assert deck.app.screen is deck.app.deck
        deck.app.deck.look_at("soon")
        await deck.handled()
        assert deck.app.screen is deck.app.deck
        assert "'soon' is no time and no position" in str(deck.app.deck.notice.text)
