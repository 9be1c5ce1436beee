"""Axis: which column of a picture a moment falls in; long stretches in which nothing happened are folded."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from core.pictures.tracks import Track, Tracks
from core.terminal_text import span

QUIET = 0.15  # a stretch without a try that takes more than this share of what is shown is folded
BARS = (16, 12, 8, 6, 5, 4, 3)  # so many bars of a track are tried, until all fit
FOLD = "┄"
AHEAD = 4  # cells that the arrow to a planned try needs beside its words
NOW = 4  # cells for the word "now" and a gap
AFTER_NOW = " "  # the label of the stretch after now


class Label(NamedTuple):
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """`moments` in seconds and the column of each, both rising.

    A moment stands twice if bars without length are drawn at it: before them, and after them.
    `now`: the column of now, after which only planned tries stand; None if the saga has ended. `folds`: where something
    is folded, and how long that was.
    """

    width: int
    moments: Sequence[float]
    columns: Sequence[int]
    folds: Sequence[Label]
    now: int | None
    tracks: Sequence[Track]

    def reach(self, start: float, end: float) -> tuple[int, int]:
        """The first column for a bar between two moments, and the one after its last; there is one at least."""
        before_now = len(self.moments) - (self.now is not None)
        first = bisect_left(self.moments, start, hi=before_now)
        if start < end:
            first = bisect_right(self.moments, start, hi=before_now) - 1
            after = bisect_left(self.moments, end, hi=before_now)
        else:
            after = bisect_right(self.moments, start, hi=before_now) - 1
        limit = self.width if self.now is None else self.now
        at = min(self.columns[first], limit - 1)
        return at, min(max(at + 1, self.columns[after]), limit)


class _Stretch(NamedTuple):
    """A part of the axis: seconds that a bar covers or none does, or one moment at which bars without length stand."""

    seconds: float
    busy: bool
    least: int
    label: str = ""


def axis_of(all_tracks: Tracks, width: int) -> Axis:
    """The axis that shows most: bars are folded only as far as it takes to give each of the others a column."""
    tracks, moments, stretches = all_tracks.tracks, list[float](), list[_Stretch]()
    for most in BARS:
        tracks = [track.folded(most) for track in all_tracks.tracks]
        moments, stretches = _stretches(all_tracks, tracks)
        if sum(stretch.least for stretch in stretches) <= width:
            return _axis(all_tracks, tracks, moments, stretches, width)
    crowded = [stretch if stretch.label == AFTER_NOW else stretch._replace(least=0, label="") for stretch in stretches]
    return _axis(all_tracks, tracks, moments, crowded, width)


def brief(seconds: float) -> str:
    """A duration without fractions of a second: 400ms, 38s, 12m 04s."""
    return span(round(seconds)).replace(".0s", "s") if seconds >= 0.9995 else span(seconds)


def ahead(seconds: float) -> str:
    """When a planned try begins, in words."""
    return f"in {brief(seconds)}" if seconds > 0 else "due now"


def _stretches(all_tracks: Tracks, tracks: Sequence[Track]) -> tuple[list[float], list[_Stretch]]:
    """The moments of the axis, and the stretches between each and the next."""
    until, retry_at = all_tracks.until, all_tracks.retry_at
    bars = [bar for track in tracks for bar in track.bars]
    points = Counter[float]()
    for track in tracks:
        here = Counter(bar.start for bar in track.bars if bar.start == bar.end)
        points |= here  # of each, the most in any one track
    times = sorted({0.0, until, *(bar.start for bar in bars), *(bar.end for bar in bars)})
    covered = _covered(times, [(bar.start, bar.end) for bar in bars])
    wide = {(bar.start, bar.end): len(f"×{bar.count:,}") for bar in bars if bar.count > 1}
    folded = _folded([(b - a, busy) for a, b, busy in zip(times, times[1:], covered, strict=False)])
    moments, stretches = list[float](), list[_Stretch]()
    for n, at in enumerate(times):
        moments.append(at)
        if points[at] or len(times) == 1:
            stretches.append(_Stretch(0.0, busy=True, least=max(1, points[at])))
            moments.append(at)
        if n + 1 < len(times):
            seconds = times[n + 1] - at
            if n in folded:
                label = f"{FOLD}{brief(seconds).split(' ')[0]}{FOLD}"
                stretches.append(_Stretch(seconds, busy=False, least=len(label), label=label))
            else:
                least = wide.get((at, times[n + 1]), 1)
                stretches.append(_Stretch(seconds, busy=covered[n], least=least))
    if not all_tracks.ended:
        words = "now" if retry_at is None else ahead(retry_at - until)
        stretches.append(_Stretch(0.0, busy=False, least=max(NOW, len(words) + AHEAD), label=AFTER_NOW))
        moments.append(max(until, retry_at or until))
    return moments, stretches


def _covered(times: Sequence[float], bars: Iterable[tuple[float, float]]) -> list[bool]:
    """For each stretch between two times, whether a bar covers it."""
    change = Counter[float]()
    for start, end in bars:
        if start < end:
            change[start] += 1
            change[end] -= 1
    return [depth > 0 for depth in accumulate(change[at] for at in times)]


def _folded(stretches: Sequence[tuple[float, bool]]) -> set[int]:
    """The numbers of the stretches to fold: those without a bar that would take too large a share, longest first."""
    total = sum(seconds for seconds, _ in stretches)
    folded = set[int]()
    for n in sorted((n for n, (_, busy) in enumerate(stretches) if not busy), key=lambda n: -stretches[n][0]):
        if stretches[n][0] <= QUIET * total:
            break
        folded.add(n)
        total -= stretches[n][0]
    return folded


def _axis(
    all_tracks: Tracks, tracks: Sequence[Track], moments: Sequence[float], stretches: Sequence[_Stretch], width: int
) -> Axis:
    widths = _widths(stretches, width)
    columns = [min(width, int(at + 1e-6)) for at in accumulate(widths, initial=0.0)]
    columns[-1] = width
    folds = [
        Label(columns[n], stretch.label)
        for n, stretch in enumerate(stretches)
        if stretch.label.strip() and columns[n + 1] - columns[n] >= len(stretch.label)
    ]
    now = None if all_tracks.ended else columns[-2]
    return Axis(width, moments, columns, folds, now, tracks)


def _widths(stretches: Sequence[_Stretch], width: int) -> list[float]:
    """A width for each stretch, at least what it needs; those that are not folded share the rest by their seconds."""
    small = [n for n, stretch in enumerate(stretches) if not stretch.least]
    if small:  # there are too many for the room: each gets the same part of it
        part = (width - sum(stretch.least for stretch in stretches)) / len(small)
        return [float(stretch.least) or part for stretch in stretches]
    elastic = [n for n, stretch in enumerate(stretches) if not stretch.label and stretch.seconds > 0]
    widths = [float(stretch.least) for stretch in stretches]
    free = set(elastic)
    while free:
        room = width - sum(widths[n] for n in range(len(stretches)) if n not in free)
        seconds = sum(stretches[n].seconds for n in free)
        short = {n for n in free if room * stretches[n].seconds < stretches[n].least * seconds}
        if not short:
            for n in free:
                widths[n] = room * stretches[n].seconds / seconds
            break
        free -= short
    return widths
