"""What needs a person: sagas, unpaid orders, daemons and readers, the most money at risk first, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.worker import Worker

from core.pictures.shapes import WireSaga
from core.printable import clean
from core.terminal_text import span
from tui.action_table import LIST, Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.steer import STEER, STEERINGS, why_not_steer
from tui.gateway import GatewayError
from tui.messages import Act, Awaited, Copy, Missed, OpenView, Say
from tui.steering_pane import SteeringPane
from tui.viewmodels.attention import Trouble
from tui.viewmodels.attention_rows import WHOLE, detail_lines, row_cells
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line, TextPane
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "attention",
    "What needs a person",
    (
        Action("a", "advance", "ship, cancel…", "a", bar=True, danger=Danger.ASKS),
        Action("x", "order", "order", "x", bar=True),
        Action("y", "copy", "copy its id", "y"),
    ),
)
_COLUMNS = (
    Column("STATE", 11),
    Column("WHAT", 16),
    Column("WHY"),
    Column("SINCE", 5, right=True),
    Column("NEXT", 8, right=True),
    Column("OPEN", 14, right=True),
    Column("KEY", 3),
    Column("", 12, from_width=100),
)
_PAUSE = 0.5  # seconds between two readings that events cause


class AttentionView(SteeringPane):
    BINDINGS: ClassVar[list[BindingType]] = [*_KEYS.bindings(), *STEER.bindings()]
    tables = (LIST, STEER, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.viewport = Viewport()
        self.status = Line(id="attention-status")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="attention-table")
        self.whole = TextPane(id="attention-detail")
        self.whole.can_focus = False
        self._chosen_key = ""
        self._moved = False

    @property
    def steered(self) -> WireSaga | None:
        return None if self.chosen is None else self.chosen.saga

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return bool(self.desk.attention.error)

    @property
    def chosen(self) -> Trouble | None:
        troubles = self.desk.attention.troubles
        return troubles[self.viewport.cursor] if 0 <= self.viewport.cursor < len(troubles) else None

    def compose(self) -> ComposeResult:
        yield self.status
        yield self.table
        yield self.whole

    def enter(self, subject: str | None) -> None:
        super().enter(subject)
        self.post_message(Awaited(self._read_anew()))  # the next key is meant for what needs a person now

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        """What happened to a saga may have ended its trouble, or begun one."""
        self._moved |= any(frame.event_type.startswith("Saga") for _, frame in fresh)

    def refresh_now(self) -> None:
        self._read_anew()

    def _read_anew(self) -> Worker[None]:
        self._moved = False
        return self.run_worker(self._read, group="attention", exclusive=True, exit_on_error=False)

    async def _read(self) -> None:
        await self.desk.attention.read()
        self.paint()

    def paint(self) -> None:
        attention = self.desk.attention
        if self._moved and attention.read_at is not None and self.desk.clock() - attention.read_at >= _PAUSE:
            self.refresh_now()
        self._follow_chosen()
        self.status.show(self._status())
        self.table.say(*self._notice())
        self.table.repaint()
        self.whole.show(detail_lines(self.chosen, max(20, self.size.width - 2)))

    def _follow_chosen(self) -> None:
        """The cursor stays on its trouble while others come and go above it."""
        troubles = self.desk.attention.troubles
        self.viewport.bound(0, len(troubles))
        rank = next((n for n, trouble in enumerate(troubles) if trouble.key == self._chosen_key), None)
        if rank is not None and rank != self.viewport.cursor:
            self.viewport.go(rank)
        self._chosen_key = self.chosen.key if self.chosen is not None else ""

    def _status(self) -> Sequence[Cell]:
        attention = self.desk.attention
        if attention.error:
            age = "" if attention.read_at is None else f", as it was {span(attention.age or 0)} ago"
            return [Cell(f" ✖ {clean(attention.error)}{age}", "bad")]
        if attention.alarms is None:
            return [Cell(" … reading what needs a person", "dim")]
        shown, count = len(attention.troubles), attention.alarms.count
        of = f"   the {shown:,} with the most money at risk are shown" if shown < count else ""
        noun = "needs" if count == 1 else "need"
        return [Cell(f" {count:,} {noun} a person"), Cell(of or "   most money at risk first", "dim")]

    def _notice(self) -> Sequence[Cell]:
        attention = self.desk.attention
        if attention.error:
            return Cell("What needs a person is not known", "bad"), Cell("ctrl+r tries again", "dim")
        if attention.alarms is None:
            return (Cell("reading …", "dim"),)
        return Cell("Nothing needs a person", "good"), Cell("it is looked at every few seconds", "dim")

    def _row(self, rank: int) -> Sequence[Cell] | None:
        troubles = self.desk.attention.troubles
        if not 0 <= rank < len(troubles):
            return None
        return row_cells(troubles[rank], self.desk.now(), old=self.desk.attention.age is not None)

    @on(VirtualTable.Moved)
    def _cursor_moved(self) -> None:
        self._chosen_key = self.chosen.key if self.chosen is not None else ""
        self.paint()

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if (trouble := self.chosen) is not None:
            self.post_message(OpenView(WHOLE[trouble.kind], trouble.subject))

    # --- actions --------------------------------------------------------------------------------------------
    def why_not(self, action: str) -> str | None:
        trouble = self.chosen
        if action in ("advance", "order", "copy", "open", *STEERINGS) and trouble is None:
            return "nothing needs a person"
        if action in STEERINGS and trouble is not None:
            if trouble.saga is None:
                return f"{trouble.what} has no saga to steer: enter opens it"
            return why_not_steer(self.desk, action, trouble.saga)
        if action in ("advance", "order") and trouble is not None and not trouble.order_id:
            return f"{trouble.what} is no order"
        return None

    def action_order(self) -> None:
        if (trouble := self.chosen) is not None:
            self.post_message(OpenView("detail", trouble.order_id))

    def action_advance(self) -> None:
        if (trouble := self.chosen) is not None:
            advance = partial(self._advance, trouble.order_id)
            self.post_message(Awaited(self.run_worker(advance, group="advance", exit_on_error=False)))

    async def _advance(self, order_id: str) -> None:
        try:
            self.post_message(Act(await self.desk.gateway.order(order_id)))
        except GatewayError as error:
            self.post_message(Say(f"the order cannot be read: {clean(str(error), 200)}", "bad"))
            self.post_message(Missed("the order cannot be read"))

    def action_copy(self) -> None:
        if (trouble := self.chosen) is not None:
            self.post_message(Copy(trouble.subject, trouble.subject))
