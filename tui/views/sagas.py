"""Sagas: the list of them, what needs attention first, with the steps, the next try and the money that is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label
from textual.worker import Worker

from core.filters.words import FilterError
from core.pictures.shapes import WireSaga
from core.printable import clean
from tui.action_table import LIST, Action, ActionTable
from tui.desk import Desk
from tui.dialogs.steer import STEER, why_not_steer
from tui.messages import Awaited, Copy, Missed, OpenView
from tui.steering_pane import SteeringPane
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.saga_filters import parse_saga_filter
from tui.viewmodels.saga_rows import MONEY, row_cells, summary_cells, tab_cells, why_cells
from tui.viewmodels.sagas import ALL, AT_RISK, NEWEST, TABS, SagasModel
from tui.viewmodels.text import Cell
from tui.widgets.filter_text import put_text
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "sagas",
    "Sagas",
    (
        Action("left,h", "tab(-1)", "tab before", "h"),
        Action("right,l", "tab(1)", "tab", "l", bar=True),
        Action("/", "filter", "filter", "/", bar=True),
        Action("o", "sort", "newest, or most money open, first", "o"),
        Action(".", "take_in", "take in new", "."),
        Action("x", "order", "order", "x", bar=True),
        Action("y", "copy", "copy the saga's id", "y"),
    ),
)
_COLUMNS = (
    Column("SAGA", 14),
    Column("ORDER", 14),
    Column("STEPS", 9),
    Column("NOW"),
    Column("AGE", 4, right=True, from_width=100),
    Column("NEXT", 10),
    Column("STOCK OPEN", 18, from_width=120),
    Column("ID", 36, from_width=170),
    Column("MONEY OPEN", MONEY, right=True),
)
_FLASH = 0.6  # seconds for which a row that has changed is highlighted
_HINT = "state:failed,retrying status:… name:unwind order:ORD-… or a saga's or order's id, or words of the error"


class SagasView(SteeringPane):
    BINDINGS: ClassVar[list[BindingType]] = [*_KEYS.bindings(), *STEER.bindings()]
    tables = (LIST, STEER, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = SagasModel(desk.gateway, desk.clock)
        self.table = VirtualTable(_COLUMNS, self.model.view, self._row, id="sagas-table")
        self.tabs = Line(id="saga-tabs")
        self.status = Line(id="sagas-status")
        self.why = Line(id="saga-why")
        self.filter = Input(placeholder=_HINT, compact=True, select_on_focus=False, id="saga-filter")
        self.filter_error = ""
        self._opened = False
        self._asking = False

    @property
    def steered(self) -> WireSaga | None:
        return self.model.chosen

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_paint(self) -> bool:
        return bool(self.model.changed_at)

    @property
    def needs_reading(self) -> bool:
        return self._opened and self.model.phase == "error"

    def compose(self) -> ComposeResult:
        yield self.tabs
        with Horizontal(classes="filter-bar"):
            yield Label("/", markup=False)
            yield self.filter
        yield self.status
        yield self.table
        yield self.why

    def on_resize(self) -> None:
        self.paint()

    def enter(self, subject: str | None) -> None:
        """Nothing is read before the view is opened; `subject` is a filter, such as `state:failed`."""
        text = self.filter.value if subject is None else subject
        if not self._opened or text != self.filter.value:
            self._opened = True
            self._show_text(text)
        self.paint()

    def _show_text(self, text: str) -> None:
        put_text(self.filter, text)
        self._meet(partial(self._typed, text, 0))

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        if self._opened:
            self.model.absorb(frame for _, frame in fresh)

    def paint(self) -> None:
        self._answer()
        model = self.model
        room = self.tabs.size.width - 2
        tabs = [cell for _, cell in tab_cells(model, room)]
        rest = " " * (room + 1 - sum(len(cell.text) for cell in tabs))
        self.tabs.show([], [*tabs, Cell(rest)])  # a Line tells of clicks on what stands at its right
        left = [Cell(f" {self._what()}", "dim")]
        if self.filter_error:
            left = [Cell(f" ✖ {clean(self.filter_error)}", "bad")]
        elif model.phase == "error":
            left = [Cell(f" ✖ {clean(model.error)}", "bad"), Cell("  ctrl+r reads again", "dim")]
        waiting = [Cell(f"▲ {model.new:,} new (.)   ", "accent")] if model.new else []
        place = [Cell(f"row {model.view.cursor + 1:,} ", "dim")] if len(model.window) else []
        self.status.show([*left, *summary_cells(model.summary)], [*waiting, *place])
        self.table.say(*self._notice())
        self.table.repaint()
        self.why.show(why_cells(model.chosen))

    def _what(self) -> str:
        if self.model.phase == "loading":
            return "… reading the list"
        return "most money open first" if self.model.sort == AT_RISK else "newest first"

    def _notice(self) -> Sequence[Cell]:
        model = self.model
        if model.phase == "error":
            sentence = Cell("The sagas could not be read", "bad")
            return sentence, Cell(clean(model.error)), Cell("ctrl+r tries again", "dim")
        if model.phase == "loading":
            return (Cell("reading the sagas …", "dim"),)
        if self.filter.value:
            return Cell("No saga matches this filter"), Cell("esc clears it", "dim")
        if model.tab not in (None, ALL):
            return Cell(f"No saga here: {TABS[model.tab].label}", "good"), Cell("h l go to the other tabs", "dim")
        return Cell("No sagas yet"), Cell("each order that is placed starts one", "dim")

    def _row(self, rank: int) -> Sequence[Cell] | None:
        saga = self.model.window.get(rank)
        if saga is None:
            return None
        changed = self.desk.clock() - self.model.changed_at.get(saga.saga_id, -_FLASH) < _FLASH
        return row_cells(saga, self.desk.now(), changed=changed)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _meet(self, work: Callable[[], Awaitable[object]]) -> None:
        """The next key is meant for the sagas that this reads."""
        self.post_message(Awaited(self._work(work)))

    def _work(self, work: Callable[[], Awaitable[object]], *, group: str = "sagas") -> Worker[None]:
        async def then_paint() -> None:
            await work()
            self.paint()

        return self.run_worker(then_paint, group=group, exclusive=True, exit_on_error=False)

    def _answer(self) -> None:
        """Have the server say what the events could not; only while this view is on the screen."""
        if self.desk.past is None:  # what was changes no more
            self.model.grow_old()
        if self.model.wants_answers and not self._asking:
            self._asking = True
            self.run_worker(self._catch_up, group="saga-questions", exit_on_error=False)

    async def _catch_up(self) -> None:
        try:
            await self.model.catch_up()
        finally:
            self._asking = False
        self.paint()

    def forget(self) -> None:
        self.model.forget()

    def refresh_now(self) -> None:
        if self._opened:
            self._search(self.filter.value, at_once=True)

    def _search(self, text: str, *, at_once: bool = False) -> None:
        self._work(partial(self._typed, text, 0 if at_once else self.desk.debounce))

    async def _typed(self, text: str, after: float) -> None:
        await asyncio.sleep(after)
        try:
            query = parse_saga_filter(text)
        except FilterError as error:
            self.filter_error = str(error)
            if not self.filter.has_focus:
                self.post_message(Missed(self.filter_error))
            return
        self.filter_error = ""
        self.model.typed = query
        await self.model.open()

    @on(VirtualTable.Moved)
    def _extend(self) -> None:
        self.model.moved()
        self.paint()
        if self.model.phase == "ready":
            self._work(self.model.extend, group="saga-pages")

    @on(VirtualTable.Edge)
    def _edge(self, event: VirtualTable.Edge) -> None:
        if not event.last and self.model.window.newer is not None:
            self._meet(self.model.load)

    @on(Input.Changed, "#saga-filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._search(event.value)

    @on(Input.Submitted, "#saga-filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.table)
        self._meet(partial(self._typed, event.value, 0))

    # --- actions ------------------------------------------------------------------------------------------------------

    def back(self) -> bool:
        """Esc leads from the filter to the list, and then clears the filter; False when there is none to clear."""
        if self.filter.has_focus:
            self.screen.set_focus(self.table)
            return True
        if self.filter.value:
            self._show_text("")
            return True
        return False

    def why_not(self, action: str) -> str | None:
        if action in ("order", "copy", "open") and self.model.chosen is None:
            return "no saga is chosen"
        if action == "take_in" and not self.model.new:
            return "no new sagas wait"
        return why_not_steer(self.desk, action, self.model.chosen)

    def action_tab(self, step: int) -> None:
        self._choose_tab(((ALL if self.model.tab is None else self.model.tab) + step) % len(TABS))

    def _choose_tab(self, tab: int) -> None:
        self.model.tab = tab
        self._meet(self.model.search)

    @on(Line.Picked, "#saga-tabs")
    def _tab_clicked(self, event: Line.Picked) -> None:
        cells = tab_cells(self.model, self.tabs.size.width - 2)
        ends = accumulate(len(cell.text) for _, cell in cells)
        hit = next((n for (n, _), end in zip(cells, ends, strict=True) if event.column < end), None)
        if hit is not None:
            self._choose_tab(hit)

    def action_filter(self) -> None:
        self.screen.set_focus(self.filter)  # at once, so that the next key already goes to it

    def action_sort(self) -> None:
        self.model.sort = NEWEST if self.model.sort == AT_RISK else AT_RISK
        self._meet(self.model.search)

    def action_take_in(self) -> None:
        self._meet(self.model.take_in)

    def action_order(self) -> None:
        if (saga := self.model.chosen) is not None:
            self.post_message(OpenView("detail", saga.order_id))

    def action_copy(self) -> None:
        if (saga := self.model.chosen) is not None:
            self.post_message(Copy(saga.saga_id, saga.saga_id))

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if (saga := self.model.chosen) is not None:
            self.post_message(OpenView("saga", saga.saga_id))
