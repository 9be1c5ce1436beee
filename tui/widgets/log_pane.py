"""LogPane: the end of one daemon's log, which is followed, scrolled and searched."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label

from core.printable import clean
from core.terminal_text import counted
from tui.daemons import DaemonsError
from tui.viewmodels.daemons import DaemonsModel
from tui.viewmodels.tail import Tail
from tui.viewmodels.text import Cell
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable

_HINT = "a text in the log; enter goes to it"


class LogPane(Vertical):
    """Without daemons that can be reached no log can be read, and it says so."""

    class Chosen(Message):
        """The operator wants to read this line in full."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class NotFound(Message):
        def __init__(self, search: str) -> None:
            self.search = search
            super().__init__()

    def __init__(self, model: DaemonsModel) -> None:
        super().__init__()
        self.model = model
        self.tail: Tail | None = None
        self.viewport = Viewport()
        self.head = Line(id="log-head")
        self.search = Input(placeholder=_HINT, compact=True, select_on_focus=False, id="log-search")
        self.search_bar = Horizontal(Label("/", markup=False), self.search, classes="filter-bar")
        self.search_bar.display = False
        self.table = VirtualTable((Column("LOG"),), self.viewport, self._row, id="log")

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.search_bar
        yield self.table

    def open(self, name: str, *, errors: bool = False) -> None:
        """Show the log of this daemon, or what it writes to stderr; what is searched for stays."""
        search = self.tail.search if self.tail is not None else ""
        self.tail = Tail(name, errors=errors)
        self.tail.look_for(search)
        self.run_worker(self._open, group="log", exclusive=True, exit_on_error=False)

    async def _open(self) -> None:
        await self.read()
        self.paint()

    async def read(self) -> None:
        """Read what was logged since."""
        tail = self.tail
        daemons = self.model.daemons
        if daemons is None or tail is None:
            return
        after = tail.end
        try:
            part = await daemons.tail(tail.name, after=after, errors=tail.errors)
        except DaemonsError as error:
            tail.problem = clean(str(error))
        else:
            if tail.end == after:  # else another reading was faster, and has taken the same part
                tail.take(part)

    # --- painting -----------------------------------------------------------------------------------------------------
    def paint(self) -> None:
        tail = self.tail
        if tail is None or self.model.daemons is None:
            self.head.show([])
            self.table.say(
                Cell("Logs are read over supervisord's socket only" if self.model.daemons is None else "", "dim")
            )
            self.table.repaint()
            return
        self.viewport.bound(tail.first, tail.last)
        if tail.following:
            self.viewport.tail()
        mode = Cell("  ● FOLLOW", "good") if tail.following else Cell("  ⏸ PAUSED (F follows)", "flash")
        which = [Cell("  stderr", "warn")] if tail.errors else []
        found = (
            [Cell(f"  “{clean(tail.search, 30)}” in {counted(tail.hits, 'line')} (n N)", "accent")]
            if tail.search
            else []
        )
        wrong = [Cell(f"  ✖ {tail.problem}", "bad")] if tail.problem else []
        kept = Cell(f"{counted(tail.last - tail.first, 'line')} ", "dim")
        self.head.show([Cell(f" {tail.name}", "chosen"), *which, mode, *found, *wrong], [kept])
        self.table.say(Cell("" if tail.end is None else "It has logged nothing", "dim"))
        self.table.repaint()

    def _row(self, number: int) -> Sequence[Cell] | None:
        cell = self.tail.line(number) if self.tail is not None else None
        if cell is None or self.tail is None:
            return None
        return (cell._replace(tone="accent") if self.tail.matches(cell) else cell,)

    @on(VirtualTable.Moved)
    def _moved(self, event: VirtualTable.Moved) -> None:
        event.stop()
        if self.table.has_focus and self.tail is not None and self.viewport.cursor < self.viewport.end - 1:
            self.tail.following = False
        self.paint()

    @on(VirtualTable.Edge)
    def _edge(self, event: VirtualTable.Edge) -> None:
        event.stop()
        if event.last:
            self.follow()

    @on(VirtualTable.Opened)
    def _opened(self, event: VirtualTable.Opened) -> None:
        event.stop()
        cell = self.tail.line(self.viewport.cursor) if self.tail is not None else None
        if cell is not None:
            self.post_message(self.Chosen(cell.text))

    # --- what the operator does ---------------------------------------------------------------------------------------
    def follow(self) -> None:
        if self.tail is not None:
            self.tail.following = True
        self.paint()

    def begin_search(self) -> None:
        self.search_bar.display = True
        self.screen.set_focus(self.search)  # at once, so that keys that follow at once go there

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.tail is not None:
            self.tail.look_for(event.value)
        self.paint()

    @on(Input.Submitted)
    def _searched(self, event: Input.Submitted) -> None:
        event.stop()
        self.search_bar.display = bool(event.value)
        self.screen.set_focus(self.table)
        if self.tail is not None and event.value:
            self.tail.look_for(event.value)
            self.next_hit(-1)

    def next_hit(self, step: int) -> None:
        tail = self.tail
        if tail is None or not tail.search:
            return
        found = tail.hit(tail.last if tail.following and step < 0 else self.viewport.cursor, step)
        if found is None:
            self.post_message(self.NotFound(tail.search))
            return
        tail.following = False
        self.viewport.go(found)
        self.paint()

    def back(self) -> bool:
        """End the search, then follow again, then leave the log; False when there is nothing to undo."""
        tail = self.tail
        if self.search_bar.display or (tail is not None and tail.search):
            self.search.value = ""
            self.search_bar.display = False
            if tail is not None:
                tail.look_for("")
            self.screen.set_focus(self.table)
            self.paint()
            return True
        if tail is not None and not tail.following:
            self.follow()
            return True
        return False
