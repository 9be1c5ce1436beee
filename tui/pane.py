"""Pane: what views are made from: the usual answers to the DeckScreen, and the refusal of what cannot be done now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.containers import Vertical

from tui.action_table import Action, ActionTable
from tui.desk import Desk
from tui.messages import Missed, Say
from tui.viewmodels.ring import NumberedFrame


class Pane(Vertical):
    """A view is a Pane with `tables`, `focus_target` and `paint`; tui/view.py says what each member is for.

    Before one of its actions runs, the reason against it is looked for: from the Desk for one that sends a command,
    then from the view's own `why_not`. If there is one, it is told to the operator, and the action does not run.
    """

    tables: ClassVar[Sequence[ActionTable]] = ()
    needs_paint = False
    needs_reading = False

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def enter(self, subject: str | None) -> None:  # noqa: ARG002 - for views that show one thing
        self.paint()

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        pass

    def paint(self) -> None:
        raise NotImplementedError

    def refresh_now(self) -> None:
        self.paint()

    def forget(self) -> None:
        pass

    def back(self) -> bool:
        return False

    def why_not(self, action: str) -> str | None:  # noqa: ARG002 - for views whose actions depend on what is chosen
        return None

    def refusal(self, action: Action) -> str | None:
        """The reason that an action does nothing now, as a sentence; None when it does something."""
        return (self.desk.why_no_writes() if action.danger else None) or self.why_not(action.name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual asks this before it runs an action."""
        own = next((each for table in self.tables for each in table.actions if each.name == action), None)
        reason = None if own is None else self.refusal(own)
        if own is None or reason is None:
            return super().check_action(action, parameters)
        self.post_message(Say(reason, holds=lambda: self.refusal(own) == reason))
        if own.leads_on:
            self.post_message(Missed(reason))
        return False
