"""Nothing that was typed into a dialog is lost when the command API goes away under it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.pictures.shapes import WireOpen, WireSaga
from tests.support.deck_harness import Deck, desk_with, opened
from tui.dialogs.ask import Ask
from tui.dialogs.dialog import Dialog
from tui.dialogs.steer import RESOLVE, SteerDialog, ask_steer
from tui.dialogs.transitions import ask_transition
from tui.dialogs.trial import TrialDialog, cancel_trial, try_command
from tui.gateway import Unreachable
from tui.viewmodels.statuses import CANCEL, CONFIRM

AWAY = Unreachable("desk.test:8080 does not answer")
SAGA = WireSaga(
    saga_id="s-1",
    name="unwind_order",
    order_id="o-1",
    status="FAILED",
    step="void_payment",
    open=WireOpen(None, (), ()),
)
Opening = Callable[[Deck], object]


def cancel(deck: Deck) -> None:
    ask_transition(deck.app.deck, deck.desk, next(iter(deck.gateway.views.values())), CANCEL)


def resolve(deck: Deck) -> None:
    ask_steer(deck.app.deck, deck.desk, SAGA, RESOLVE)


def take_back(deck: Deck) -> None:
    order = next(iter(deck.gateway.views.values()))
    try_command(deck.app.deck, deck.desk, cancel_trial(order), order.order_number)


@pytest.mark.parametrize(
    ("ask", "dialog", "verb"),
    [(cancel, Ask, "cancel"), (resolve, SteerDialog, "resolve"), (take_back, TrialDialog, "cancel")],
)
async def test_a_question_stays_open_with_its_text_while_no_command_can_be_sent(
    ask: Opening, dialog: type[Dialog[object]], verb: str
) -> None:
    gateway = desk_with(1)
    gateway.steered["resolve"] = ["SagaResolved"]
    async with opened(gateway, size=(80, 24)) as deck:
        ask(deck)
        await deck.until(lambda: isinstance(deck.app.screen, dialog))
        await deck.type("the customer called")
        gateway.commands_down = AWAY
        await deck.desk.measure()
        await deck.press("enter")
        await deck.shows("no command can be sent")
        assert isinstance(deck.app.screen, dialog)
        assert "the customer called" in deck.text()
        # It answers again: the sentence goes by itself. Then it is lost just before it is sent.
        gateway.commands_down = None
        await deck.desk.measure()
        await deck.until(lambda: "no command can be sent" not in deck.text())
        await deck.until(lambda: "does not answer" not in deck.text())
        gateway.commands_down = AWAY
        await deck.press("enter")
        await deck.shows(f"✖ {verb}")
        await deck.until(lambda: not deck.desk.under_way)
        gateway.sent.clear()
        gateway.commands_down = None
        ask(deck)
        await deck.shows("the customer called")
        if dialog is TrialDialog:
            await deck.until(lambda: "Dry run" in deck.text() and len(gateway.dry_runs) > 1)
        await deck.press("enter")
        await deck.shows(f"✔ {verb}")
        [(command, _)] = gateway.sent
        assert command.body["reason"] == "the customer called"
        assert not deck.desk.unsent(verb, command.subject_id or ""), "what was sent is not offered again"


async def test_yes_is_no_answer_while_no_command_can_be_sent() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        ask_transition(deck.app.deck, deck.desk, next(iter(gateway.views.values())), CONFIRM)
        await deck.shows("Confirm ORD-")
        gateway.commands_down = AWAY
        await deck.desk.measure()
        await deck.press("y")
        await deck.shows("no command can be sent")
        gateway.commands_down = None
        await deck.desk.measure()
        await deck.press("y")
        await deck.shows("✔ confirm")


async def test_the_form_asks_again_for_a_dry_run_that_nobody_answered() -> None:
    gateway = desk_with(1)
    async with opened(gateway) as deck:
        await deck.press("n")
        await deck.shows("Dry run")
        gateway.commands_down = AWAY
        await deck.type("acme")
        await deck.shows("✖ desk.test:8080 does not answer")
        await deck.desk.measure()
        await deck.press("ctrl+s")
        await deck.shows("no command can be sent")
        gateway.commands_down = None
        await deck.desk.measure()
        await deck.until(lambda: "does not answer" not in deck.text())
        assert "acme" in deck.text()
