"""Ask: a dialog in which an operator confirms a command or fills in its fields before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Label

from core.printable import clean
from tui.action_table import Action
from tui.dialogs.dialog import Dialog, key_line
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane

_LOOK_AGAIN = 1.0  # seconds after which a reason not to send is looked at again
_LONGEST = 2_000  # characters; the services take fewer, and say so


class Field(NamedTuple):
    name: str
    label: str
    value: str = ""
    needed: bool = True


class Ask(Dialog[Mapping[str, str]]):
    """Without fields `y` says yes; with fields each that is needed has to get a text, and enter on the last sends.

    What is typed is written into `kept`, so that it stands there again when the same question is asked after an esc.
    While `why_not` gives a reason, yes and enter only say it: the question stays open, with all that was typed.
    """

    def __init__(
        self,
        title: str,
        lines: Sequence[str],
        fields: Sequence[Field] = (),
        kept: MutableMapping[str, str] | None = None,
        why_not: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.why_not = why_not
        self._held_back = False
        self.kept: MutableMapping[str, str] = {} if kept is None else kept
        self.heading = title
        self.lines = lines
        self.fields = fields
        self.typed_only = not fields

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog small"):
            yield Label(self.heading, markup=False, classes="dialog-title")
            yield Sentences(self.lines, focusable=not self.fields)
            for field in self.fields:
                yield Label(field.label, markup=False, classes="field-label")
                yield Input(
                    self.kept.get(field.name, field.value),
                    id=field.name,
                    compact=True,
                    select_on_focus=False,
                    max_length=_LONGEST,
                )
            yield Label("", markup=False, classes="field-error")
            yes = Action("enter", "send", "send", "enter") if self.fields else Action("y", "yes", "yes", "y")
            yield key_line([yes], esc="no, leave it")

    def pressed(self, key: str) -> bool:
        if self.fields or key not in ("y", "n"):
            return super().pressed(key)
        if key == "n":
            self.dismiss(None)
        elif not self._is_held_back():
            self.dismiss({})
        return True

    def on_mount(self) -> None:
        self.set_interval(_LOOK_AGAIN, self._look_again)

    def _is_held_back(self) -> bool:
        reason = self.why_not()
        self._held_back = reason is not None
        self.query_one(".field-error", Label).update(clean(reason or ""))
        return self._held_back

    def _look_again(self) -> None:
        if self._held_back:
            self._is_held_back()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input.id is not None:
            self.kept[event.input.id] = event.value

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.is_current:
            return  # a key before this one has closed the dialog already
        texts = {field.name: self.query_one(f"#{field.name}", Input).value.strip() for field in self.fields}
        missing = [field for field in self.fields if field.needed and not texts[field.name]]
        names = [field.name for field in self.fields]
        after = names[names.index(event.input.id or names[-1]) + 1 :]
        if not missing and (further := next((name for name in after if not texts[name]), None)) is not None:
            self.set_focus(self.query_one(f"#{further}", Input))  # it may stay empty, and is offered all the same
            return
        if not missing:
            if not self._is_held_back():
                self.dismiss(texts)
            return
        if event.input.id == missing[0].name:
            self.query_one(".field-error", Label).update(f"{missing[0].label} is needed")
        self.set_focus(self.query_one(f"#{missing[0].name}", Input))


class Choice(Protocol):
    """One line of a menu."""

    @property
    def key(self) -> str: ...

    @property
    def label(self) -> str: ...


Chosen = TypeVar("Chosen", bound=Choice)


class Menu(Dialog[Chosen], Generic[Chosen]):
    """A few choices, each with the key that makes it."""

    typed_only = True

    def __init__(self, title: str, choices: Sequence[Chosen]) -> None:
        super().__init__()
        self.heading = title
        self.choices = choices

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog small"):
            yield Label(self.heading, markup=False, classes="dialog-title")
            yield Sentences([f"{choice.key}   {choice.label}" for choice in self.choices], focusable=True)
            yield key_line([Action("", "", "choose", "/".join(c.key for c in self.choices))])

    def pressed(self, key: str) -> bool:
        for choice in self.choices:
            if key == choice.key:
                self.dismiss(choice)
                return True
        return super().pressed(key)


class Sentences(TextPane):
    """A dialog's text, as many lines high as it has."""

    def __init__(self, lines: Sequence[str], *, focusable: bool) -> None:
        super().__init__()
        self.can_focus = focusable
        self.styles.height = len(lines)
        self.show([[Cell(line)] for line in lines])
