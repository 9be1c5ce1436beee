"""Daemons: how each program of this orderdeck is, its log, and starting, stopping and restarting it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from tui.action_table import LIST, Action, ActionTable, Danger
from tui.daemons import DaemonsError
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field
from tui.dialogs.dialog import open_dialog
from tui.dialogs.lines import LinesDialog
from tui.gateway_guards import READ_ONLY
from tui.messages import Say
from tui.pane import Pane
from tui.viewmodels.daemon_line import DaemonLine, about, cells
from tui.viewmodels.daemons import FROM_AFAR, DaemonsModel
from tui.viewmodels.text import Cell, wrapped
from tui.viewmodels.viewport import Viewport
from tui.widgets.log_pane import LogPane
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable

_KEYS = ActionTable(
    "daemons",
    "Daemons",
    (
        Action("s", "start", "start", "s", bar=True, danger=Danger.ASKS),
        Action("K", "stop", "stop…", "K", bar=True, danger=Danger.ASKS),
        Action("R", "restart", "restart…", "R", bar=True, danger=Danger.ASKS),
        Action("F", "follow", "follow", "F", bar=True),
        Action("/", "search", "search the log", "/", bar=True),
        Action("n", "next_hit(1)", "next hit", "n"),
        Action("N", "next_hit(-1)", "hit before", "N"),
        Action("i", "errors", "its other log", "i"),
    ),
)
_COLUMNS = (
    Column("DAEMON", 15),
    Column("STATE", 11),
    Column("PID", 7, right=True),
    Column("UP", 7, right=True),
    Column("EXITS", 5, right=True),
    Column("READY", 5),
    Column("LAG", 7, right=True),
    Column("HOLDS, WHY NOT"),
)
_LOOK_EVERY = 0.9  # seconds between two looks, while the view is on the screen
_WHY_LINES = 2
_LEAST_HEIGHT = 7  # lines of the table, its head included
_TABLE_PERCENT = 45  # of the view; the rest is for the log


class DaemonsView(Pane):
    BINDINGS: ClassVar[list[BindingType]] = _KEYS.bindings()
    tables = (LIST, _KEYS)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = DaemonsModel(desk.gateway, desk.open_daemons)
        self.viewport = Viewport()
        self.place = Line(id="daemons-place")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="daemons-table")
        self.why = [Line(classes="daemon-why") for _ in range(_WHY_LINES)]
        self.log_pane = LogPane(self.model)
        self._looked_at = -math.inf
        self._looking = self._asking = False
        self._wanted = ""  # the daemon or reader to choose, once it is known which line is its

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return bool(self.model.silent)

    def compose(self) -> ComposeResult:
        yield self.place
        yield self.table
        yield from self.why
        yield self.log_pane

    def look(self) -> None:
        """Ask supervisord and the daemons anew; one that is still being asked is not asked again."""
        self._looked_at = self.desk.clock()
        if not self._looking:
            self._looking = True
            self.run_worker(self._look, group="states", exit_on_error=False)
        if not self._asking:
            self._asking = True
            self.run_worker(self._ask, group="readiness", exit_on_error=False)

    async def _look(self) -> None:
        try:
            await self.model.look_at_states()
            await self.log_pane.read()
        finally:
            self._looking = False
        self._paint()

    async def _ask(self) -> None:
        try:
            await self.model.ask_daemons()
        finally:
            self._asking = False
        self._paint()

    def enter(self, subject: str | None) -> None:
        """Show the daemons, and choose the one that is named, or the one in which the named reader of the log is."""
        self.refresh_now()
        self._wanted = subject or ""
        self.paint()

    def refresh_now(self) -> None:
        self.look()

    # --- painting -----------------------------------------------------------------------------------------------------
    @property
    def chosen(self) -> DaemonLine | None:
        lines, cursor = self.model.lines, self.viewport.cursor
        return lines[cursor] if cursor < len(lines) else None

    def paint(self) -> None:
        if self.desk.clock() - self._looked_at >= _LOOK_EVERY:
            self.look()
        self._paint()

    def _paint(self) -> None:
        self.viewport.bound(0, len(self.model.lines))
        most = max(_LEAST_HEIGHT, self.size.height * _TABLE_PERCENT // 100)
        self.table.styles.height = min(max(_LEAST_HEIGHT, len(self.model.lines) + 1), most)
        if self._wanted and (rank := self.model.rank_of(self._wanted)) is not None:
            self.viewport.go(rank)
            self._wanted = ""
        chosen = self.chosen
        shown = self.log_pane.tail.name if self.log_pane.tail is not None else None
        if chosen is not None and not chosen.elsewhere and shown != chosen.name:
            self.log_pane.open(chosen.name)
        self._paint_place()
        self._paint_why(chosen)
        self.log_pane.paint()
        self.table.say(*self._notice())
        self.table.repaint()

    def _paint_place(self) -> None:
        model = self.model
        ours = [line for line in model.lines if not line.elsewhere]
        well, elsewhere = sum(line.well for line in ours), len(model.lines) - len(ours)
        counts = [Cell(f"  {well} of {len(ours)} well", "good" if well == len(ours) else "bad")] if ours else []
        if not self.model.asked:  # that they run says little: they may all wait for the database
            counts = [Cell("  asking whether they are ready …", "dim")]
        if degraded := sum(bool(line.degraded) for line in ours):
            counts.append(Cell(f"  {degraded} degraded", "warn"))
        counts += [Cell(f"  {elsewhere} elsewhere", "dim")] if elsewhere else []
        if self.model.daemons is None:
            self.place.show([Cell(" from the query API, which only looks", "dim"), *counts])
        elif model.away:
            self.place.show([Cell(f" ✖ {model.away}", "bad"), *counts])
        else:
            silent = [Cell(f"  the query API says nothing: {model.silent}", "warn")] if model.silent else []
            self.place.show([Cell(f" supervisord {self.model.daemons.where}", "dim"), *counts, *silent])

    def _paint_why(self, chosen: DaemonLine | None) -> None:
        said: list[str] = []
        wrong = (chosen.reason or chosen.degraded) if chosen is not None else ""
        if chosen is not None and wrong:
            said = wrapped(f"{chosen.name}: {wrong}", self.size.width - 2)
        elif chosen is not None and self.model.daemons is None:
            said = wrapped(FROM_AFAR, self.size.width - 2)
        tone = "warn" if wrong else "dim"
        for n, line in enumerate(self.why):
            line.show([Cell(f" {said[n]}", tone)] if n < len(said) else [])

    def _notice(self) -> Sequence[Cell]:
        model = self.model
        if model.away and not model.asked:
            return Cell(model.away), Cell("ctrl+r looks again", "dim")
        if not model.asked and self.model.daemons is None:
            return (Cell("Asking …", "dim"),)
        return Cell(model.away or "Nothing is known of the daemons"), Cell(model.silent, "dim")

    def _row(self, rank: int) -> Sequence[Cell] | None:
        if rank >= len(self.model.lines):
            return None
        line = self.model.lines[rank]
        return cells(line, self.model.under_way.get(line.name, ""))

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        if self.viewport.cursor:  # a change of size says that it moved too
            self._wanted = ""
        self._paint()

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        if self.chosen is not None:
            self._read_in_full(self.chosen.name, about(self.chosen))

    @on(LogPane.Chosen)
    def _open_line(self, message: LogPane.Chosen) -> None:
        self._read_in_full("A line of the log", [message.text])

    def _read_in_full(self, title: str, texts: Sequence[str]) -> None:
        width = min(self.size.width, 120) - 16
        open_dialog(self, LinesDialog(title, [row for text in texts for row in wrapped(text, width)]), lambda _: None)

    # --- the log ------------------------------------------------------------------------------------------------------
    def action_follow(self) -> None:
        self.log_pane.follow()

    def action_errors(self) -> None:
        tail = self.log_pane.tail
        if tail is not None:
            self.log_pane.open(tail.name, errors=not tail.errors)

    def action_search(self) -> None:
        self.log_pane.begin_search()

    def action_next_hit(self, step: int) -> None:
        self.log_pane.next_hit(step)

    @on(LogPane.NotFound)
    def _not_found(self, message: LogPane.NotFound) -> None:
        self.post_message(Say(f"nothing in this log has “{message.search}” in it"))

    def back(self) -> bool:
        if self.log_pane.back():
            return True
        left = self.log_pane.table.has_focus
        if left:
            self.screen.set_focus(self.table)
        return left

    # --- what is done to them -----------------------------------------------------------------------------------------
    def refusal(self, action: Action) -> str | None:
        """It does not ask whether orders can be placed: a daemon is started just when they cannot."""
        return self.why_not(action.name)

    def why_not(self, action: str) -> str | None:
        if action in {"start", "stop", "restart"}:
            if self.desk.gateway.read_only:
                return READ_ONLY
            return self.model.why_not(action, self.chosen)
        if action in {"follow", "search", "next_hit", "errors"} and self.model.daemons is None:
            return FROM_AFAR
        if action == "errors" and self.chosen is not None and not self.chosen.separate_errors:
            return "it has one log, in which its errors stand too"
        if action == "next_hit" and (self.log_pane.tail is None or not self.log_pane.tail.search):
            return "nothing is searched for: / searches"
        return None

    def action_start(self) -> None:
        self._confirm("start")

    def action_stop(self) -> None:
        self._confirm("stop")

    def action_restart(self) -> None:
        self._confirm("restart")

    def _confirm(self, verb: str) -> None:
        line = self.chosen
        if line is None:
            return
        typed = verb != "start" and self.model.needed(line)
        said = [f"It is {line.state}." + (f" Its process is {line.pid}." if line.pid else "")]
        if typed:
            said.append("Meanwhile no order can be placed or steered.")
        fields = [Field("name", f"Type {line.name} to {verb} it")] if typed else []
        ask = Ask(f"{verb.capitalize()} {line.name}?", said, fields)
        open_dialog(self, ask, partial(self._confirmed, verb, line.name))

    def _confirmed(self, verb: str, name: str, answer: Mapping[str, str] | None) -> None:
        if answer is None or answer.get("name", name) != name:
            self.post_message(
                Say(f"{name} stays as it is" + ("" if answer is None else f": {name} was not typed"), "dim")
            )
        else:
            self.run_worker(partial(self._do, verb, name), group="daemons", exit_on_error=False)

    async def _do(self, verb: str, name: str) -> None:
        self.post_message(Say(f"… {verb} {name}", "dim"))
        try:
            done = await self.model.do(verb, name)
        except DaemonsError as error:
            self.post_message(Say(f"✖ {verb} {name}: {error}", "bad"))
        else:
            self.post_message(Say(f"✔ {done}", "good"))
        self.refresh_now()
