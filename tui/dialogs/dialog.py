"""Dialog: what lies over the deck until it is answered; one of its widgets always has the focus, and esc closes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widget import Widget

from tui.action_table import Action
from tui.gateway import TimedOut, Unreachable
from tui.messages import Missed
from tui.viewmodels.text import Cell
from tui.widgets.key_line import KeyLine
from tui.widgets.painted import TONE_CLASSES

NO_ANSWER = (Unreachable, TimedOut)
ASK_AGAIN = 1.0  # seconds after which a dialog asks again for a dry run that nobody answered
Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """Its first focusable widget takes the focus when nothing else has it. ctrl+r means the same as in the views."""

    AUTO_FOCUS = "*"
    typed_only = False
    """Whether each letter either answers it or means nothing: then the rest of the same burst means nothing either."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+r", "app.reconnect", "reconnect", show=False)]
    COMPONENT_CLASSES: ClassVar[set[str]] = TONE_CLASSES

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:  # noqa: FBT001, FBT002 - Textual's signature
        if widget is None:
            widget = self.focused or next(iter(self.focus_chain), None)
        super().set_focus(widget, scroll_visible, from_app_focus)

    def on_key(self, event: events.Key) -> None:
        if self.is_current and self.pressed(event.key):
            event.stop()
        elif self.is_current and self.typed_only and event.is_printable:
            self.post_message(Missed(f"{event.key} means nothing here"))

    def pressed(self, key: str) -> bool:
        """Handle a key; True when it meant something. Not `on_key`, since Textual calls that of every class."""
        if key == "escape":
            self.dismiss(None)
        return key == "escape"


def open_dialog(node: DOMNode, dialog: Dialog[Answer], answered: Callable[[Answer | None], None]) -> None:
    """Show a dialog over the whole deck; `answered` is called with its answer, or with None after esc."""
    node.app.push_screen(dialog, answered)  # pyright: ignore[reportUnknownMemberType] - Textual's own App is generic


def key_line(keys: Sequence[Action], *, esc: str = "back") -> KeyLine:
    """The dialog's own bottom line."""
    line = KeyLine(classes="dialog-keys")
    offer_keys(line, keys, esc=esc)
    return line


def offer_keys(line: KeyLine, keys: Sequence[Action], *, esc: str) -> None:
    """Show these keys, and what esc does."""
    actions = [*keys, Action("escape", "", esc, "esc")]
    line.offer(
        actions, [cell for a in actions for cell in (Cell(f" {a.shown}", "accent"), Cell(f" {a.label} ", "dim"))]
    )
