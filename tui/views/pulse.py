"""Pulse: how fast everything went in the last 15 minutes, each figure with its bars; enter leads to its cause."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from textual import on
from textual.app import ComposeResult

from tui.action_table import LIST
from tui.desk import Desk
from tui.messages import OpenView, Say
from tui.pane import Pane
from tui.viewmodels.pulse import PulseModel, Service, Tile, deck_tiles
from tui.viewmodels.quarter_hour import spark
from tui.viewmodels.text import Cell, wrapped
from tui.viewmodels.viewport import Viewport
from tui.widgets.painted import Line
from tui.widgets.virtual_table import Column, VirtualTable

_COLUMNS = (
    Column("", 22),
    Column("NOW", 9, right=True),
    Column("LAST 15 MINUTES"),
    Column("", 42, from_width=110),
)
_LOOK_EVERY = 0.9  # seconds between two looks, while the view is on the screen
_NAMES: dict[Service, str] = {"commands": "the command API", "queries": "the query API"}


class PulseView(Pane):
    tables = (LIST,)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.model = PulseModel(desk.gateway, desk.clock)
        self.viewport = Viewport()
        self.place = Line(id="pulse-place")
        self.table = VirtualTable(_COLUMNS, self.viewport, self._row, id="pulse-table")
        self.notes = [Line(classes="pulse-note") for _ in range(2)]
        self.tiles: Sequence[Tile] = ()
        self._looked_at = -math.inf
        self._looking: set[Service] = set()

    @property
    def focus_target(self) -> VirtualTable:
        return self.table

    @property
    def needs_reading(self) -> bool:
        return bool(self.model.away)

    def compose(self) -> ComposeResult:
        yield self.place
        yield self.table
        yield from self.notes

    def refresh_now(self) -> None:
        """Ask both services; one that is still being asked is not asked again."""
        self._looked_at = self.desk.clock()
        for service in _NAMES:
            if service not in self._looking:
                self._looking.add(service)
                self.run_worker(partial(self._look, service), group=service, exit_on_error=False)

    async def _look(self, service: Service) -> None:
        try:
            await self.model.look(service)
        finally:
            self._looking.discard(service)
        self._paint()

    def paint(self) -> None:
        if self.desk.clock() - self._looked_at >= _LOOK_EVERY:
            self.refresh_now()
        self._paint()

    def _paint(self) -> None:
        desk = self.desk
        own = deck_tiles(desk.receipts, tuple(desk.frames), desk.behind.worst(desk.clock()))
        self.tiles = [*self.model.tiles(), *own]
        self.viewport.bound(0, len(self.tiles))
        away = [
            f"the {'command' if name == 'commands' else 'query'} API: {why}" for name, why in self.model.away.items()
        ]
        said = f" ✖ {'; '.join(away)}" if away else " a gap in the bars is time that nobody measured"
        self.place.show([Cell(said, "bad" if away else "dim")])
        chosen = self.chosen
        note = wrapped(f"{chosen.title}: {chosen.note}", self.size.width - 2) if chosen and chosen.note else []
        for n, line in enumerate(self.notes):
            line.show([Cell(f" {note[n]}", chosen.tone or "dim" if chosen else "dim")] if n < len(note) else [])
        self.table.repaint()

    @property
    def chosen(self) -> Tile | None:
        return self.tiles[self.viewport.cursor] if self.viewport.cursor < len(self.tiles) else None

    def _row(self, rank: int) -> Sequence[Cell] | None:
        if rank >= len(self.tiles):
            return None
        tile = self.tiles[rank]
        return (
            Cell(tile.title, "chosen"),
            Cell(tile.now, tile.tone),
            Cell(spark(tile.values, self._bars, full=tile.full), "accent"),
            Cell(tile.note, tile.tone or "dim"),
        )

    @property
    def _bars(self) -> int:
        """How many bars have room: the width of the table without its other columns."""
        width = self.size.width
        others = [column.width + 1 for column in _COLUMNS if column.width and column.from_width <= width]
        return max(4, width - 2 - sum(others))

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        self._paint()

    @on(VirtualTable.Opened)
    def _open(self) -> None:
        chosen = self.chosen
        if chosen is None or chosen.cause is None or chosen.cause[0] not in self.desk.views:
            self.post_message(Say("no view shows what this comes from", "dim"))
        else:
            self.post_message(OpenView(*chosen.cause))
