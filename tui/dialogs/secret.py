"""A secret that is shown once: it stays over the deck until it was copied, or left knowingly."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Label

from core.printable import clean
from tui.action_table import Action, ActionTable, bar
from tui.dialogs.ask import Sentences
from tui.dialogs.dialog import Dialog, key_line
from tui.messages import Copy

KEYS = ActionTable("secret", "A secret that is shown once", (Action("y", "copy", "copy it", "y", bar=True),))
_NOT_COPIED = "it was not copied, and is never shown again: esc once more leaves it"


class SecretDialog(Dialog[None]):
    """Keys that were meant for what lay below do not close it: esc has to be pressed twice while it is not copied."""

    BINDINGS: ClassVar[list[BindingType]] = KEYS.bindings()
    typed_only = True

    def __init__(self, named: str, secret: str) -> None:
        super().__init__()
        self.named = named
        self.secret = secret
        self._may_leave = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog small"):
            yield Label(f"The secret of {clean(self.named, 60)}", markup=False, classes="dialog-title")
            said = "It is shown only now. Its receiver checks the signatures with it."
            yield Sentences([clean(self.secret), "", said], focusable=True)
            yield Label("", markup=False, classes="field-error")
            yield key_line(bar(KEYS))

    def pressed(self, key: str) -> bool:
        if key == "escape" and not self._may_leave:
            self._may_leave = True
            self.query_one(".field-error", Label).update(_NOT_COPIED)
            return True
        return super().pressed(key)

    def action_copy(self) -> None:
        self._may_leave = True
        self.query_one(".field-error", Label).update("")
        self.post_message(Copy(self.secret, "the secret"))
