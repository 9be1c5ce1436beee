"""One saga: each step beside its undo on a time axis, what is still open, and its events below."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.worker import Worker

from core.pictures.shapes import WireSaga
from core.printable import clean
from tui.action_table import LIST, Action, ActionTable
from tui.desk import Desk
from tui.dialogs.steer import STEER, STEERINGS, why_not_steer
from tui.messages import Awaited, Copy, OpenEvent, OpenView, Say
from tui.steering_pane import SteeringPane
from tui.viewmodels.ring import NumberedFrame
from tui.viewmodels.saga_detail import SagaModel, cells_of
from tui.viewmodels.text import Cell, clock_time
from tui.viewmodels.timeline import glyph_of, summary, tone_of
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import TextPane
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "saga",
    "A saga",
    (
        Action("x", "order", "order", "x", bar=True),
        Action("e", "export", "export", "e", bar=True),
        Action("y", "copy", "copy the saga's id", "y"),
    ),
)
_COLUMNS = (
    Column("#", 4, right=True),
    Column("AT", 12),
    Column("EVENT", 28),
    Column("WHAT"),
    Column("BY", 16, from_width=120),
)
_HIGH = 30  # rows of the view from which its ids are shown too
_EVENTS = 4  # rows that the events keep


class SagaView(SteeringPane):
    BINDINGS: ClassVar[list[BindingType]] = [*_KEYS.bindings(), *STEER.bindings()]
    tables = (LIST, STEER, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model: SagaModel | None = None
        self.viewport = Viewport()
        self.picture = TextPane(id="saga-picture")
        self.foot = TextPane(id="saga-foot")
        self.foot.can_focus = False
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="saga-events")
        self._reading = False

    @property
    def steered(self) -> WireSaga | None:
        return None if self.model is None else self.model.saga

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return self.model is not None and self.model.phase == "error"

    def compose(self) -> ComposeResult:
        yield self.picture
        yield self.foot
        yield self.table

    def on_resize(self) -> None:
        self.paint()

    def enter(self, subject: str | None) -> None:
        if subject is not None and (self.model is None or self.model.saga_id != subject):
            self.model = SagaModel(self.desk.gateway, subject, self.desk.clock)
            self.viewport.bound(0, 0)
        if self.model is not None:
            self.post_message(Awaited(self._read(self.model)))  # the next key is meant for this saga
        self.paint()

    def absorb(self, fresh: Sequence[NumberedFrame]) -> None:
        if self.model is not None:
            self.model.absorb(frame for _, frame in fresh)

    def forget(self) -> None:
        if self.model is not None:
            self.model = SagaModel(self.desk.gateway, self.model.saga_id, self.desk.clock)

    def refresh_now(self) -> None:
        if self.model is not None:
            self._read(self.model)

    def _read(self, model: SagaModel) -> Worker[None]:
        return self.run_worker(partial(self._load, model), group="saga", exclusive=True, exit_on_error=False)

    async def _load(self, model: SagaModel) -> None:
        self._reading = True
        try:
            await model.load()
        finally:
            self._reading = False
        if model is self.model:
            self.paint()

    def paint(self) -> None:
        model = self.model
        if model is None:
            self.table.say(Cell("enter on a saga in the list of sagas opens it", "dim"))
            self.table.repaint()
            return
        if model.is_old and not self._reading:
            self.refresh_now()
        self._paint_picture(model)
        at_end = self.viewport.cursor >= self.viewport.end - 1
        self.viewport.bound(0, len(model.events))
        if at_end:
            self.viewport.tail()
        self.table.say(*_notice(model))
        self.table.repaint()

    def _paint_picture(self, model: SagaModel) -> None:
        picture = model.picture(self.desk.now(), self.size.width - 1)
        if picture is None:
            self._show(self.picture, [])
            self._show(self.foot, [])
            return
        ids = 2 if self.size.height >= _HIGH else 0
        head = [*picture.head[:-2], *picture.head[-2 : len(picture.head) - 2 + ids]]
        stale = [[Cell(f" ✖ not up to date: {clean(model.error)}", "bad")]] if model.phase == "error" else []
        foot = [cells_of(row) for row in picture.foot]
        lines = [*(cells_of(row) for row in (*head, picture.axis, *picture.lanes)), *stale]
        room = max(3, self.size.height - len(foot) - _EVENTS)
        self._show(self.picture, lines, at_most=room)
        self._show(self.foot, foot)

    def _show(self, pane: TextPane, lines: Sequence[Sequence[Cell]], at_most: int = 10) -> None:
        """Let a pane be as high as its lines, if there is room."""
        high = min(len(lines), at_most)
        if pane.styles.height is None or pane.styles.height.value != high:
            pane.styles.height = high
        pane.show(lines, keep_scroll=True)

    def _row(self, rank: int) -> Sequence[Cell] | None:
        if self.model is None or rank >= len(self.model.events):
            return None
        event = self.model.events[rank]
        tone = tone_of(event.event_type, event.aggregate_type)
        return (
            Cell(str(event.version), "dim"),
            Cell(clock_time(event.timestamp), "dim"),
            Cell(f"{glyph_of(event.event_type, event.aggregate_type)} {clean(event.event_type)}", tone),
            Cell(summary(event)),
            Cell(clean(event.metadata.user_id or "", 40), "dim"),
        )

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if self.model is not None and self.viewport.cursor < len(self.model.events):
            self.post_message(OpenEvent(self.model.events[self.viewport.cursor]))

    def why_not(self, action: str) -> str | None:
        saga = self.model.saga if self.model is not None else None
        if saga is None and action in ("order", "export", *STEERINGS):
            return "the saga is not read yet"
        return why_not_steer(self.desk, action, saga)

    def action_order(self) -> None:
        if self.model is not None and self.model.saga is not None:
            self.post_message(OpenView("detail", self.model.saga.order_id))

    def action_copy(self) -> None:
        if self.model is not None:
            self.post_message(Copy(self.model.saga_id, self.model.saga_id))

    def action_export(self) -> None:
        if self.model is not None:
            self.run_worker(partial(self._export, self.model), group="export", thread=True, exit_on_error=False)

    def _export(self, model: SagaModel) -> None:
        """Write the picture; in a thread, since a disk may be slow."""
        import platformdirs  # noqa: PLC0415 - only for a picture that is written

        folder = Path(platformdirs.user_state_dir("orderdeck"))
        try:
            written = model.export(folder, self.desk.now())
        except OSError as error:
            self.post_message(Say(f"the picture was not written: {folder}: {error.strerror}", "bad"))
        else:
            text = str(written[0]).replace(str(Path.home()), "~", 1)
            self.post_message(Say(f"written: {text} and {written[-1].suffix}", "good"))


def _notice(model: SagaModel) -> Sequence[Cell]:
    if model.phase == "error" and model.saga is None:
        sentence = Cell("This saga could not be read", "bad")
        return sentence, Cell(clean(model.error)), Cell("ctrl+r tries again", "dim")
    return (Cell("reading the saga …", "dim"),) if model.phase == "loading" else (Cell("no events", "dim"),)
