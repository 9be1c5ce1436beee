"""DeckView: everything that the DeckScreen needs to know about a view, so that it knows no view by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from textual.widget import Widget

from tui.action_table import Action, ActionTable
from tui.viewmodels.ring import NumberedFrame


class DeckView(Protocol):
    """One full page of the deck: a Textual widget with these members; tui/registry.py lists all of them.

    A class that lacks a member is reported by the type checker at its line in the registry.
    """

    @property
    def tables(self) -> Sequence[ActionTable]:
        """The actions that work in it; those that work everywhere are added."""
        ...

    @property
    def focus_target(self) -> Widget:
        """What takes the keys when nothing else in the view has the focus."""
        ...

    @property
    def needs_paint(self) -> bool:
        """Whether the next tick must paint it although no event arrived, as while a changed row is highlighted."""
        ...

    @property
    def needs_reading(self) -> bool:
        """Whether its last reading failed, so that it has to be read again as soon as the feed is back."""
        ...

    def enter(self, subject: str | None) -> None:
        """Paint it, since it is now on the screen; `subject` is the id of what it shall show, if one was named."""
        ...

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        """Take in the events that just arrived. Every view gets them, also while another one is on the screen."""
        ...

    def paint(self) -> None:
        """Draw what is known now; called some ten times a second while events arrive, else once a second."""
        ...

    def refresh_now(self) -> None:
        """Read from the server again: the operator pressed ctrl+r, or events were missed."""
        ...

    def forget(self) -> None:
        """Show nothing of the moment before: the deck shows another one, of which `refresh_now` will read."""
        ...

    def back(self) -> bool:
        """Undo the innermost thing, such as a filter, on esc; False when there is nothing to undo, so esc leaves."""
        ...

    def refusal(self, action: Action) -> str | None:
        """The reason that one of its actions does nothing now, as a sentence; None when it does something."""
        ...
