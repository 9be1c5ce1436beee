"""One saga as the service answers it, read again when its events arrive, and its picture as cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from rich.cells import cell_len

from core.folders import write_private
from core.pictures.export import svg_of, text_of
from core.pictures.marks import Row
from core.pictures.picture import Picture, picture_of
from core.pictures.shapes import PicturedSaga
from core.pictures.tracks import ENDED
from tui.gateway import Gateway, GatewayError
from tui.viewmodels.ring import RingFrame
from tui.viewmodels.text import Cell
from tui.wire import WireEvent

AGAIN = 2.0  # seconds after which a saga under way is read again: a runner takes it and gives it back without an event
AT_MOST = 0.25  # seconds between two readings, however many events arrive
TICKET = 120  # cells: the width of the picture in a file


class SagaWithEvents(PicturedSaga, frozen=True, kw_only=True):
    events: tuple[WireEvent, ...] = ()


class SagaModel:
    def __init__(self, gateway: Gateway, saga_id: str, clock: Callable[[], float]) -> None:
        self.gateway = gateway
        self.saga_id = saga_id
        self.clock = clock
        self.saga: SagaWithEvents | None = None
        self.phase: Literal["loading", "ready", "error"] = "loading"
        self.error = ""
        self._news = False
        self._next = 0.0

    @property
    def events(self) -> Sequence[WireEvent]:
        return self.saga.events if self.saga is not None else ()

    async def load(self) -> None:
        self._news, self._next = False, self.clock() + AT_MOST
        try:
            self.saga = await self.gateway.read(f"/api/v1/sagas/{self.saga_id}", SagaWithEvents)
        except GatewayError as error:
            self.phase, self.error = "error", str(error)
        else:
            self.phase, self.error = "ready", ""

    def absorb(self, frames: Iterable[RingFrame]) -> None:
        """Note whether there is news of this saga."""
        mark = self.saga_id.encode()
        self._news = self._news or any(mark in frame.data for frame in frames)

    @property
    def is_old(self) -> bool:
        """Whether it should be read again now."""
        now = self.clock()
        if now < self._next or self.phase == "loading":
            return False
        under_way = self.saga is not None and self.saga.status not in ENDED
        return self._news or (under_way and now >= self._next + AGAIN)

    def picture(self, now: datetime, width: int) -> Picture | None:
        return picture_of(self.saga, now, width) if self.saga is not None else None

    def export(self, folder: Path, now: datetime) -> Sequence[Path]:
        """Write the picture as text and as SVG, which only the operator may read. Raises OSError."""
        picture = self.picture(now, TICKET)
        if picture is None:
            return ()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"saga-{self.saga_id[:8]}-{now:%Y%m%d-%H%M%S}"
        files = folder / f"{name}.txt", folder / f"{name}.svg"
        for file, text in zip(files, (text_of(picture), svg_of(picture)), strict=True):
            write_private(file, text)
        return files


def cells_of(row: Row) -> Sequence[Cell]:
    """The marks of a line, with the gaps between them."""
    cells, at = list[Cell](), 0
    for mark in row:
        if mark.at > at:
            cells.append(Cell(" " * (mark.at - at)))
        cells.append(Cell(mark.text, mark.tone))
        at = mark.at + cell_len(mark.text)
    return cells
