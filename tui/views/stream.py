"""Stream: every event as it is recorded, followed or paused; unpainted events are counted and failures pinned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from core.printable import clean
from tui.action_table import LIST, Action, ActionTable
from tui.desk import Desk
from tui.dialogs.dialog import open_dialog
from tui.dialogs.types import TypesDialog
from tui.messages import OpenEvent, OpenView
from tui.pane import Pane
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.stream import StreamModel
from tui.viewmodels.text import Cell, clock_time
from tui.viewmodels.timeline import glyph_of, summary, tone_of
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable
from tui.wire import WireEvent

_KEYS = ActionTable(
    "stream",
    "Stream",
    (
        Action("space", "pause", "pause, follow", "space", bar=True),
        Action("F", "follow", "follow", "F"),
        Action("f", "types", "types", "f", bar=True),
        Action("x", "order", "its order", "x", bar=True),
    ),
)
_COLUMNS = (
    Column("POSITION", 10, right=True),
    Column("TIME UTC", 12),
    Column("TYPE", 28),
    Column("STREAM", 22, from_width=120),
    Column("V", 5, right=True, from_width=100),
    Column("BY", 12, from_width=120),
    Column("SUMMARY"),
)
_PINNED = 3  # lines for the latest failures


class StreamView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)
    needs_paint = False
    needs_reading = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = StreamModel(desk.ring)
        self.viewport = Viewport()
        self.counters = Line(id="counters")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="stream-table")
        self.waiting = Line(id="waiting")
        self.pinned = [Line(classes="pinned") for _ in range(_PINNED)]

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    def compose(self) -> ComposeResult:
        yield self.counters
        yield self.table
        yield self.waiting
        yield from self.pinned

    def enter(self, subject: str | None) -> None:  # noqa: ARG002 - it is opened for no event in particular
        self.paint()

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        self.model.absorb(fresh)

    def paint(self) -> None:
        stream = self.model
        self.viewport.bound(stream.first, stream.end)
        if stream.following:
            self.viewport.tail()
        stream.note_painted(self.viewport.visible)
        self._paint_counters()
        self._paint_pinned()
        self.table.say(*self._notice())
        self.table.repaint()

    def _paint_counters(self) -> None:
        stream, feed = self.model, self.desk.feed
        mode = Cell(" ● FOLLOW ", "good") if stream.following else Cell(" ⏸ PAUSED ", "flash")
        lost = Cell(f"lost {feed.lost:,}", "bad" if feed.lost else "dim")
        counts = f"  received {stream.ring.end:,}  painted {stream.painted:,}  skipped {stream.skipped:,}  "
        bad = feed.malformed + stream.undecodable
        unreadable = [Cell(f"  unreadable {bad:,}", "bad")] if bad else []
        kept = f"ring {len(stream.ring):,} ({stream.ring.bytes / 1024 / 1024:.1f} MB) "
        self.counters.show([mode, Cell(counts), lost, *unreadable], [Cell(kept, "dim")])
        waits = f" ⏸ {stream.waiting:,} waiting (space follows again)" if not stream.following else ""
        hidden = f"{len(stream.hidden)} of {len(stream.types)} types hidden (f) " if stream.hidden else ""
        gone = f"┄ {stream.older_gone:,} older made room ┄ " if stream.older_gone else ""
        failures = f"{stream.failed:,} failure{'' if stream.failed == 1 else 's'} " if stream.failed else ""
        right = [Cell(gone, "dim"), Cell(hidden, "warn"), Cell(failures, "bad")]
        self.waiting.show([Cell(waits, "accent")], right)

    def _paint_pinned(self) -> None:
        latest = list(self.model.failures)[-_PINNED:]
        calm = [] if latest else [Cell(" no failures since this deck was opened", "dim")]
        for n, line in enumerate(self.pinned):
            event = self.model.event(latest[n]) if n < len(latest) else None
            if event is None:
                line.show([] if n else calm)
            else:
                when = Cell(f" {clock_time(event.timestamp)}  ", "dim")
                line.show([when, Cell(f"✖ {clean(event.event_type)}  {summary(event)}", "bad")])

    def _notice(self) -> Sequence[Cell]:
        if self.desk.feed.state != "live" and not self.desk.ring.end:
            return Cell("Not connected to the feed"), Cell(clean(self.desk.feed.reason or "connecting …"), "dim")
        if self.model.hidden:
            return Cell("Every event so far is of a hidden type"), Cell("f shows types again", "dim")
        return Cell("No events yet"), Cell("they appear here the moment they are recorded", "dim")

    def _row(self, rank: int) -> Sequence[Cell] | None:
        event = self._event(rank)
        if event is None:
            number = self.model.number(rank)
            frame = None if number is None else self.desk.ring.get(number)
            return None if frame is None else (Cell(str(frame.position)), Cell(""), Cell("✖ unreadable event", "bad"))
        tone = tone_of(event.event_type, event.aggregate_type)
        return (
            Cell(f"{event.position:,}", "dim"),
            Cell(clock_time(event.timestamp), "dim"),
            Cell(f"{glyph_of(event.event_type, event.aggregate_type)} {clean(event.event_type)}", tone),
            Cell(f"{clean(event.aggregate_type)}-{clean(event.aggregate_id)[-12:]}", "dim"),
            Cell(str(event.version), "dim"),
            Cell(clean(event.metadata.user_id or ""), "dim"),
            Cell(summary(event), tone if tone == "dim" else ""),
        )

    def _event(self, rank: int) -> WireEvent | None:
        number = self.model.number(rank)
        return None if number is None else self.model.event(number)

    @property
    def chosen(self) -> WireEvent | None:
        return self._event(self.viewport.cursor) if self.viewport.end > self.viewport.first else None

    @on(VirtualTable.Moved)
    def _scrolled(self) -> None:
        if self.model.following and self.viewport.cursor < self.viewport.end - 1:
            self.model.pause()
        self.paint()

    @on(VirtualTable.Edge)
    def _edge(self, event: VirtualTable.Edge) -> None:
        if event.last:
            self.action_follow()

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if self.chosen is not None:
            self.model.pause()
            self.post_message(OpenEvent(self.chosen))

    def back(self) -> bool:
        if self.model.following:
            return False
        self.action_follow()
        return True

    def refresh_now(self) -> None:
        self.paint()

    def why_not(self, action: str) -> str | None:
        if action in ("order", "open") and self.chosen is None:
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
        self.model.follow()
        self.paint()

    def action_order(self) -> None:
        if self.chosen is not None:
            self.post_message(OpenView("detail", self.chosen.order_id))

    def action_types(self) -> None:
        open_dialog(self, TypesDialog(self.model), lambda _: self.paint())
