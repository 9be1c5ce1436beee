"""One order: its events at the left, its state after the chosen event at the right, and the scrubber below."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from core.printable import clean
from core.terminal_text import fit, money, span
from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.messages import Act, Copy, NewOrder, OpenEvent
from tui.pane import Pane
from tui.viewmodels.detail import DetailModel
from tui.viewmodels.payments import end_of_authorization, how_much, payment_cell
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.statuses import CANCEL, legal, one_line, status_cell
from tui.viewmodels.stream import decode
from tui.viewmodels.text import Cell, clock_time, pretty
from tui.viewmodels.timeline import glyph_of, summary, tone_of
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line, TextPane
from tui.widgets.virtual_table import Column, VirtualTable
from tui.wire import WireEvent, WireOrder

_KEYS = ActionTable(
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
        Action("a", "advance", "advance…", "a", bar=True, danger=Danger.ASKS),
        Action("c", "cancel", "cancel…", "c", bar=True, danger=Danger.TYPED),
        Action("n", "new_order", "new", "n", danger=Danger.ASKS),
        Action("y", "copy", "copy the order's id", "y"),
    ),
)
_WHAT_FROM = 56
_COLUMNS = (
    Column("#", 3, right=True, from_width=48),
    Column("HISTORY", 28),
    Column("Δt", 10, right=True),
    Column("WHAT", from_width=_WHAT_FROM),
    Column("AT", 12, from_width=90),
)
_LABEL = 12  # cells that a label may always take


class DetailView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)
    needs_paint = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model: DetailModel | None = None
        self.viewport = Viewport()
        self.head = Line(id="detail-head")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="history")
        self.state = TextPane(id="state")
        self.event = TextPane(id="event")
        self.track = Line(id="track")

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return self.model is not None and self.model.phase == "error"

    def compose(self) -> ComposeResult:
        yield self.head
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
                self.model.order = self.desk.orders.window.find(subject)
            self.refresh_now()
        self.paint()

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        if self.model is not None:
            mark = self.model.order_id.encode()
            own = [decode(frame.data) for _, frame in fresh if mark in frame.data]
            self.model.take(event for event in own if event is not None)

    def refresh_now(self) -> None:
        if self.model is not None:
            self.run_worker(partial(self._load, self.model), group="detail", exclusive=True, exit_on_error=False)

    async def _load(self, model: DetailModel) -> None:
        await model.load()
        self.paint()

    def paint(self) -> None:
        model = self.model
        if model is None:
            return
        timeline = model.timeline
        self.viewport.bound(0, len(timeline.events))
        self.viewport.go(timeline.at)
        self._paint_head(model)
        self._paint_notice(model)
        self.table.repaint()
        self.state.show(self._state_lines(model))
        self.event.show(_event_lines(timeline.current) if timeline.current else [])
        place = [Cell(f" {timeline.at + 1}/{len(timeline.events)} ", "dim")] if timeline.events else []
        room = max(10, self.track.size.width - 20)
        self.track.show([Cell(" "), *timeline.track(room)], [*place, Cell(", . step ", "dim")])

    def _paint_head(self, model: DetailModel) -> None:
        order = model.order
        if order is None:
            self.head.show([Cell(f" {model.order_id}")])
            return
        past = [] if model.timeline.live else [Cell("  "), Cell(" « THE PAST (L: live) ", "flash")]
        left = [
            Cell(f" {clean(order.order_number)}  "),
            status_cell(order.status),
            *_payment_cells(order, self.desk.now()),
            *past,
            Cell(f"  {money(order.total_amount, order.currency)}  {clean(order.customer_id)}"),
        ]
        self.head.show(left, [Cell(f"v{order.version}  {one_line(order.shipping_address)} ", "dim")])

    def _paint_notice(self, model: DetailModel) -> None:
        if model.phase == "error":
            words = (
                Cell("This order could not be read", "bad"),
                Cell(clean(model.error)),
                Cell("ctrl+r tries again", "dim"),
            )
            self.table.say(*words)
        else:
            self.table.say(Cell("reading its history …", "dim"))

    def _row(self, rank: int) -> Sequence[Cell] | None:
        model = self.model
        if model is None or rank >= len(model.timeline.events):
            return None
        event = model.timeline.events[rank]
        tone = tone_of(event.event_type, event.aggregate_type)
        gap = model.timeline.since_last(rank)
        quiet = bool(model.timeline.quiet_before(rank))
        ago = "" if gap is None else (f"┄ {span(gap)} ┄" if quiet else f"+{span(gap)}")
        words = summary(event)
        # Where there is no room for the column WHAT, the step is shown instead of the type of a saga's event.
        named = words if event.aggregate_type == "saga" and self.table.size.width < _WHAT_FROM else event.event_type
        return (
            Cell(str(rank + 1), "dim"),
            Cell(f"{glyph_of(event.event_type, event.aggregate_type)} {clean(named)}", tone),
            Cell(ago, "accent" if quiet else "dim"),
            Cell(words, "dim"),
            Cell(clock_time(event.timestamp), "dim"),
        )

    def _state_lines(self, model: DetailModel) -> list[list[Cell]]:
        event = model.timeline.current
        if event is None:
            return []
        changed = model.timeline.state_at()
        count = sum(1 for line in changed if line.before is not None)
        title = f" STATE after {model.timeline.at + 1}   {count} changed"
        lines = [[Cell(title, "head")]]
        width = min(max((len(line.label) for line in changed), default=0), max(_LABEL, self.state.size.width // 3))
        for label, now, before in changed:
            mark = Cell(" " if before is None else "▸", "accent")
            was = [] if before in (None, "–") else [Cell(f"  was {before}", "dim")]
            value = Cell(now, "" if before is None else "accent")
            lines.append([mark, Cell(f"{fit(label, width)} ", "dim"), value, *was])
        return lines

    @on(VirtualTable.Moved)
    def _scrubbed(self) -> None:
        if self.model is not None and self.model.timeline.events:
            self.model.timeline.go(self.viewport.cursor)
            self.paint()

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if self.model is not None and self.model.timeline.current is not None:
            self.post_message(OpenEvent(self.model.timeline.current))

    def back(self) -> bool:
        return False

    def why_not(self, action: str) -> str | None:
        model = self.model
        order = model.order if model else None
        if model is None or order is None:
            return "the order is not loaded yet" if action in ("advance", "cancel", "live") else None
        if action == "live":
            return "this is live already" if model.timeline.live else None
        if action in ("advance", "cancel"):
            actions = (CANCEL,) if action == "cancel" else (legal(order.status) or (CANCEL,))[:1]
            return self.desk.why_no_writes(order.order_id) or model.why_not(actions[0])
        return None

    def action_step(self, delta: int) -> None:
        self.table.action_move(delta)

    def action_status(self, direction: int) -> None:
        if self.model is not None:
            self.model.timeline.next_status(direction)
            self.paint()

    def action_live(self) -> None:
        self.table.action_last()

    def action_new_order(self) -> None:
        self.post_message(NewOrder())

    def action_advance(self) -> None:
        if self.model and self.model.order:
            self.post_message(Act(self.model.order))

    def action_cancel(self) -> None:
        if self.model and self.model.order:
            self.post_message(Act(self.model.order, CANCEL))

    def action_copy(self) -> None:
        if self.model is not None:
            self.post_message(Copy(self.model.order_id, self.model.order_id))


def _payment_cells(order: WireOrder, now: datetime) -> list[Cell]:
    """The state of the payment, as it stands after the status: ` · REFUNDED 20.00 of 20.00 USD`."""
    cell, end = payment_cell(order.payment_status), end_of_authorization(order, now)
    cells = [Cell(" · ", "dim"), Cell(f"{cell.text} {how_much(order)}".rstrip(), cell.tone)]
    return [*cells, Cell(f" {end}", "warn")] if end else cells


def _event_lines(event: WireEvent) -> list[list[Cell]]:
    by = f"   by {event.metadata.user_id}" if event.metadata.user_id else ""
    head = f" {event.event_type}   at {event.position:,}   v{event.version}{by}"
    return [[Cell(clean(head), "head")], *([Cell(f" {line}")] for line in pretty(bytes(event.payload)))]
