"""DeckSending: sends what the operator has confirmed, and says what became of it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from typing import Protocol

from textual.screen import Screen

from core.printable import clean
from tui.desk import Desk
from tui.dialogs.dialog import open_dialog
from tui.dialogs.secret import SecretDialog
from tui.gateway import CommandToSend, GatewayError
from tui.messages import Send
from tui.own_actions import own_action
from tui.receipts import Receipt, perform
from tui.view import DeckView
from tui.viewmodels.text import Cell
from tui.widgets.frame import receipt_cells


class Commanded(Protocol):
    """What it needs of the DeckScreen."""

    desk: Desk

    @property
    def view(self) -> DeckView: ...

    def say(self, *cells: Cell) -> None: ...


class DeckSending:
    def __init__(self, deck: Commanded, screen: Screen[str]) -> None:
        self._deck = deck
        self._screen = screen

    def send(self, message: Send) -> None:
        """Send a command that can be sent now."""
        command, named = message.command, clean(message.named)
        self._deck.say(Cell(f" … {command.verb} {named}", "dim"))
        self._screen.run_worker(partial(self._perform, command, named), group="commands", exit_on_error=False)

    async def _perform(self, command: CommandToSend, named: str) -> None:
        desk, subject = self._deck.desk, command.subject_id or ""
        desk.under_way.add(subject)
        try:
            receipt = await perform(desk.gateway, command, key=f"deck-{uuid.uuid4()}", clock=desk.clock)
        except GatewayError as error:
            self._deck.say(Cell(f" ✖ {command.verb} {named}: {clean(str(error))}", "bad"))
        else:
            desk.forget_unsent(command.verb, subject)
            self.done(receipt, named)
        finally:
            desk.under_way.discard(subject)
            self._deck.view.paint()

    def placed(self, receipt: Receipt | None) -> None:
        if receipt is None:
            self._deck.say(Cell(" the draft is kept: n takes it up again", "dim"))
        else:
            self.done(receipt)

    def done(self, receipt: Receipt, named: str = "") -> None:
        desk = self._deck.desk
        if secret := receipt.accepted.secret:
            open_dialog(self._screen, SecretDialog(named, secret), lambda _: None)
            receipt = replace(receipt, accepted=replace(receipt.accepted, secret=""))
        desk.receipts.append(receipt)
        if receipt.order is not None:
            desk.orders.put(receipt.order)
        desk.own.note(own_action(receipt, desk.now()))
        self._deck.say(*receipt_cells(receipt, named))
        self._deck.view.paint()
