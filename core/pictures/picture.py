"""Picture: one saga as lines of marks: who it is, its lanes on a time axis, and what is still open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len

from core.pictures.axis import Axis, axis_of
from core.pictures.marks import Mark, Row, axis_row, track_row
from core.pictures.sentences import foot_rows, head_rows, step_look
from core.pictures.shapes import PicturedSaga, WireLane
from core.pictures.tracks import Track, tracks_of
from core.printable import clean
from core.terminal_text import fit

NARROWEST = 60  # cells; a narrower picture would say nothing
WITH_OPEN_COLUMN = 116  # cells from which what a step has left open stands beside it and not below it
WITH_WORDS = 150  # cells from which a step also says what it does
MOST_LANES = 200
LONGEST_NAME = 60
STATE = 15  # cells for how far a step or its undo is

_FORWARD = {
    "PENDING": ("○", "pending", "dim"),
    "RUNNING": ("◐", "running", "moving"),
    "DONE": ("✔", "done", "good"),
    "FAILED": ("✖", "failed", "bad"),
    "SKIPPED": ("»", "skipped", "warn"),
}
_UNDO = {
    "NOT_NEEDED": ("·", "not needed", "dim"),
    "PENDING": ("○", "to undo", "warn"),
    "RUNNING": ("◐", "undoing", "moving"),
    "DONE": ("✔", "undone", "done"),
    "FAILED": ("✖", "failed", "bad"),
    "SKIPPED": ("»", "skipped", "warn"),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """Every line has at most `width` cells, and its marks are in order and apart. `head` and `foot` are sentences."""

    width: int
    title: str
    head: Sequence[Row]
    axis: Row
    lanes: Sequence[Row]
    foot: Sequence[Row]

    @property
    def rows(self) -> Sequence[Row]:
        return [*self.head, (), self.axis, *self.lanes, (), *self.foot]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the parts of a lane stand: its name, its state, the axis, and what it has left open if that has room."""

    state: int
    axis: int
    open: int
    width: int


def picture_of(saga: PicturedSaga, now: datetime, width: int) -> Picture:
    """The picture at `now`, `width` cells wide but at least NARROWEST."""
    width = max(NARROWEST, width)
    lanes = (saga.lanes or ())[:MOST_LANES]
    columns = _columns(lanes, () if lanes else [*saga.steps][:MOST_LANES], width)
    tracks = tracks_of(saga, lanes, now)
    axis = axis_of(tracks, columns.open - columns.axis - 1)
    rows = [row for track in axis.tracks for row in _lane_rows(track, axis, tracks.until, columns)]
    if saga.lanes is None:
        rows = [_step_row(name, status, columns) for name, status in [*saga.steps.items()][:MOST_LANES]]
    if more := max(0, len(saga.lanes or saga.steps) - MOST_LANES):
        rows.append([Mark(1, f"… and {more:,} more steps", "warn")])
    return Picture(
        width=width,
        title=clean(f"{saga.name} {saga.saga_id} {saga.status}", 200),
        head=[_cut(row, width) for row in head_rows(saga, now)],
        axis=[mark._replace(at=mark.at + columns.axis) for mark in axis_row(axis)] if lanes else [],
        lanes=[_cut(row, width) for row in rows],
        foot=[_cut(row, width) for row in foot_rows(saga, set_back=tracks.set_back)],
    )


def _columns(lanes: Sequence[WireLane], steps: Sequence[str], width: int) -> _Columns:
    names = [cell_len(name) for lane in lanes for name in (_name(lane, width), _undo_name(lane))]
    names += [cell_len(clean(name, LONGEST_NAME)) for name in steps]
    state = 3 + min(max([*names, 12]), width // 4) + 1
    items = [cell_len(clean(item)) + 3 for lane in lanes for item in lane.open]
    beside = min(max(items), width // 3) if items and width >= WITH_OPEN_COLUMN else 0
    return _Columns(state, state + STATE, width - beside, width)


def _name(lane: WireLane, width: int) -> str:
    words = f" · {clean(lane.does, LONGEST_NAME)}" if lane.does and width >= WITH_WORDS else ""
    return clean(lane.step, LONGEST_NAME) + words


def _undo_name(lane: WireLane) -> str:
    return "nothing to undo" if lane.undo is None else clean(lane.undo, LONGEST_NAME)


def _lane_rows(track: Track, axis: Axis, until: float, columns: _Columns) -> Iterator[Row]:
    """The line of a track. What its lane has left open stands in a column, or else beside or below the undo."""
    lane = track.lane
    looks, status = (_FORWARD, lane.status) if track.forward else (_UNDO, lane.undo_status)
    glyph, word, tone = looks.get(status, ("?", clean(status, STATE - 4), "warn"))
    if track.retry_at is not None and status == "RUNNING":
        glyph, word, tone = "◌", "waits", "warn"  # for its next try
    room = columns.state - 4
    if track.forward:
        name = [Mark(1, "►", tone), Mark(3, _words(_name(lane, columns.width), room))]
    else:
        name = [Mark(1, "◄", tone), Mark(3, _words(_undo_name(lane), room), "dim")]
    tally = f" {track.tries:,}×" if track.tries > 1 else ""
    nothing = lane.undo is None and not track.forward and not track.bars
    words = f"{glyph} {word}{tally}" if len(word + tally) + 2 < STATE else f"{glyph}{tally}"
    state = [] if nothing else [Mark(columns.state, _words(words, STATE - 1), tone)]
    bars = [mark._replace(at=mark.at + columns.axis) for mark in track_row(track, axis, until)]
    items = [clean(item) for item in lane.open]
    line = [*name, *state, *bars]
    if columns.open < columns.width:
        if len(items) > 2:
            items = [items[0], f"and {len(items) - 1:,} more"]
        yield [
            *line,
            *(Mark(columns.open, f"! {item}", "warn") for item in (items[:1] if track.forward else items[1:])),
        ]
        return
    beside = not track.forward and not track.bars and items and cell_len(items[0]) + 2 <= columns.width - columns.axis
    yield [*line, Mark(columns.axis, f"! {items[0]}", "warn")] if beside else line
    if not track.forward:
        yield from ([Mark(3, f"! {item}", "warn")] for item in (items[1:] if beside else items))


def _step_row(name: str, status: str, columns: _Columns) -> Row:
    """A step of which the service tells only how far it is."""
    glyph, tone = step_look(status)
    room = columns.state - 4
    word = status.replace("_", " ").lower()
    return [
        Mark(1, "►", tone),
        Mark(3, _words(clean(name, LONGEST_NAME), room)),
        Mark(columns.state, f"{glyph} {clean(word, 30)}", tone),
    ]


def _words(text: str, room: int) -> str:
    return fit(text, min(room, cell_len(text)))


def _cut(row: Row, width: int) -> Row:
    """The marks of a line that has to end at `width`."""
    return [mark._replace(text=_words(mark.text, width - mark.at)) for mark in row if mark.at < width and mark.text]
