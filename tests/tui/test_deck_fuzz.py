"""Random keys, pasted texts, clicks, sizes and lost feeds, without waiting in between: the deck still answers.

`make soak` sends ten times as many as the suite.
"""

from __future__ import annotations

import os
import random
import string
from typing import Any

import pytest
from textual import events
from textual.geometry import Size
from textual.widgets import Input

from tests.support.deck_harness import Deck, desk_with, every_table, opened
from tui.app import DeckApp

INPUTS = int(os.environ.get("DECK_INPUTS", "500"))
AT_ONCE = 25
KEYS = [
    *(key for table in every_table() for action in table.actions for key in action.keys.split(",")),
    *string.ascii_letters, *string.digits, *"[]!#$%&*'", "enter", "enter", "tab", "shift+tab", "backspace", "f5",
]  # fmt: skip
STAYS_OPEN = {"ctrl+q", "ctrl+z"}  # these leave or stop the program, which is what other tests are about
PASTED = ("acme", "status:can", "x" * 3_000, "\x1b[31m\x00", "two\nlines", "", "日本 🎉 [bold]", "orders status:")


def random_input(deck: Deck, dice: random.Random, n: int) -> None:
    match dice.randrange(40):
        case 0:
            deck.gateway.place(100 + n)
        case 1:
            deck.gateway.cut_feed()
        case 2:
            size = Size(dice.choice([20, 60, 80, 120, 200]), dice.choice([5, 10, 24, 36, 60]))
            deck.app._driver._size = size  # type: ignore[union-attr]
            deck.app.post_message(events.Resize(size, size))
        case 3:
            deck.app.deck.tick()
        case 4:
            deck.app.post_message(events.Paste(dice.choice(PASTED)))
        case 5 | 6:
            at: dict[str, Any] = {"x": dice.randrange(120), "y": dice.randrange(36), "delta_x": 0, "delta_y": 0}
            for kind in (events.MouseMove, events.MouseDown, events.MouseUp):
                deck.app.post_message(kind(None, **at, button=1, shift=False, meta=False, ctrl=False))
        case _:
            key = dice.choice(KEYS)
            if key not in STAYS_OPEN:
                deck.post(key)


@pytest.mark.parametrize("seed", [1])
async def test_after_hundreds_of_random_inputs_the_deck_still_answers(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(DeckApp, "exit", lambda *_args, **_named: None)  # `:quit` would end it
    async with opened(desk_with(12), (80, 24)) as deck:
        for n in range(INPUTS):
            random_input(deck, dice, n)
            if n % AT_ONCE == 0:
                await deck.handled()
                assert deck.app.focused is not None
                assert len(deck.app.workers) <= 16
                assert sum(len(screen.walk_children()) for screen in deck.app.screen_stack) <= 400
                assert len(deck.app.screen_stack) <= 4
        size = Size(120, 36)
        deck.app._driver._size = size  # type: ignore[union-attr]
        deck.app.post_message(events.Resize(size, size))
        for _ in range(10):
            await deck.press("escape")
        assert len(deck.app.screen_stack) == 1
        await deck.press("1", "escape", "escape", "escape")
        deck.desk.feed.retry_now()
        await deck.caught_up()
        await deck.shows("orders")
        assert not isinstance(deck.app.focused, Input)
