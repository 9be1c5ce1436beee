"""The menu of places that an event or an order leads to; what cannot be gone to is dim and says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.widgets import Label

from tui.action_table import Action
from tui.dialogs.dialog import Dialog, key_line, open_dialog
from tui.messages import Missed
from tui.viewmodels.correlation import Place
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane


class PlacesDialog(Dialog[Place]):
    """Its answer is the chosen place."""

    typed_only = True

    def __init__(self, title: str, places: Sequence[Place]) -> None:
        super().__init__()
        self.heading = title
        self.places = places
        self.pane = TextPane()
        self.verdict = Label("", markup=False, classes="field-error")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog small"):
            yield Label(self.heading, markup=False, classes="dialog-title")
            self.pane.styles.height = len(self.places)
            self.pane.show([_line(place) for place in self.places])
            yield self.pane
            yield self.verdict
            yield key_line([Action("", "", "go there", "/".join(p.key for p in self.places if not p.why_not))])

    def pressed(self, key: str) -> bool:
        place = next((place for place in self.places if place.key == key), None)
        if place is None:
            return super().pressed(key)
        if place.why_not is None:
            self.dismiss(place)
        else:
            self.verdict.update(place.why_not)
            self.post_message(Missed(place.why_not))
        return True


def go_to(node: DOMNode, places: Sequence[Place], chosen: Callable[[Place | None], None]) -> None:
    """Go to the only place at once; if there are several, ask to which one."""
    if len(places) == 1 and places[0].why_not is None:
        chosen(places[0])
    else:
        open_dialog(node, PlacesDialog("Go to", places), chosen)


def _line(place: Place) -> list[Cell]:
    if place.why_not is None:
        return [Cell(f"{place.key}   ", "accent"), Cell(place.label)]
    return [Cell(f"{place.key}   {place.label}: {place.why_not}", "dim")]
