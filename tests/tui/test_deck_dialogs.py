"""The deck's dialogs, when keys come faster than they are handled."""

from __future__ import annotations

from tests.support.deck_harness import desk_with, opened


async def test_enter_pressed_twice_sends_one_command_and_the_deck_goes_on() -> None:
    gateway = desk_with(2)
    async with opened(gateway) as deck:
        await deck.press("c")
        await deck.type("no stock")
        deck.post("enter")
        deck.post("enter")
        await deck.until(lambda: gateway.sent)
        assert len(deck.app.screen_stack) == 1
        assert len(gateway.sent) == 1
