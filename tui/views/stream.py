"""Stream: the log as it is recorded, followed or paused, back to its beginning, whole or what fits a filter."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from core.filters.log_places import WANTED, place_in_log
from core.filters.words import FilterError
from tui.action_table import LIST, Action, ActionTable
from tui.desk import Desk
from tui.dialogs.dialog import open_dialog
from tui.dialogs.types import TypesDialog
from tui.event_pane import EventPane
from tui.gateway import GatewayError
from tui.messages import Copy, OpenView, Say
from tui.viewmodels.event_filter import parse_events
from tui.viewmodels.event_search import understood
from tui.viewmodels.log_reader import position_at

_KEYS = ActionTable(
    "stream",
    "Stream",
    (
        Action("space", "pause", "pause", "space", bar=True),
        Action("F", "follow", "follow", "F"),
        Action("/", "filter", "filter", "/", bar=True),
        Action("f", "types", "types", "f"),
        Action("=", "only_type", "only this type", "="),
        Action("t", "goto", "go to", "t", bar=True),
        Action("tab,shift+tab", "failures", "failures", "tab", bar=True),
        Action("x", "order", "its order", "x", bar=True),
        Action("y", "copy", "copy the event's id", "y"),
    ),
)
_HINT = "type:payment category:order order:… stream:… by:ada, -not, or any text in the event"


class StreamView(EventPane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.filter = Input(placeholder=_HINT, compact=True, select_on_focus=False, id="stream-filter")
        self.place = Input(placeholder=WANTED, compact=True, select_on_focus=False, id="stream-place")

    def compose(self) -> ComposeResult:
        with Horizontal(classes="filter-bar"):
            yield Label("/", markup=False)
            yield self.filter
            yield Label("t", markup=False)
            yield self.place
        yield from super().compose()

    @on(Input.Changed, "#stream-filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._search(event.value, after=self.desk.debounce)

    def _search(self, text: str, *, after: float = 0) -> None:
        work = partial(self._choose, text, after)
        self.run_worker(work, group="stream-filter", exclusive=True, exit_on_error=False)

    async def _choose(self, text: str, after: float) -> None:
        await asyncio.sleep(after)
        try:
            choice = parse_events(text).hiding(self.model.hidden)
            if choice == self.model.choice:
                self.wrong.pop("filter", None)
                self.paint()
                return
            found = await understood(self.desk.gateway, choice)
        except (FilterError, GatewayError) as error:
            self.wrong["filter"] = str(error)
        else:
            self.wrong.pop("filter", None)
            row = self.chosen
            self.model.choose(found.choice, None if row is None else row.position)
            if found.position is not None:
                self.go_to(found.position)
        self.paint()

    @on(Input.Submitted, "#stream-filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.table)

    @on(Input.Submitted, "#stream-place")
    def _place_typed(self, event: Input.Submitted) -> None:
        event.stop()
        work = partial(self._find_place, event.value)
        self.run_worker(work, group="stream-place", exclusive=True, exit_on_error=False)

    async def _find_place(self, text: str) -> None:
        try:
            place = place_in_log(text, self.desk.now())
            position = place if isinstance(place, int) else await position_at(self.desk.gateway, place.isoformat())
        except (FilterError, GatewayError) as error:
            self.wrong["place"] = str(error)
            self.paint()
            return
        self.wrong.clear()
        self.place.value = ""
        self.screen.set_focus(self.table)
        if position > self.model.list.newest:
            self.post_message(Say(f"nothing was recorded there: the log ends at {self.model.list.newest:,}"))
            self.follow()
        else:
            self.go_to(max(1, position))

    def back(self) -> bool:
        """Esc leads from what has the focus to the list, then clears the filter, then follows again."""
        if not self.table.has_focus:
            self.place.value = ""
            self.screen.set_focus(self.table)
        elif self.filter.value:
            self.filter.value = ""
        elif not self.model.following:
            self.follow()
        else:
            return False
        self.wrong.clear()
        return True

    def why_not(self, action: str) -> str | None:
        if action in ("order", "open", "only_type", "copy") and self.chosen is None:
            return "no event is chosen"
        if action == "order" and self.chosen is not None and not self.chosen.order_id:
            return "this event belongs to no order"
        return None

    def action_pause(self) -> None:
        if self.model.following:
            self.model.pause()
        else:
            self.model.follow()
        self.paint()

    def action_follow(self) -> None:
        self.follow()

    def action_filter(self) -> None:
        self.screen.set_focus(self.filter)  # at once, so that the next key already goes to it

    def action_goto(self) -> None:
        self.screen.set_focus(self.place)

    def action_failures(self) -> None:
        self.screen.set_focus(self.table if self.strip.has_focus else self.strip)

    def action_only_type(self) -> None:
        if (row := self.chosen) is not None:
            others = [word for word in self.filter.value.split() if not word.lower().startswith("type:")]
            self.filter.value = text = " ".join([f"type:{row.event_type}", *others])
            self.filter.cursor_position = len(text)

    def action_order(self) -> None:
        if (row := self.chosen) is not None:
            self.post_message(OpenView("detail", row.order_id))

    def action_copy(self) -> None:
        if (row := self.chosen) is not None:
            self.post_message(Copy(row.event_id, row.event_id))

    def action_types(self) -> None:
        open_dialog(self, TypesDialog(self.model), lambda _: self.paint())
