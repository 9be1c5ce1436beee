"""The command line, the list of every action, and keys that are pressed with the mouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from textual import events

from tests.support.deck_harness import Deck, desk_with, opened
from tui.config import DeckConfig
from tui.dialogs.ask import Ask
from tui.dialogs.help import HelpDialog
from tui.dialogs.picker import Picker, fitting
from tui.viewmodels.command_words import NoCommand, ParsedLine, Suggestion, Words

WORDS = Words(
    {"orders": "Orders", "detail": "Order", "stream": "Stream", "saga": "Saga"},
    ["ansi-dark", "nord", "textual-dark", "textual-light"],
    {"today": "orders created:today"},
)


@pytest.mark.parametrize(
    ("line", "wish"),
    [
        ("", None),
        (" : ", None),
        ("q", ParsedLine("quit")),
        (":quit", ParsedLine("quit")),
        ("orders status:cancelled  min:5", ParsedLine("open", "orders", "status:cancelled  min:5")),
        ("ord ORD-1", ParsedLine("order", rest="ORD-1")),
        ("STREAM", ParsedLine("open", "stream")),
        ("saga 0192", ParsedLine("open", "saga", "0192")),
        ("theme nord", ParsedLine("theme", "nord")),
        (":as-of yesterday 18:00", ParsedLine("as-of", rest="yesterday 18:00")),
        ("theme ansi", ParsedLine("theme", "ansi-dark")),
        ("today", ParsedLine("open", "orders", "created:today")),
        ("today min:5", ParsedLine("open", "orders", "created:today min:5")),
        ("help", ParsedLine("help")),
    ],
)
def test_a_command_line_is_understood(line: str, wish: ParsedLine | None) -> None:
    assert WORDS.parse(line) == wish


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("strem", "there is no command strem: did you mean stream?"),
        ("$(rm)", "there is no command"),
        ("x" * 500, "there is no command " + "x" * 40),
        ("theme", "theme needs a name"),
        ("theme textual", "there is no theme textual"),
        ("order", "order needs a number or an id"),
    ],
)
def test_a_command_that_there_is_not_is_refused_in_a_sentence(line: str, sentence: str) -> None:
    with pytest.raises(NoCommand) as caught:
        WORDS.parse(line)
    assert str(caught.value).startswith(sentence)


def test_a_line_is_completed_to_commands_and_themes() -> None:
    def answers(line: str) -> Sequence[str]:
        return [choice.answer for choice in WORDS.complete(line)]

    assert answers("o") == ["order", "orders"]
    assert answers("theme t") == ["theme textual-dark", "theme textual-light"]
    assert answers("nothing") == answers("orders x") == []
    assert "detail" not in answers("")


def test_the_list_is_searched_by_letters_in_order() -> None:
    choices = [Suggestion("a", "cancel…"), Suggestion("b", "command line"), Suggestion("c", "reconnect and read anew")]
    assert [choice.answer for choice in fitting(choices, "cmdl")] == ["b"]
    assert {choice.answer for choice in fitting(choices, "cn")} == {"a", "b", "c"}
    assert fitting(choices, "[bold]") == []


async def click(deck: Deck, text: str, *, line: int = -1) -> None:
    at: dict[str, Any] = {
        "x": deck.lines()[line].index(text),
        "y": len(deck.app.screen._compositor.render_strips()) + line,
    }
    at |= {"delta_x": 0, "delta_y": 0, "button": 1, "shift": False, "meta": False, "ctrl": False}
    for kind in (events.MouseMove, events.MouseDown, events.MouseUp):
        deck.app.post_message(kind(None, **at))
    await deck.handled()
    await deck.handled()


async def test_commands_open_views_and_filters_and_orders_and_say_what_they_do_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway = desk_with(9)
    order = list(gateway.views.values())[3]
    gateway.answers[f"/api/v1/orders/number/{order.order_number}"] = {}
    async with opened(gateway, (80, 24)) as deck:
        await deck.press(*":orders status:cancelled", "enter")
        await deck.shows("3 orders match")
        assert deck.view("orders").filter.value == "status:cancelled"
        await deck.press(":", *f"order {order.order_id}", "enter")
        assert deck.app.deck.trail.here == ("detail", order.order_id)
        await deck.press(":", *"order nonsense", "enter")
        await deck.shows("✖ nonsense: there is no /api/v1/orders/number/NONSENSE")
        await deck.press("[")
        assert deck.app.deck.current == "orders"
        await deck.press(":", *"strm", "tab", "escape", ":", *"strem", "enter")
        await deck.shows("did you mean stream?")
        await deck.press(":", *"th", "tab", *"nor", "tab", "enter")
        assert deck.app.theme == "nord"
        await deck.press(":", "s", "t", "r", "down", "enter")
        assert deck.app.deck.current == "stream"
        left: list[bool] = []
        monkeypatch.setattr(deck.app, "exit", lambda: left.append(True))
        await deck.press(":", "q", "enter")
        assert left


async def test_the_list_of_actions_runs_them_and_shows_why_some_do_nothing() -> None:
    gateway = desk_with(3)  # the first row is CANCELLED
    async with opened(gateway) as deck:
        await deck.press("ctrl+p", *"cancel")
        assert isinstance(deck.app.screen, Picker)
        await deck.shows("cannot cancel an order that is CANCELLED")
        await deck.press("enter")
        assert deck.app.screen is deck.app.deck
        await deck.press("j", "ctrl+p", *"cancel", "enter")
        await deck.handled()
        assert isinstance(deck.app.screen, Ask)
        await deck.press("escape", "ctrl+p", *"last row", "enter")
        await deck.handled()
        assert deck.desk.orders.view.cursor == 2


async def test_a_click_on_a_key_does_what_the_key_does() -> None:
    async with opened(desk_with(2)) as deck:  # the first row is CONFIRMED
        await click(deck, "? help")
        assert isinstance(deck.app.screen, HelpDialog)
        await deck.press("escape")
        await click(deck, "cancel…")
        assert isinstance(deck.app.screen, Ask)
        row = next(n for n, line in enumerate(deck.lines()) if "esc no, leave it" in line)
        await click(deck, "esc no", line=row - len(deck.lines()))
        assert deck.app.screen is deck.app.deck


async def test_keys_are_what_the_configuration_says_everywhere_they_are_shown() -> None:
    config = DeckConfig(keymap={"orders.cancel": "K", "everywhere.help": "f1"}, theme="ansi-dark")
    async with opened(desk_with(2), config=config) as deck:
        assert "K cancel…" in deck.lines()[-1]
        await deck.press("c")
        assert deck.app.screen is deck.app.deck
        await deck.press("K")
        assert isinstance(deck.app.screen, Ask)
        await deck.press("escape", "f1")
        assert "  K " in deck.text()
        assert deck.app.theme == "ansi-dark"
