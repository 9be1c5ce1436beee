"""Ask: a dialog in which an operator confirms a command or fills in its fields before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Label

from core.printable import clean
from tui.action_table import Action
from tui.dialogs.dialog import Dialog, key_line, offer_keys
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane

_LEAVE = "no, leave it"  # what esc does
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
        self.keys = key_line([], esc=_LEAVE)

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
            yield self.keys

    @on(events.DescendantFocus)
    def _offer(self) -> None:
        """Say what enter would do now, or y."""
        keys = [Action("y", "yes", "yes", "y")]
        if self.fields:
            leads_on = (further := self._next_field()) is not None and further.name != self._here
            keys = [Action("enter", "send", "next field" if leads_on else "send", "enter")]
        if len(self.fields) > 1:
            keys.append(Action("tab", "", "any field", "tab"))
        offer_keys(self.keys, keys, esc=_LEAVE)

    @property
    def _here(self) -> str | None:
        return None if self.focused is None else self.focused.id

    def _text(self, field: Field) -> str:
        return self.query_one(f"#{field.name}", Input).value.strip()

    def _next_field(self) -> Field | None:
        """The one to which enter leads; None: it sends. One that may stay empty is offered all the same."""
        names = [field.name for field in self.fields]
        later = self.fields[names.index(self._here) + 1 :] if self._here in names else ()
        missing = (field for field in self.fields if field.needed and not self._text(field))
        return next(missing, None) or next((field for field in later if not self._text(field)), None)

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
        self._offer()

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
        self._offer()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.is_current:
            return  # a key before this one has closed the dialog already
        further = self._next_field()
        if further is None:
            if not self._is_held_back():
                self.dismiss({field.name: self._text(field) for field in self.fields})
            return
        if event.input.id == further.name:
            self.query_one(".field-error", Label).update(f"{further.label} is needed")
        self.set_focus(self.query_one(f"#{further.name}", Input))


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
