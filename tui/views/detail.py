"""One order: its events at the left, its state after the chosen event at the right, and the track below."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.worker import Worker

from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.daemon_log import show_log_around
from tui.dialogs.dialog import open_dialog
from tui.dialogs.event import EventDialog
from tui.dialogs.go_to import go_to
from tui.dialogs.trial import refund_trial, try_command
from tui.dialogs.way_back import propose_way_back
from tui.history_file import export_history
from tui.messages import Act, Awaited, Copy, NewOrder, OpenView, Say
from tui.own_actions import why_no_way_back
from tui.pane import Pane
from tui.viewmodels import detail_lines as lines
from tui.viewmodels.correlation import LOG, Place, of_history
from tui.viewmodels.detail import DetailModel
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.statuses import CANCEL
from tui.viewmodels.stream import decode
from tui.viewmodels.text import Cell
from tui.viewmodels.track import track
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line, TextPane
from tui.widgets.virtual_table import Column, VirtualTable
from tui.wire import WireEvent

KEYS = ActionTable(
    "detail",
    "An order and its past",
    (
        Action(".", "step(1)", "one event on", "."),
        Action("comma", "step(-1)", "one event back", ","),
        Action("<", "step(-10)", "ten events back", "<"),
        Action(">", "step(10)", "ten events on", ">"),
        Action("{", "status(-1)", "previous change of status", "{"),
        Action("}", "status(1)", "next change of status", "}"),
        Action("L", "live", "live", "L", bar=True),
        Action("m", "mark", "mark this event, at most two", "m"),
        Action("d", "compare", "what changed from the mark to here, or between two marks", "d"),
        Action("f", "category", "only the events of the order, then its payment, stock, sagas", "f"),
        Action("x", "places", "go to…", "x", bar=True),
        Action("a", "advance", "advance…", "a", bar=True, danger=Danger.ASKS),
        Action("c", "cancel", "cancel…", "c", bar=True, danger=Danger.TYPED),
        Action("R", "refund", "refund…", "R", bar=True, danger=Danger.TYPED),
        Action("z", "compensate", "take back your last action…", "z", danger=Danger.TYPED),
        Action("e", "export", "write the whole history to a file", "e"),
        Action("n", "new_order", "new", "n", danger=Danger.ASKS),
        Action("y", "copy", "copy the order's id", "y"),
    ),
)
_WRITING = ("advance", "cancel", "refund", "compensate", "new_order")
_WHAT_FROM = 56
_COLUMNS = (
    Column("#", 6, right=True, from_width=48),
    Column("HISTORY", 28),
    Column("Δt", 10, right=True),
    Column("WHAT", from_width=_WHAT_FROM),
    Column("AT", 12, from_width=90),
)


class DetailView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = KEYS.bindings()
    tables = (LIST, KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model: DetailModel | None = None
        self.viewport = Viewport()
        self.who = Line(id="detail-who")
        self.standing = Line(id="detail-standing")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="history")
        self.state = TextPane(id="state")
        self.event = TextPane(id="event")
        self.track = Line(id="track")
        self.comparing = False

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return self.model is not None and self.model.phase == "error"

    def compose(self) -> ComposeResult:
        yield self.who
        yield self.standing
        with Horizontal():
            yield self.table
            with Vertical(id="detail-right"):
                yield self.state
                yield self.event
        yield self.track

    def enter(self, subject: str | None) -> None:
        if subject is not None:
            if self.model is None or self.model.order_id != subject:
                self.model = DetailModel(self.desk.gateway, subject)
                self.model.order, self.comparing = self.desk.orders.window.find(subject), False
            self.post_message(Awaited(self._read(self.model)))  # the next key is meant for this order
        self.paint()

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        if self.model is not None:
            mark = self.model.order_id.encode()
            self.model.take(filter(None, (decode(frame.data) for _, frame in fresh if mark in frame.data)))

    def forget(self) -> None:
        self.model = self.model and DetailModel(self.desk.gateway, self.model.order_id)

    def refresh_now(self) -> None:
        if self.model is not None:
            self._read(self.model)

    def _read(self, model: DetailModel) -> Worker[None]:
        return self.run_worker(partial(self._load, model), group="detail", exclusive=True, exit_on_error=False)

    async def _load(self, model: DetailModel) -> None:
        await model.load()
        self.paint()

    def paint(self) -> None:
        model = self.model
        if model is None:
            return
        timeline, width = model.timeline, self.state.size.width
        self.viewport.bound(0, len(timeline.rows))
        self.viewport.go(timeline.row)
        self.who.show(*lines.who_cells(model))
        self.standing.show(*lines.standing_cells(model, self.desk.now(), self.standing.size.width))
        self.table.say(*lines.notice(model))
        self.table.repaint()
        comparing = self.comparing and timeline.compared() is not None
        self.state.show(
            lines.difference_lines(timeline, width) if comparing else lines.state_lines(model, width), keep_scroll=True
        )
        self.event.show(lines.event_lines(timeline.current) if timeline.current else [])
        place = [Cell(f" only {timeline.only} (f)", "flash")] if timeline.only else []
        place += [Cell(f" {timeline.at + 1}/{len(timeline.events)} ", "dim")] if timeline.events else []
        room = max(10, self.track.size.width - 36)
        self.track.show([Cell(" "), *track(timeline, room)], [*place, Cell(", . step ", "dim")])

    def _row(self, row: int) -> Sequence[Cell] | None:
        if self.model is None or row >= len(self.model.timeline.rows):
            return None
        return lines.history_cells(self.model.timeline, row, narrow=self.table.size.width < _WHAT_FROM)

    def back(self) -> bool:
        """Leave the comparison, then show the events of every category again."""
        if self.comparing:
            self.comparing = False
        elif self.model is not None and self.model.timeline.only:
            self.model.timeline.show_only("")
        else:
            return False
        self.paint()
        return True

    # --- what can be done ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        model = self.model
        if model is None or not (model.order or model.timeline.events):
            return "the order is not loaded yet"
        if action in _WRITING:
            return self.desk.why_no_writes(model.order_id) or self._why_no_command(model, action)
        if action == "live":
            return "this is live already" if not model.past else None
        if action == "compare" and not self.comparing and not model.timeline.marks:
            return "m marks an event first; d then shows what changed from there to where you are"
        return None

    def _why_no_command(self, model: DetailModel, action: str) -> str | None:
        if action == "compensate":
            return model.why_not_now() or why_no_way_back(self.desk.own.last)
        return model.why_no_command(action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that moved the cursor just before has its effect first."""
        if self._follow_cursor():
            self.paint()
        return super().check_action(action, parameters)

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        self._follow_cursor()
        self.paint()

    def _follow_cursor(self) -> bool:
        """Choose the event under the cursor; True when another one was chosen before.

        A viewport that does not know all rows yet has not been moved by the operator.
        """
        timeline = self.model.timeline if self.model else None
        if timeline is None or self.viewport.end != len(timeline.rows) or self.viewport.cursor == timeline.row:
            return False
        timeline.choose(self.viewport.cursor)
        return True

    def action_step(self, delta: int) -> None:
        if self.model is not None:
            self._follow_cursor()
            self.model.timeline.choose(self.model.timeline.row + delta)
            self.paint()

    def action_status(self, direction: int) -> None:
        if self.model is not None:
            self.model.timeline.next_status(direction)
            self.paint()

    def action_live(self) -> None:
        if self.model is not None:
            self.model.timeline.go(len(self.model.timeline.events) - 1)
            self.paint()

    def action_mark(self) -> None:
        if self.model is not None:
            self.model.timeline.mark()
            self.paint()

    def action_compare(self) -> None:
        self.comparing = not self.comparing
        self.paint()

    def action_category(self) -> None:
        if self.model is not None:
            self.model.timeline.show_next_category()
            self.paint()

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if self.model is not None and self.model.timeline.current is not None:
            dialog = EventDialog(self.model.timeline.current, of_history(self.model.timeline, self.desk.views))
            open_dialog(self, dialog, self._go)

    def action_places(self) -> None:
        if self.model is not None:
            go_to(self, of_history(self.model.timeline, self.desk.views), self._go)

    def _go(self, place: Place | None) -> None:
        if place is None or self.model is None:
            pass
        elif place.event is not None:
            self.model.timeline.go(place.event)
            self.paint()
        elif place.view == LOG and (event := self.model.timeline.current) is not None:
            show = partial(show_log_around, self, self.desk, event.timestamp)
            self.run_worker(show, group="log", exclusive=True, exit_on_error=False)
        else:
            self.post_message(OpenView(place.view, place.subject))

    def action_new_order(self) -> None:
        self.post_message(NewOrder())

    def action_advance(self) -> None:
        if self.model and self.model.order:
            self.post_message(Act(self.model.order))

    def action_cancel(self) -> None:
        if self.model and self.model.order:
            self.post_message(Act(self.model.order, CANCEL))

    def action_refund(self) -> None:
        if self.model and (order := self.model.order) is not None:
            try_command(self, self.desk, refund_trial(order), order.order_number)

    def action_compensate(self) -> None:
        if self.model is not None and (action := self.desk.own.last) is not None:
            propose = partial(propose_way_back, self, self.desk, action, self.model.order_id)
            worker = self.run_worker(propose, group="compensate", exclusive=True, exit_on_error=False)
            self.post_message(Awaited(worker))

    def action_export(self) -> None:
        if self.model is not None:
            export = partial(self._export, self.model.order_id, tuple(self.model.timeline.events))
            self.run_worker(export, group="export", exclusive=True, exit_on_error=False)

    async def _export(self, order_id: str, events: Sequence[WireEvent]) -> None:
        """Written in a thread of its own: 20,000 events take longer than a screen may stand still."""
        sentence, tone = await asyncio.to_thread(export_history, order_id, events)
        self.post_message(Say(sentence, tone))

    def action_copy(self) -> None:
        if self.model is not None:
            self.post_message(Copy(self.model.order_id, self.model.order_id))
