"""Tracks: the tries of each step and of its undo as bars in seconds, one after the other, however odd the times are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.pictures.shapes import PicturedSaga, WireLane, WireTry

ENDED = frozenset({"COMPLETED", "COMPENSATED", "RESOLVED"})


@dataclass(frozen=True, slots=True)
class Bar:
    """`count` tries in a row, from `start` to `end` in seconds since the saga began. `last` is the last of them."""

    start: float
    end: float
    last: WireTry
    count: int = 1

    @property
    def outcome(self) -> str:
        return self.last.outcome


@dataclass(frozen=True, slots=True)
class Track:
    """What happened in one direction of one lane. `earlier`: tries before the first bar that are no longer known."""

    lane: WireLane
    forward: bool
    bars: Sequence[Bar] = ()
    earlier: int = 0
    retry_at: float | None = None

    @property
    def tries(self) -> int:
        return self.earlier + sum(bar.count for bar in self.bars)

    def folded(self, most: int) -> Track:
        """The same with at most `most` bars, of which one may stand for many tries; the last ones are kept."""
        if len(self.bars) <= most:
            return self
        kept = max(0, most - 2)
        first = self.bars[:1] if most > 1 else ()
        middle = self.bars[len(first) : len(self.bars) - kept]
        one = Bar(middle[0].start, middle[-1].end, middle[-1].last, sum(bar.count for bar in middle))
        return replace(self, bars=(*first, one, *self.bars[len(self.bars) - kept :]))


@dataclass(frozen=True, slots=True)
class Tracks:
    """All tracks of a saga. `began`: when second 0 was. `until`: where the axis ends, which is now unless it has ended.

    `set_back`: some times were earlier than those of tries before them, so they are drawn in the order of the log.
    """

    began: datetime
    until: float
    ended: bool
    tracks: Sequence[Track]
    set_back: bool

    @property
    def retry_at(self) -> float | None:
        """When the last try that is planned begins."""
        return max((track.retry_at for track in self.tracks if track.retry_at is not None), default=None)


def tracks_of(saga: PicturedSaga, lanes: Sequence[WireLane], now: datetime) -> Tracks:
    """The tracks of these lanes of a saga as they are at `now`; a try that is under way has lasted until then."""
    known = [at for lane in lanes for one in lane.tries for at in (one.started_at, one.ended_at) if at is not None]
    known += [at for at in (saga.started_at, saga.updated_at) if at is not None]
    began = saga.started_at or min(known, default=now)
    ended = saga.status in ENDED
    latest = max(known, default=now) if ended else max([now, *known])
    until = max(0.0, (latest - began).total_seconds())
    tracks = list[Track]()
    set_back = False
    for lane in lanes:
        for forward in (True, False):
            track, odd = _track(lane, forward=forward, began=began, until=until, ended=ended)
            tracks.append(track)
            set_back = set_back or odd
    return Tracks(began, until, ended, tracks, set_back)


def _track(lane: WireLane, *, forward: bool, began: datetime, until: float, ended: bool) -> tuple[Track, bool]:
    """A track, and whether a time in it was earlier than the one before it."""
    tries = [one for one in lane.tries if (one.direction != "backward") is forward]
    bars = list[Bar]()
    set_back, at = False, 0.0
    for one in tries:
        begun = _seconds(one.started_at, began)
        over = _seconds(one.ended_at, began)
        if over is None and one.outcome == "running":
            over = until
        if begun is None:
            begun = at if over is None else max(at, over)
        start = min(max(at, begun), until)
        end = min(max(start, begun if over is None else over), until)
        set_back = set_back or begun < at or (over is not None and over < begun)
        bars.append(Bar(start, end, one))
        at = end
    retry_at = None
    if tries and not ended and tries[-1].outcome == "failed" and not tries[-1].final:
        retry_at = _seconds(tries[-1].retry_at, began)
    earlier = max(0, tries[0].attempt - 1) if tries else 0
    return Track(lane, forward, tuple(bars), earlier, retry_at), set_back


def _seconds(at: datetime | None, began: datetime) -> float | None:
    return None if at is None else (at - began).total_seconds()
