"""The dialog of a bulk command: it freezes the orders, tries them without effect, has their number typed, and sends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from core.printable import clean
from core.terminal_text import counted
from tui.action_table import Action, ActionTable, Danger
from tui.dialogs.dialog import Dialog, key_line
from tui.gateway import Gateway, GatewayError
from tui.messages import Copy
from tui.viewmodels.bulk import Bulk, BulkOrder, TooMany, sums
from tui.viewmodels.text import Cell
from tui.widgets.painted import TextPane

KEYS = ActionTable(
    "bulk",
    "A command for many orders",
    (
        Action("enter", "go", "send", "enter", bar=True, danger=Danger.TYPED),
        Action("ctrl+t", "turn", "stop at a failure, or go on", "ctrl+t", bar=True),
        Action("ctrl+y", "copy", "copy", "ctrl+y", bar=True),
    ),
)
_REASONS, _FAILED = 6, 200  # lines of reasons and of orders that were not done, at most
_PAINT = 0.25  # seconds

Stage = Literal["freezing", "trying", "asking", "running", "ended"]


class BulkDialog(Dialog[str]):
    """Its answer is a sentence on what was done; esc stops after the order that is under way, and closes it then."""

    BINDINGS: ClassVar[list[BindingType]] = KEYS.bindings()
    AUTO_FOCUS = "#number"

    def __init__(
        self,
        gateway: Gateway,
        verb: str,
        body: Mapping[str, Any],
        frozen: AsyncIterator[list[BulkOrder]],
        why_no_writes: Callable[[], str | None],
    ) -> None:
        super().__init__()
        self.orders: list[BulkOrder] = []
        self.bulk = Bulk(gateway, verb, body, self.orders)
        self.frozen = frozen
        self.why_no_writes = why_no_writes
        self.stage: Stage = "freezing"
        self.stops = True
        self.error = ""
        self.heading = Label("", markup=False, classes="dialog-title")
        self.pane = TextPane()
        self.number = Input(compact=True, id="number", select_on_focus=False)
        self.say = Label("", markup=False, classes="field-error")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog large"):
            yield self.heading
            yield self.pane
            yield self.number
            yield self.say
            yield key_line(KEYS.actions, esc="stop, close")

    def on_mount(self) -> None:
        self.set_interval(_PAINT, self.paint)
        self.run_worker(self._prepare, group="bulk", exit_on_error=False)
        self.paint()

    async def _prepare(self) -> None:
        try:
            async for orders in self.frozen:
                self.orders += orders
            self.stage = "trying"
            await self.bulk.rehearse()
            self.stage = "asking"
        except (GatewayError, TooMany) as error:
            self.stage, self.error = "ended", str(error)
        self.paint()

    @property
    def ready(self) -> int:
        """How many orders the command would be sent for."""
        return len(self.bulk.those("would be done", "failed"))

    def pressed(self, key: str) -> bool:
        if key != "escape":
            return super().pressed(key)
        if self.stage == "running":
            self.bulk.stopped = True
            self.say.update("stopping after the order that is under way …")
        else:
            self.bulk.stopped = True
            done = len(self.bulk.those("done"))
            self.dismiss(f"{self.bulk.verb}: {done:,} of {counted(len(self.orders), 'order')} done" if done else None)
        return True

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_go()

    def action_go(self) -> None:
        typed = self.number.value.strip().replace(",", "")
        if self.stage != "asking" or not self.ready:
            return
        if typed != str(self.ready):
            self.say.update(f"type {self.ready} to send, esc to leave it")
        elif reason := self.why_no_writes():
            self.say.update(clean(reason))
        else:
            self.say.update("")
            self.number.value = ""
            self.stage = "running"
            self.run_worker(self._run, group="bulk", exit_on_error=False)
        self.paint()

    async def _run(self) -> None:
        await self.bulk.run(stop_at_failure=self.stops)
        self.stage = "asking" if self.ready else "ended"
        self.say.update("")
        self.paint()

    def action_turn(self) -> None:
        self.stops = not self.stops
        self.paint()

    def action_copy(self) -> None:
        self.post_message(Copy("\n".join(self.bulk.report()), "the report"))

    def paint(self) -> None:
        bulk, count = self.bulk, len(self.orders)
        self.heading.update(f"{bulk.verb.capitalize()} {counted(count, 'order')}, {sums(self.orders)}")
        tried = count - len(bulk.those("waiting"))
        self.pane.show([*self._progress(tried), [], *self._outcome()], keep_scroll=True)

    def _progress(self, tried: int) -> list[list[Cell]]:
        ready = self.bulk.those("would be done", "failed")
        how = "stops at the first failure" if self.stops else "goes on after a failure"
        match self.stage:
            case "freezing":
                return [[Cell(" … reading which orders these are", "dim")]]
            case "trying":
                return [[Cell(f" … trying without effect: {tried:,} of {len(self.orders):,}", "dim")]]
            case "asking" if ready:
                what = f" {len(ready):,} would be done, {sums(ready)}: type {len(ready)} and press enter"
                return [[Cell(what, "accent")], [Cell(f" one after another; {how} (ctrl+t)", "dim")]]
            case "running":
                return [[Cell(f" … {len(self.bulk.those('done')):,} done, {len(ready):,} to go; {how}", "accent")]]
            case _ if self.error:
                return [[Cell(f" ✖ {clean(self.error)}", "bad")]]
            case _:
                return [[Cell(" nothing is left to send", "dim")]]

    def _outcome(self) -> list[list[Cell]]:
        bulk = self.bulk
        lines = [[Cell(f" ✔ {len(done):,} done, {sums(done)}", "good")]] if (done := bulk.those("done")) else []
        against = bulk.those("refused", "failed", "would be refused")
        if not against:
            return lines
        lines.append([Cell(f" ✖ {len(against):,} not, {sums(against)}:", "bad")])
        lines += [[Cell(f"   {count:,} × {clean(why)}")] for why, count in bulk.reasons()[:_REASONS]]
        lines.append([])
        lines += [[Cell(f"   {clean(line)}", "dim")] for line in bulk.report()[: min(len(against), _FAILED)]]
        if len(against) > _FAILED:
            lines.append([Cell(f"   … {len(against) - _FAILED:,} more; ctrl+y copies all of them", "dim")])
        return lines
