"""EventPane: the stream as a list, its failures below it: paints it, and reads from the log what comes into sight."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from textual import on
from textual.app import ComposeResult

from core.printable import clean
from tui.desk import Desk
from tui.gateway import Gateway, GatewayError
from tui.messages import OpenEvent, Say
from tui.pane import Pane
from tui.viewmodels.event_cells import WIDE, between_cells, event_cells, failure_cells
from tui.viewmodels.event_list import EventList
from tui.viewmodels.event_row import EventRow
from tui.viewmodels.event_window import Gap
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.stream import StreamModel
from tui.viewmodels.stream_lines import counter_cells, trouble_cells, waiting_cells
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.failure_strip import FailureStrip
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable, WholeLine

_COLUMNS = (
    Column("POSITION", 10, right=True),
    Column("TIME UTC", 12),
    Column("TYPE", 28),
    Column("ORDER", 14, from_width=WIDE),
    Column("STREAM", 22, from_width=120),
    Column("V", 5, right=True, from_width=100),
    Column("BY", 12, from_width=120),
    Column("SUMMARY"),
)
_CALM = 20.0  # events a second up to which a list that moves is still read, so that order numbers are asked for


class EventPane(Pane):
    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = StreamModel(desk.ring)
        self.viewport = Viewport()
        self.counters = Line(id="counters")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="stream-table")
        self.below = Line(id="waiting")
        self.failing = Viewport()
        self.strip = FailureStrip(self.failing, self._failure, self._strip_moved, self._open_failure)
        self.wrong: dict[str, str] = {}  # what is wrong with what the operator typed, by where it was typed
        self._asking = False
        self._landing: int | None = None  # the position that the operator asked for, while its rows are being read

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return any(edge.error for rows in self._lists for edge in (rows.older, rows.newer))

    @property
    def _lists(self) -> tuple[EventList, EventList]:
        return self.model.list, self.model.failures

    @property
    def chosen(self) -> EventRow | None:
        """The event in the chosen row, of the failures while they have the focus."""
        failing = self.strip.has_focus
        rows, view = (self.model.failures, self.failing) if failing else (self.model.list, self.viewport)
        row = rows.row(view.cursor) if view.end > view.first else None
        return row if isinstance(row, EventRow) else None

    def compose(self) -> ComposeResult:
        yield self.counters
        yield self.table
        yield self.below
        yield self.strip

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        self.model.absorb(fresh)

    def refresh_now(self) -> None:
        for rows in self._lists:
            rows.older.error = rows.newer.error = ""
        self.paint()

    def follow(self) -> None:
        self.model.follow()
        self._landing = None
        self.paint()

    # --- what is painted --------------------------------------------------------------------------------------
    def paint(self) -> None:
        stream = self.model
        if (past := self.desk.past) is not None and past.position is not None and past.position != stream.list.newest:
            stream.end_at(past.position)
        self.viewport.bound(stream.list.first, stream.list.end)
        if stream.following:
            self.viewport.tail()
        self._ask_numbers()
        stream.note_painted(self.viewport.visible)
        at_end = self.failing.cursor >= self.failing.end - 1 or not self.strip.has_focus
        self.failing.bound(stream.failures.first, stream.failures.end)
        if at_end:
            self.failing.tail()
        self.counters.show(*(counter_cells(stream) if past is None else ([Cell(" the log as it ended then", "dim")],)))
        below = waiting_cells(stream, next(reversed(self.wrong.values()), ""))
        self.below.show(below, trouble_cells(stream, self.desk.feed.lost, self.desk.feed.malformed))
        self.table.say(*self._notice())
        self.table.repaint()
        self.strip.say(Cell(" no failures since this deck was opened" if past is None else " failures (tab)", "dim"))
        self.strip.repaint()
        self._read_more(moved=False)

    def _notice(self) -> Sequence[Cell]:
        if self.desk.past is not None and self.desk.past.position is None:
            return (Cell("looking for the last event of that moment …", "dim"),)
        if self.desk.past is None and self.desk.feed.state != "live" and not self.desk.ring.end:
            return Cell("Not connected to the feed"), Cell(clean(self.desk.feed.reason or "connecting …"), "dim")
        if not self.model.choice.everything:
            return Cell("No event fits this filter"), Cell("esc clears it, f shows types again", "dim")
        return Cell("No events yet"), Cell("they appear here the moment they are recorded", "dim")

    def _row(self, rank: int) -> Sequence[Cell] | None:
        stream = self.model
        row = stream.list.row(rank)
        if isinstance(row, EventRow):
            if row.at is None:
                stream.note_unreadable(row)
            return event_cells(row, stream.numbers.of(row.order_id), wide=self.table.size.width >= WIDE)
        sentence = between_cells(row, stream.list, f"{stream.tally.waiting:,} waiting", "older events")
        return WholeLine(sentence) if sentence else None

    def _failure(self, rank: int) -> Sequence[Cell] | None:
        row = self.model.failures.row(rank)
        if isinstance(row, EventRow):
            return failure_cells(row, self.model.numbers.of(row.order_id))
        sentence = between_cells(row, self.model.failures, "newer failures", "older failures")
        return WholeLine(sentence) if sentence else None

    # --- what is read -----------------------------------------------------------------------------------------
    def _read_more(self, *, moved: bool) -> None:
        """Get the events that come into sight: from the ring at once, else from the log, without waiting for it."""
        self._fill(self.model.list, self.viewport, moved=moved)

    def _fill(self, rows: EventList, view: Viewport, *, moved: bool) -> None:
        older, newer = rows.wants(view, moved=moved)
        if older and not rows.take_older():
            rows.older.reading = True  # already before the worker starts, so that none is started twice
            self.run_worker(partial(self._read, rows.read_older), group="stream-log", exit_on_error=False)
        if newer and not rows.take_newer():
            rows.newer.reading = True
            self.run_worker(partial(self._read, rows.read_newer), group="stream-log", exit_on_error=False)
        if older or newer:
            view.bound(rows.first, rows.end)

    async def _read(self, read: Callable[[Gateway], Awaitable[None]]) -> None:
        await read(self.desk.gateway)
        self._land()
        self.paint()

    def _ask_numbers(self) -> None:
        """Ask for the numbers of the orders on the screen, while it stands still long enough to be read."""
        if self._asking or (self.model.following and self.desk.rate.per_second > _CALM):
            return
        rows = [row for row in map(self.model.list.row, self.viewport.visible) if isinstance(row, EventRow)]
        for row in rows:
            if row.order_number:
                self.model.numbers.note(row.order_id, row.order_number)
        if ids := self.model.numbers.unknown(row.order_id for row in rows):
            self._asking = True
            self.run_worker(partial(self._ask, ids), group="stream-numbers", exit_on_error=False)

    async def _ask(self, ids: Sequence[str]) -> None:
        try:
            await self.model.numbers.ask(self.desk.gateway, ids)
            self.table.repaint()
        finally:
            self._asking = False

    # --- where the operator goes ------------------------------------------------------------------------------
    @on(VirtualTable.Moved)
    def _scrolled(self) -> None:
        if self.model.following and self.viewport.cursor < self.viewport.end - 1:
            self.model.pause()
        self._landing = None
        self._read_more(moved=True)
        self.paint()

    @on(VirtualTable.Edge)
    def _edge(self, event: VirtualTable.Edge) -> None:
        if event.last:
            self.follow()
        elif self.model.list.window.low > 1:
            self.go_to(1)

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        row = self.model.list.row(self.viewport.cursor)
        if isinstance(row, Gap):
            self.go_to(row.position)
        elif isinstance(row, EventRow):
            self.model.pause()
            self._open_event(row.position)

    def _strip_moved(self, last: bool) -> None:  # noqa: FBT001 - as FailureStrip calls it
        rows = self.model.failures
        if last and not rows.live:
            rows.live = True
            rows.reset(rows.newest + 1)
        self._fill(rows, self.failing, moved=True)
        self.paint()

    def _open_failure(self) -> None:
        if (row := self.chosen) is not None:
            self._open_event(row.position)

    def _open_event(self, position: int) -> None:
        self.run_worker(partial(self._open_whole, position), group="stream-event", exclusive=True, exit_on_error=False)

    async def _open_whole(self, position: int) -> None:
        try:
            event = await self.model.whole(self.desk.gateway, position)
        except GatewayError as error:
            self.post_message(Say(f"event {position:,} cannot be read: {error}"))
            return
        if event is None:
            self.post_message(Say(f"event {position:,} is unreadable"))
        else:
            self.post_message(OpenEvent(event))

    def go_to(self, position: int) -> None:
        """Pause at a position of the log, with the row in the upper part of the screen."""
        self.model.go(position)
        self._landing = position
        self._land()
        self._read_more(moved=False)
        self.paint()

    def _land(self) -> None:
        """Choose the row to go to, until the rows around it are read or the operator moves on."""
        rows = self.model.list
        if self._landing is None:
            return
        rank = rows.window.rank_at(self._landing)
        self.viewport.bound(rows.first, rows.end)
        self.viewport.go(rank)
        self.viewport.top = rank - self.viewport.height // 3
        self.viewport.bound(rows.first, rows.end)
        if len(rows.window) and not (rows.older.reading or rows.newer.reading):
            self._landing = None
