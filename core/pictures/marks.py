"""Marks: the texts and boxes of which a line of a picture is made; how a track and the axis look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len

from core.pictures.axis import Axis, ahead, brief
from core.pictures.tracks import Bar, Track
from core.printable import clean
from core.terminal_text import fit, span

LEAST_WORDS = 12  # cells below which a sentence says nothing
TICKS = 10  # cells between two times on the axis

_FILLS = {"ok": "█", "running": "▓", "skipped": "░"}  # any other outcome did not help
_FAILED = "▒"
_ENDS = {"ok": "", "running": "▸", "skipped": "»", "failed": "✖"}
_TONES = {"ok": "good", "running": "moving", "skipped": "warn", "failed": "bad"}
_WAITING = "╌"


class Mark(NamedTuple):
    """Text at a column of a line. `bar`: it stands for a stretch of time, so an image shows it as a box."""

    at: int
    text: str
    tone: str = ""
    bar: bool = False

    @property
    def end(self) -> int:
        return self.at + cell_len(self.text)


Row = Sequence[Mark]


def axis_row(axis: Axis) -> Row:
    """The times since the beginning where something begins, the folded stretches, and now."""
    marks = [Mark(fold.at, fold.text, "accent") for fold in axis.folds]
    if axis.now is not None:
        marks.append(Mark(axis.now, "now", "head"))
    last = -TICKS
    for at, second in _ticks(axis):
        mark = Mark(at, _since(second), "dim")
        after_a_fold = any(fold.at + len(fold.text) == at for fold in axis.folds)
        if (after_a_fold or at >= last + TICKS) and mark.end <= axis.width and _is_free(marks, mark):
            marks.append(mark)
            last = at
    return sorted(marks)


def _ticks(axis: Axis) -> Iterator[tuple[int, float]]:
    """Where a time may stand: at the beginning of each stretch that is not folded, and within the long ones."""
    folded = {fold.at for fold in axis.folds}
    stretches = zip(pairwise(axis.columns), pairwise(axis.moments), strict=True)
    for (at, after), (start, end) in stretches:
        if at not in folded and at != axis.now and at < axis.width:
            steps = max(1, (after - at) // TICKS)
            yield from ((at + n * TICKS, start + (end - start) * n * TICKS / max(1, after - at)) for n in range(steps))


def _since(second: float) -> str:
    return "0s" if second <= 0 else (span(second) if second < 10 else brief(second))


def track_row(track: Track, axis: Axis, until: float) -> Row:
    """The bars of a track, the waiting between them, and words about a bar where there is room for them."""
    shown = drawn(track.bars, axis)
    marks = list[Mark]()
    for n, (at, end, bar) in enumerate(shown):
        room = (shown[n + 1][0] if n + 1 < len(shown) else axis.width) - end
        marks += _bar(at, end, bar)
        is_last = n + 1 == len(shown)
        if is_last and track.retry_at is not None and axis.now is not None:
            marks += _planned(bar, end, track.retry_at - until, axis)
        elif not is_last and bar.outcome == "failed":
            marks += [Mark(end, _WAITING * room, "dim")] if room > 0 else []
        elif words := _words(bar, room - 1 - (not is_last)):
            marks.append(Mark(end + 1, words, "bad" if bar.outcome == "failed" else "dim"))
    return marks


def drawn(bars: Sequence[Bar], axis: Axis) -> list[tuple[int, int, Bar]]:
    """The bars with their columns; one that has no column of its own is counted with the one before."""
    shown = list[tuple[int, int, Bar]]()
    for bar in bars:
        first, after = axis.reach(bar.start, bar.end)
        at = max(first, shown[-1][1]) if shown else first
        if at < after:
            shown.append((at, after if bar.start < bar.end else at + 1, bar))
        else:
            first, end, before = shown[-1]
            shown[-1] = (first, end, Bar(before.start, bar.end, bar.last, before.count + bar.count))
    return shown


def _bar(at: int, end: int, bar: Bar) -> list[Mark]:
    """A bar of `end - at` cells: how it ended is its last one, or how many tries it stands for."""
    room, tone = end - at, _TONES.get(bar.outcome, "warn")
    mark = f"×{bar.count:,}" if bar.count > 1 else _ENDS.get(bar.outcome, "?")
    mark = mark if len(mark) <= room else ("≡" if bar.count > 1 else "")
    filled = room - len(mark)
    marks = [Mark(at, _FILLS.get(bar.outcome, _FAILED) * filled, tone, bar=True)] if filled else []
    return [*marks, Mark(at + filled, mark, tone)] if mark else marks


def _planned(bar: Bar, end: int, seconds: float, axis: Axis) -> list[Mark]:
    """The waiting for a planned try: a line from the bar over now to the arrow at which it begins."""
    words = f" {ahead(seconds)} ▷"
    at = axis.width - len(words)
    room = at - end
    error = fit(clean(bar.last.error or "", room), min(cell_len(clean(bar.last.error or "", room)), room - 3))
    if len(error) >= LEAST_WORDS:
        start = end + 2 + cell_len(error)
        line = [Mark(end + 1, error, "bad"), Mark(start, _WAITING * (at - start), "dim")]
    else:
        line = [Mark(end, _WAITING * room, "dim")] if room > 0 else []
    return [*line, Mark(at, words, "accent")]


def _words(bar: Bar, room: int) -> str:
    """How long a try took, or why it failed, if that can be said in `room` cells."""
    took = span(bar.end - bar.start) if bar.end > bar.start else ""
    text = clean(bar.last.error) if bar.last.error else took
    if cell_len(text) <= room:
        return text
    return fit(text, room) if bar.last.error and room >= LEAST_WORDS else ""


def _is_free(marks: Row, new: Mark) -> bool:
    return all(new.end < mark.at or mark.end < new.at for mark in marks)
