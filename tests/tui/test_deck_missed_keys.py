"""What a key asks for is not there: the rest of the same burst was meant for it, and acts on nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deck_harness import Deck, desk_with, opened
from tests.support.pictured_sagas import DONE, STUCK
from tests.support.saga_desk import SagaDesk
from tui.dialogs.ask import Ask, Menu
from tui.dialogs.steer import SteerDialog


async def burst(deck: Deck, *inputs: str) -> list[type[Any]]:
    """Everything at once; the kinds of the dialogs that are open when all of it has had its effect."""
    for each in inputs:
        for key in [each] if each in ("enter", "escape") else each:
            deck.post(key)
    await deck.handled()
    return [type(screen) for screen in deck.app.screen_stack[1:]]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("jj", "c", "just cancel it", "enter"), "15 keys dropped: cannot cancel"),
        (("/nonsense:foo", "enter", "cwhy", "enter"), "5 keys dropped: no field nonsense"),
        ((":orders nonsense:foo", "enter", "cwhy", "enter"), "5 keys dropped: no field nonsense"),
        ((":order ORD-NOTTHERE00", "enter", "cwhy", "enter"), "5 keys dropped: ORD-NOTTHERE00"),
        ((":ordr x", "enter", "cwhy", "enter"), "5 keys dropped: "),
        (("/ORD-NOTTHERE00", "enter", "cwhy", "escape"), "4 keys dropped: no order is chosen"),
        (("v4", "b3", "why", "enter"), "6 keys dropped: this deck has sent no command"),
    ],
    ids=["refused", "wrong-filter", "wrong-orders", "no-order", "no-command", "nothing-matches", "empty-view"],
)
async def test_the_rest_of_a_burst_acts_on_no_other_order(typed: tuple[str, ...], told: str) -> None:
    gateway = desk_with(5)  # the first row is CONFIRMED, the third CANCELLED, the fourth CONFIRMED
    async with opened(gateway, (80, 24)) as deck:
        assert await burst(deck, *typed) == []
        await deck.shows(told)
        assert gateway.sent == []
        assert deck.app.deck.current == "orders"
        assert not deck.desk.marks
        assert await burst(deck, "escape", "escape", "g", "cwhy") == [Ask]  # the next burst is its own


async def test_a_menu_and_a_question_of_yes_or_no_take_no_part_of_a_sentence() -> None:
    gateway = desk_with(1)  # CREATED
    async with opened(gateway, (80, 24)) as deck:
        assert await burst(deck, "a", "say cancel it") == [Menu]
        assert await burst(deck, "o") == [Ask]
        assert await burst(deck, "they may", "enter") == [Ask]
        assert gateway.sent == []
        await burst(deck, "y")
        await deck.until(lambda: gateway.sent)


async def test_a_burst_acts_on_the_saga_that_its_own_keys_found() -> None:
    gateway = SagaDesk(DONE, STUCK, STUCK, STUCK)
    done, stuck, *_ = gateway.sagas
    async with opened(gateway, (80, 24)) as deck:
        assert await burst(deck, "3/", stuck, "enter", "Vsettled") == [SteerDialog]
        assert "Resolve unwind_order of ORD-0000000001?" in deck.text()
        assert await burst(deck, "escape", "escape", "jj", "enter", "Vsettled") == [SteerDialog]
        assert deck.app.deck.current == "saga"
        assert "Resolve unwind_order of ORD-0000000001?" in deck.text()
        assert await burst(deck, "escape", "3", "/state:nonsense", "enter", "Vsettled", "enter") == []
        assert "keys dropped" in deck.text()
        assert await burst(deck, "escape", "l", "/", done, "enter", "Vjust settled", "enter") == []
        assert "keys dropped" in deck.text()
        assert gateway.sent == []
