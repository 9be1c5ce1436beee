"""Listing: a sorted, filtered list that is read page by page and stays right while what it shows changes.

Rows enter and leave as their state does. What cannot be judged here is asked of the server, so many rows at a time;
when more changes than can be asked about, the list is read again. So the work is bounded whatever the feed brings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

from tui.gateway import PAGE, GatewayError
from tui.viewmodels.list_source import ListPage, ListSource
from tui.viewmodels.questions import Questions
from tui.viewmodels.rows import RowPage, RowWindow
from tui.viewmodels.viewport import Viewport

Row = TypeVar("Row")

MOST_ARRIVED = 200  # newest rows that are kept because the server may not show them yet


class Listing(Generic[Row]):
    """No row moves under the cursor: the chosen row stays chosen and in its place whatever arrives.

    But while the operator stays on the very first row, new rows come in above it, and the newest is chosen.
    """

    def __init__(self, source: ListSource[Row], clock: Callable[[], float]) -> None:
        self.source = source
        self.clock = clock
        self.window = RowWindow[Row](key=source.key)
        self.view = Viewport()
        self.phase: Literal["loading", "ready", "error"] = "loading"
        self.error = ""
        self.total: int | None = None
        self.estimated = False
        self.new = 0
        """Rows that are not shown, above those that are or between too many, until the operator takes them in."""
        self.changed_at, self.questions = dict[str, float](), Questions()
        self._arrived: OrderedDict[str, Row] = OrderedDict()
        self._from_end = False
        self._follows = True
        self._generation = 0
        self._reading = False

    @property
    def chosen(self) -> Row | None:
        return self.window.get(self.view.cursor)

    @property
    def at_top(self) -> bool:
        """Whether the operator went to the first row of the whole list and stays there."""
        return self._follows and self._first_is_chosen()

    def moved(self) -> None:
        """The operator has moved the cursor."""
        self._follows = self._first_is_chosen()

    def _first_is_chosen(self) -> bool:
        top_is_held = len(self.window) > 0 and not self._from_end and self.window.newer is None
        return top_is_held and self.view.cursor == self.view.top == self.window.start

    # --- reading ----------------------------------------------------------------------------------------------------

    async def load(self, source: ListSource[Row] | None = None, *, from_end: bool = False) -> None:
        """Read the list again, from its top or its end; a late answer to an earlier reading is dropped."""
        self._generation += 1
        generation = self._generation
        if source is not None and source != self.source:
            self.source = source
            self.questions.forget()
            self._arrived.clear()
        if not len(self.window):
            self.phase = "loading"
        try:
            page = await self.source.page(None, from_end=from_end)
        except GatewayError as error:
            if generation == self._generation:
                self.phase, self.error = "error", str(error)
            return
        if generation == self._generation:
            self._show(page, from_end=from_end)

    def forget(self) -> None:
        """Drop every row, and the answers that are still to come."""
        self._generation += 1
        self.questions.forget()
        self._arrived.clear()
        self._show(ListPage(RowPage(())), from_end=False)
        self.phase = "loading"

    def _show(self, page: ListPage[Row], *, from_end: bool) -> None:
        chosen, at_top = self.chosen, self.at_top
        self._from_end, self.questions.again, self.new = from_end, False, 0
        self.phase, self.total, self.estimated = "ready", page.total, page.estimated
        rows = page.rows
        start = max(0, (page.total or 0) - len(rows.rows)) if from_end and rows.newer else 0
        self.window.reset(rows, start)
        self.view.bound(self.window.start, self.window.end)
        if from_end:
            self.view.tail()
            return
        self._merge_arrived()
        self.view.top = self.window.start
        rank = None if chosen is None or at_top else self.window.rank(self.source.key(chosen))
        self.view.go(self.window.start if rank is None else rank)
        self._follows = rank is None

    async def extend(self) -> bool:
        """Fetch the page that the view is about to need, if any; True when rows came."""
        if self._reading or self.phase != "ready":
            return False
        margin = self.view.height
        down = self.view.top + 2 * margin >= self.window.end and self.window.older is not None
        up = self.view.top - margin < self.window.start and self.window.newer is not None
        if not (down or up):
            return False
        generation, self._reading = self._generation, True
        try:
            page = await self.source.page(self.window.older if down else self.window.newer, from_end=self._from_end)
        except GatewayError as error:
            self.error = str(error)
            return False
        finally:
            self._reading = False
        if generation != self._generation:
            return False
        if down:
            self.window.append(page.rows)
        else:
            self.window.prepend(page.rows)
        self._rebase()
        return True

    async def take_in(self) -> None:
        """Put the rows that came above those that are shown on top of them; the chosen row stays chosen."""
        if not len(self.window) or self.window.newer is not None or self._from_end or self._full:
            await self.load()
            return
        generation = self._generation
        pages = list[ListPage[Row]]()
        try:
            while len(pages) < self.window.max_pages:
                page = await self.source.page(pages[-1].rows.older if pages else None, from_end=False)
                pages.append(page)
                if page.rows.older is None or any(self._held(row) for row in page.rows.rows):
                    break
        except GatewayError as error:
            self.error = str(error)
            return
        if generation != self._generation:
            return
        if pages[-1].rows.older is not None and not any(self._held(row) for row in pages[-1].rows.rows):
            self._show(pages[0], from_end=False)  # too many came: the chosen row is too far below them
            return
        first = next(iter(self.window), None)
        for page in reversed(pages):
            rows = [row for row in page.rows.rows if first is None or self.source.above(row, first)]
            self.window.prepend(RowPage(rows, page.rows.older, page.rows.newer))
        self.total, self.estimated, self.new = pages[0].total, pages[0].estimated, 0
        self._merge_arrived()
        self._rebase()
        self.view.top = self.window.start
        self.view.go(self.view.cursor)

    # --- changes ----------------------------------------------------------------------------------------------------

    def update(self, row: Row, *, belongs: bool | None) -> None:
        """Take in the new state of a row; when it cannot be judged here whether it belongs, the server is asked."""
        key = self.source.key(row)
        held = self.window.replace(row)
        if held:
            self.changed_at[key] = self.clock()
        if belongs is None:
            self.questions.ask(key)
        elif not belongs:
            self.leave(key)
        elif not held:
            self.arrive(row)

    def leave(self, key: str) -> None:
        """Take out a row that does not belong to the list any more, if it ever did."""
        self._arrived.pop(key, None)
        self.questions.count = self.questions.count or self.source.filtered
        if self.window.remove(key, keeping=self.view.cursor):
            self._rebase()

    def arrive(self, row: Row, *, new: bool = False) -> None:
        """Put a row that belongs to the list where it stands, or count it when that is above the rows held.

        `new`: it did not exist before, so that the list is one longer now.
        """
        key = self.source.key(row)
        if self.phase != "ready" or self._held(row):
            return
        if new:
            self.total = None if self.total is None else self.total + 1
            self._keep(key, row)
        else:
            self.questions.count = True
        rank = self.window.place(row, self.source.above)
        above = rank == self.window.start and (len(self.window) > 0 or self.new > 0)
        if (above and (self.window.newer is not None or not self.at_top or self._from_end)) or self._full:
            self.new += 1
            self.questions.again = self.questions.again or self.at_top or not len(self.window)
        elif rank < self.window.end or self.window.older is None:
            follows = self.at_top
            self.window.insert(row, rank, keeping=self.view.cursor)
            self.changed_at[key] = self.clock()
            self._rebase()
            if follows:
                self.view.top = self.window.start
                self.view.go(self.window.start)

    def count_new(self, rows: int) -> None:
        """So many new rows belong above those that are shown, which nobody has looked at."""
        if self.phase == "ready" and self.at_top:
            self.questions.again = True
        elif self.phase == "ready":
            self.new += rows
            self.total = None if self.total is None else self.total + rows

    @property
    def wants_answers(self) -> bool:
        """Whether `catch_up` has something to do now."""
        return self.phase == "ready" and self.questions.due(self.clock()) is not None

    async def catch_up(self) -> None:
        """Ask the server what is open: the list again, what became of some rows, or how many there are."""
        if (kind := self.questions.due(self.clock())) is None:
            return
        generation = self._generation
        self.questions.put(kind, self.clock())
        try:
            if kind == "again":
                await self._read_again()
            elif kind == "rows":
                keys = self.questions.first(PAGE)
                rows = {self.source.key(row): row for row in await self.source.among(keys)}
                if generation == self._generation:
                    self._answered(keys, rows)
            else:
                counted = await self.source.count()
                if generation == self._generation:
                    self.total, self.estimated, self.questions.count = counted.total, counted.estimated, False
        except GatewayError as error:
            self.error = str(error)  # it is asked again

    async def _read_again(self) -> None:
        """More has changed than can be followed. Rows that the operator reads further down stay where they are."""
        if self.at_top or not len(self.window):
            await self.load()
        else:
            self.questions.again = False
            for rank in self.view.visible:
                if (row := self.window.get(rank)) is not None:
                    self.questions.ask(self.source.key(row))

    def _answered(self, keys: Sequence[str], rows: dict[str, Row]) -> None:
        self.questions.answered(keys)
        for key in keys:
            if key in rows:
                self.update(rows[key], belongs=True)
            else:
                self.leave(key)

    def forget_old_changes(self) -> None:
        self.changed_at = {key: at for key, at in self.changed_at.items() if self.clock() - at < 1}

    @property
    def _full(self) -> bool:
        return len(self.window) >= PAGE * (self.window.max_pages + 5)

    # --- places -----------------------------------------------------------------------------------------------------

    def _held(self, row: Row) -> bool:
        return self.window.rank(self.source.key(row)) is not None

    def _keep(self, key: str, row: Row) -> None:
        self._arrived[key] = row
        while len(self._arrived) > MOST_ARRIVED:
            self._arrived.popitem(last=False)

    def _merge_arrived(self) -> None:
        """The server may not show the newest rows yet, of which the feed has told already."""
        first = next(iter(self.window), None)
        for row in self._arrived.values():
            if not self._held(row) and (first is None or self.source.above(row, first)):
                self.window.insert(row, self.window.place(row, self.source.above), keeping=self.view.cursor)
                self.total = None if self.total is None else self.total + 1
        self._arrived.clear()
        self._rebase()

    def _rebase(self) -> None:
        """When nothing can be fetched above it the first row becomes row 0; the same rows stay on the screen."""
        if self.window.start < 0 or self.window.newer is None:
            self.view.shift(-self.window.rebase())
        self.view.bound(self.window.start, self.window.end)
