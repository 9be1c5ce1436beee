"""DeckCommands: the command line, the list of every action, and running what was chosen in them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol
from urllib.parse import quote

from textual.app import App
from textual.dom import DOMNode
from textual.screen import Screen

from core.printable import clean
from tui.action_table import Action, ActionTable
from tui.deck_moments import DeckMoments
from tui.desk import Desk
from tui.dialogs.dialog import open_dialog
from tui.dialogs.picker import Picker, fitting
from tui.gateway import GatewayError
from tui.messages import Awaited, Missed
from tui.viewmodels.command_words import NoCommand, ParsedLine, Suggestion, Words
from tui.viewmodels.text import Cell
from tui.wire import WireOrder


class Steered(Protocol):
    """What it needs of the DeckScreen."""

    desk: Desk

    @property
    def names(self) -> Mapping[str, str]:
        """The title of each view by its name."""
        ...

    @property
    def in_force(self) -> Sequence[ActionTable]:
        """The tables whose actions can be done from the view that is shown."""
        ...

    def refusal(self, action: Action) -> str | None: ...

    def show(self, name: str, subject: str | None = None) -> None: ...

    def say(self, *cells: Cell) -> None: ...

    @property
    def moments(self) -> DeckMoments: ...

    def action_help(self) -> None: ...


class DeckCommands:
    def __init__(self, deck: Steered, screen: Screen[str]) -> None:
        self._deck = deck
        self._screen = screen

    @property
    def _app(self) -> App[None]:
        return self._screen.app  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - its App is generic

    @property
    def words(self) -> Words:
        themes = sorted(self._app.available_themes)
        desk = self._deck.desk
        filled = {view.name.replace(" ", "-"): view.filled(desk.own.order_ids) for view in desk.saved_views}
        saved = {name: f"orders {text}" for name, text in filled.items() if text is not None}
        return Words(self._deck.names, themes, saved)

    def open_line(self) -> None:
        dialog = Picker("Command", self.words.complete, free=True)
        open_dialog(self._screen, dialog, self._line_entered)

    def open_list(self) -> None:
        choices = self._every_choice()
        dialog = Picker("Every action", partial(fitting, choices), free=False)
        open_dialog(self._screen, dialog, self._chosen)

    def _every_choice(self) -> list[Suggestion]:
        choices = [
            Suggestion(
                table.id_of(action), f"{action.label}", f"{action.shown}   {table.heading}", self._why_not(action)
            )
            for table in self._deck.in_force
            for action in table.actions
        ]
        return [*choices, *(Suggestion(f":{name}", f":{name}", told) for name, told in self.words.first().items())]

    def _why_not(self, action: Action) -> str:
        return self._deck.refusal(action) or ""

    def _chosen(self, answer: str | None) -> None:
        if answer is None:
            return
        if answer.startswith(":"):
            self._line_entered(answer)
            return
        for table in self._deck.in_force:
            for action in table.actions:
                if table.id_of(action) == answer:
                    self._screen.call_later(self.run, action)
                    return

    async def run(self, action: Action) -> None:
        """Do what its key would do; what cannot be done now says why."""
        start: DOMNode = self._screen.focused or self._screen
        for node in start.ancestors_with_self:
            if hasattr(node, f"action_{action.name}"):
                await self._app.run_action(action.run, node)
                return

    def _line_entered(self, line: str | None) -> None:
        if line is None:
            return
        try:
            wish = self.words.parse(line)
        except NoCommand as error:
            self._deck.say(Cell(f" {clean(str(error))}", "warn"))
            self._screen.post_message(Missed(str(error)))
            return
        if wish is not None:
            self._do(wish)

    def _do(self, wish: ParsedLine) -> None:
        match wish.kind:
            case "quit":
                self._app.exit()
            case "help":
                self._deck.action_help()
            case "theme":
                self._app.theme = wish.name
            case "as-of":
                self._deck.moments.look_at(wish.rest)
            case "compare":
                self._deck.moments.compare(wish.rest)
            case "open":
                self._deck.show(wish.name, wish.rest or None)
            case "order":
                worker = self._screen.run_worker(partial(self._open_order, wish.rest), group="open an order")
                self._screen.post_message(Awaited(worker))

    async def _open_order(self, named: str) -> None:
        try:
            order_id = str(uuid.UUID(named))
        except ValueError:
            path = f"/api/v1/orders/number/{quote(named.upper(), safe='')}"
            try:
                order_id = (await self._deck.desk.gateway.read(path, WireOrder)).order_id
            except GatewayError as error:
                self._deck.say(Cell(f" ✖ {clean(named)}: {clean(str(error))}", "bad"))
                self._screen.post_message(Missed(f"{named}: {error}"))
                return
        self._deck.show("detail", order_id)
