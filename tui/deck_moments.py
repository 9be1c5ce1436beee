"""DeckMoments: leads to an earlier moment, from there to others, back to now, and to what changed between two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from textual.screen import Screen

from core.filters.words import FilterError
from core.printable import clean
from tui.desk import Desk
from tui.gateway import GatewayError
from tui.messages import Missed
from tui.past_desk import ask_moment, ask_two_moments, open_past
from tui.past_gateway import PastGateway
from tui.view import DeckView
from tui.viewmodels.past_steps import By, PastSteps
from tui.viewmodels.text import Cell
from tui.viewmodels.two_moments import two_moments


class Placed(Protocol):
    """What it needs of the DeckScreen."""

    desk: Desk

    @property
    def views(self) -> Mapping[str, DeckView]: ...

    @property
    def current(self) -> str: ...

    def show(self, name: str, subject: str | None = None) -> None: ...

    def say(self, *cells: Cell) -> None: ...


class DeckMoments:
    """`over` makes the screen that is laid over this one to show another moment."""

    def __init__(self, deck: Placed, screen: Screen[str], over: Callable[[Desk], Screen[str]]) -> None:
        self._deck = deck
        self._screen = screen
        self._over = over
        self._old = set[str]()  # the views that still show the moment before
        gateway, moment = deck.desk.gateway, deck.desk.past
        self._now = deck.desk.now
        self._steps = None
        if moment is not None and isinstance(gateway, PastGateway):
            self._now = gateway.now
            self._steps = PastSteps(gateway.inside, moment, gateway.now)

    def ask(self) -> None:
        """Ask for another moment; from an earlier one, return to now."""
        if self._steps is not None:
            self._screen.dismiss()
        else:
            ask_moment(self._screen, self._deck.desk, self.look_at)

    def look_at(self, moment: str) -> None:
        """Lay a deck of that moment over this one, which goes on beneath it."""
        open_past(self._screen, self._deck.desk, moment, self._over, self._left)

    def _left(self, view: str | None) -> None:
        if view is not None:
            self._deck.show(view)

    def ask_two(self) -> None:
        ask_two_moments(self._screen, self._deck.desk, self._now(), self._show)

    def compare(self, text: str) -> None:
        """Show what changed between the moments that a text names."""
        try:
            self._show(two_moments(text, self._now()).text)
        except FilterError as error:
            self._deck.say(Cell(f" {clean(str(error))}", "warn"))
            self._screen.post_message(Missed(str(error)))

    def _show(self, moments: str) -> None:
        self._deck.show("compare", moments)

    def step(self, by: By, steps: int) -> None:
        """Go to another moment; keys that are pressed quickly one after the other lead there in one go."""
        if self._steps is not None:
            self._steps.add(by, steps)
            self._screen.run_worker(self._go, group="moment", exclusive=True, exit_on_error=False)

    def settle(self) -> None:
        """Find out which event was the last one at the moment that is shown first."""
        if self._steps is not None:
            self._screen.run_worker(self._go, group="moment", exclusive=True, exit_on_error=False)

    async def _go(self) -> None:
        steps, desk = self._steps, self._deck.desk
        if steps is None or desk.past is None:
            return
        await asyncio.sleep(desk.debounce)
        before = desk.past.place
        try:
            said = await steps.go()
        except GatewayError as error:
            steps.forget()
            self._deck.say(Cell(f" ✖ {clean(str(error))}", "bad"))
            return
        if said:
            self._deck.say(Cell(f" {clean(said)}", "warn"))
        if desk.past.place != before:
            self._old = set(self._deck.views)
            for view in self._deck.views.values():
                view.forget()
        self.entered()

    def entered(self) -> None:
        """The view on the screen shows the moment of the deck, also if it was not there when the deck moved."""
        name = self._deck.current
        if name in self._old:
            self._old.discard(name)
            self._deck.views[name].refresh_now()
        self._deck.views[name].paint()
