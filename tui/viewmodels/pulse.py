"""What the Pulse view shows: what both APIs measured of late, and how quick this deck is itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from core.printable import clean
from core.terminal_text import counted, span
from tui.gateway import Gateway, GatewayError
from tui.receipts import Receipt
from tui.viewmodels.quarter_hour import SECONDS, QuarterHour
from tui.viewmodels.trend import ARROWS, LAGGING, trend
from tui.wire import Moment

PATH = "/api/v1/metrics/history"
MOST_SERIES = 64
MOST_NAME = 80
OVERLAP = 10  # seconds that are asked for again, in case an answer was late
NOW = 5  # seconds: a value that is older is not of now
LATE = 2.0  # seconds of lag from which it is a warning
FULL_LAG = 1.0  # seconds of lag that fill a bar at least
OLD = 10.0  # seconds that a saga has waited for a runner, from which that is a warning
MOVES = 0.3  # seconds of lag by which it has to change to count as a trend

Service = Literal["commands", "queries"]
Value = Annotated[float, Meta(ge=0, le=1e15)]


class HistoryLine(Struct, frozen=True):
    name: Annotated[str, Meta(max_length=1_000)]
    values: Annotated[tuple[Value | None, ...], Meta(max_length=10_000)] = ()


class ServiceHistory(Struct, frozen=True):
    started_at: Moment
    until: Annotated[int, Meta(ge=0, le=2**40)]
    series: tuple[HistoryLine, ...] = ()


class Tile(NamedTuple):
    """One figure: what it is, its value now in words, what it was, a note, and the view that shows its cause.

    `full`: the value that fills a bar at least, so that what is next to nothing looks so.
    """

    title: str
    now: str
    values: Sequence[float | None]
    note: str = ""
    tone: str = ""
    cause: tuple[str, str | None] | None = None
    full: float = 0.0


class PulseModel:
    """`clock` is monotonic seconds."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self.gateway = gateway
        self.clock = clock
        self.tracks: dict[str, QuarterHour] = {}
        self.away: dict[Service, str] = {}
        """Why a service does not answer now."""
        self.asked = False
        self._asked_at: dict[Service, float] = {}
        self._names: dict[Service, set[str]] = {"commands": set(), "queries": set()}

    async def look(self, service: Service) -> None:
        """Ask a service for the seconds since the last time."""
        now = self.clock()
        since = now - self._asked_at.get(service, -SECONDS)
        seconds = min(SECONDS, int(since) + OVERLAP)
        try:
            answer = await self.gateway.read(PATH, ServiceHistory, {"seconds": str(seconds)}, service=service)
        except GatewayError as error:
            self.away[service] = clean(str(error), 200)
        else:
            self.away.pop(service, None)
            self._asked_at[service] = now
            told = {clean(line.name, MOST_NAME): line.values for line in answer.series[:MOST_SERIES]}
            names = self._names[service]
            names.update([name for name in told if name not in self.tracks][: MOST_SERIES - len(names)])
            for name in names:  # what is not told any more has a gap from now on
                self.tracks.setdefault(name, QuarterHour()).take(answer.until, told.get(name, ()))
        self.asked = True

    # --- the tiles ----------------------------------------------------------------------------------------------------
    def tiles(self) -> list[Tile]:
        return [
            self._rate("events appended", "queries", "log.events", ("stream", None)),
            self._rate("commands recorded", "commands", "commands.recorded", ("orders", None)),
            self._took("commands took", "commands", "commands", "no command in the last 10 s"),
            self._refused(),
            *self._lags(),
            *self._backlog(),
            self._took("sagas took", "queries", "sagas", "none ended in the last minute", ("sagas", None)),
            self._compensated(),
        ]

    def _missing(self, service: Service, *names: str) -> str | None:
        """Why nothing of these series is known now; None when something is."""
        if service in self.away:
            return self.away[service]
        if any(self.tracks[name].latest(NOW) for name in names if name in self.tracks):
            return None
        if any(name in self.tracks for name in names):
            return "not measured now"
        return "not measured yet" if self.asked else "asking …"

    def _values(self, name: str) -> Sequence[float | None]:
        return self.tracks[name].values if name in self.tracks else ()

    def _unknown(self, title: str, values: Sequence[float | None], why: str) -> Tile:
        return Tile(title, "?", values, why, "warn")

    def _rate(self, title: str, service: Service, name: str, cause: tuple[str, str | None]) -> Tile:
        values = self._values(name)
        if why := self._missing(service, name):
            return self._unknown(title, values, why)
        return Tile(title, per_second(_mean(self.tracks[name].latest(NOW))), values, _highest(values), cause=cause)

    def _took(
        self, title: str, service: Service, name: str, none: str, cause: tuple[str, str | None] | None = None
    ) -> Tile:
        worst = f"{name}.seconds.p99"
        values = self._values(worst)
        counted = {"commands": "commands.recorded", "sagas": "sagas.completed"}[name]
        if why := self._missing(service, counted):
            return self._unknown(title, values, why)
        if not (self.tracks[worst].latest(NOW) if worst in self.tracks else ()):
            return Tile(title, "–", values, none, "dim", cause)
        shares = [f"{name}.seconds.p{percent}" for percent in (50, 95, 99)]
        p50, p95, p99 = (span(self.tracks[share].latest(NOW)[-1]) for share in shares)
        return Tile(title, f"p50 {p50}", values, f"p95 {p95}  p99 {p99} (the bars)", cause=cause)

    def _refused(self) -> Tile:
        names = ("commands.rejected", "commands.conflicts", "commands.failed")
        values = _sums([self._values(name) for name in names])
        if why := self._missing("commands", *names):
            return self._unknown("commands refused", values, why)
        refused, recorded = _total(values), _total(self._values("commands.recorded"))
        parts = [f"{name.partition('.')[2]} {_total(self._values(name)):,.0f}" for name in names]
        now = percent(refused, refused + recorded)
        tone = "warn" if _total(self._values("commands.failed")) >= 1 else ""
        return Tile("commands refused", now, values, "  ".join(parts), tone, ("stream", None))

    def _lags(self) -> list[Tile]:
        names = sorted(name for name in self.tracks if name.startswith("lag."))
        if not names:
            return [self._unknown("lag of the readers", (), self._missing("queries", "lag") or "no reader is known")]
        return [self._lag(name) for name in names]

    def _lag(self, name: str) -> Tile:
        reader = name.partition(".")[2]
        title, values, cause = f"lag {reader}", self._values(name), ("daemons", reader)
        if why := self._missing("queries", name):
            return Tile(title, "?", values, why, "warn", cause)
        seconds = self.tracks[name].latest(NOW)[-1]
        events = self._values(f"lag_events.{reader}")
        waits = next((value for value in reversed(events) if value is not None), 0.0)
        direction = trend(values, least=MOVES)
        says, arrow = LAGGING[direction], ARROWS[direction] if LAGGING[direction] else ""
        note = "  ".join(part for part in (counted(round(waits), "event") if waits else "at the head", says) if part)
        return Tile(
            title, f"{span(seconds)}{arrow}" if waits else "0", values, note, "warn" if seconds >= LATE else "", cause
        )

    def _backlog(self) -> list[Tile]:
        """Sagas that wait for a runner; a query API of an older release does not tell."""
        names = ("backlog.due", "backlog.unstarted")
        if not any(name in self.tracks for name in names):
            return []
        title, values, cause = "sagas that wait", _sums([self._values(name) for name in names]), ("sagas", None)
        if why := self._missing("queries", *names):
            return [Tile(title, "?", values, why, "warn", cause)]
        waits = next((value for value in reversed(values) if value is not None), 0.0)
        seconds = next((value for value in reversed(self._values("backlog.seconds")) if value is not None), 0.0)
        note = f"for a runner, the oldest for {span(seconds)}" if waits else "a runner has taken up all that are due"
        return [Tile(title, f"{waits:,.0f}", values, note, "warn" if waits and seconds >= OLD else "", cause)]

    def _compensated(self) -> Tile:
        names = ("sagas.completed", "sagas.compensated", "sagas.failed")
        values = self._values("sagas.compensated")
        if why := self._missing("queries", *names):
            return self._unknown("sagas compensated", values, why)
        completed, compensated, failed = (_total(self._values(name)) for name in names)
        ended = completed + compensated + failed
        note = f"{compensated:,.0f} of {ended:,.0f} that ended, {failed:,.0f} failed" if ended else "none has ended"
        cause = ("sagas", "state:failed" if failed else "status:compensated")
        return Tile("sagas compensated", percent(compensated, ended), values, note, "bad" if failed else "", cause)


def deck_tiles(receipts: Sequence[Receipt], frames: Sequence[float], behind: float | None) -> list[Tile]:
    """How quick this deck is: from a command to the read model that shows it, and for one painting.

    Commands to sagas do not count, since nobody waits until they are visible.
    """
    waited = [receipt.visible_ms for receipt in receipts if receipt.command.kind == "order"]
    seen = [visible for visible in waited if visible is not None]
    late = len(waited) - len(seen)
    note = f"your last {len(waited)}: worst {span(max(seen) / 1000)}" if seen else ""
    note = ", ".join(part for part in (note, f"{late} not seen in time" if late else "") if part)
    note = note if waited else "you have sent no command yet"
    painted = f"worst of {len(frames)}: {span(max(frames))}" if frames else ""
    painted += f"  behind the feed {span(behind)}" if behind is not None else ""
    return [
        Tile("your write → visible", span(seen[-1] / 1000) if seen else "–", seen, note, "warn" if late else ""),
        Tile("this deck paints in", span(_mean(frames)) if frames else "–", list(frames), painted),
    ]


# --- words ------------------------------------------------------------------------------------------------------------
def per_second(value: float) -> str:
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.1f}/s"


def percent(part: float, whole: float) -> str:
    if whole <= 0:
        return "–"
    share = 100 * part / whole
    return f"{share:.0f}%" if share >= 10 or share == 0 else f"{share:.1f}%"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _total(values: Sequence[float | None]) -> float:
    """One value a second, each a rate per second: their sum is the count."""
    return sum(value for value in values if value is not None)


def _sums(columns: Sequence[Sequence[float | None]]) -> list[float | None]:
    longest = max(map(len, columns), default=0)
    rows = zip(*([*[None] * (longest - len(each)), *each] for each in columns), strict=True)
    return [None if all(value is None for value in row) else _total(row) for row in rows]


def _highest(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"highest {per_second(max(known))}" if known else ""
