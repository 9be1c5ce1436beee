"""One daemon of the Daemons view: all that is known of it, as a row and in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta, Struct

from core.printable import clean
from core.terminal_text import counted, span
from tui.viewmodels.text import Cell
from tui.viewmodels.trend import LAGGING, Direction
from tui.wire import Count

MOST_HOLDS = 20
LATE = 2.0  # seconds of lag from which it is a warning
Seconds = Annotated[float, Meta(ge=0, le=1e12)]

GLYPHS = {
    "RUNNING": ("●", "good"),
    "READY": ("●", "good"),
    "STARTING": ("◐", "moving"),
    "STOPPING": ("◐", "moving"),
    "BACKOFF": ("▲", "warn"),
    "NOT READY": ("▲", "warn"),
    "FATAL": ("✖", "bad"),
    "NO ANSWER": ("✖", "bad"),
}
READY = {True: ("yes", "good"), False: ("no", "bad"), None: ("?", "warn")}


class SaidLag(Struct, frozen=True):
    events: Count = 0
    seconds: Seconds = 0.0


class SaidReader(Struct, frozen=True):
    name: str
    position: Count
    lag: SaidLag


class SaidHold(Struct, frozen=True):
    """What a process alone does among those of all machines, in words of the service."""

    what: str


class SaidOwner(Struct, frozen=True):
    """A process of another machine or home that holds something in the same database."""

    host: str
    pid: Count | None = None
    holds: tuple[SaidHold, ...] = ()
    sagas: Count = 0


class SaidDaemon(Struct, frozen=True):
    """What the query API says of a daemon."""

    name: str
    answers: bool
    ready: bool
    reason: str = ""
    pid: Count | None = None
    uptime: Seconds | None = None
    version: str | None = None
    lag: SaidLag | None = None
    readers: tuple[SaidReader, ...] = ()
    port: Count | None = None
    holds: tuple[SaidHold, ...] = ()
    sagas: Count = 0
    degraded: str = ""


@dataclass(frozen=True)
class DaemonLine:
    """One process of a daemon, or with `elsewhere`, of another machine or home.

    `program` is the daemon of which it may be one of several processes; `holds` says what it alone does. `exits`: how
    often its process was seen to end since the deck was opened. None: it is not known. `degraded`: what does not work
    at present although it is ready.
    """

    name: str
    state: str
    pid: int | None = None
    uptime: float | None = None
    exit_code: int | None = None
    detail: str = ""
    separate_errors: bool = False
    exits: int | None = None
    ready: bool | None = None
    reason: str = ""
    degraded: str = ""
    lag: SaidLag | None = None
    direction: Direction = "level"
    readers: Sequence[SaidReader] = field(default_factory=tuple[SaidReader, ...])
    program: str = ""
    port: int | None = None
    holds: str = ""
    elsewhere: bool = False

    @property
    def done(self) -> bool:
        """It has ended because it had nothing more to do, which is as good as ready."""
        return self.state == "EXITED" and self.exit_code == 0

    @property
    def well(self) -> bool:
        return self.done or (self.ready is not False and self.state in {"RUNNING", "READY"})


def cells(line: DaemonLine, under_way: str = "") -> Sequence[Cell]:
    """A row: name, state, pid, uptime, exits, ready, lag, and last what is wrong, or else what it holds."""
    glyph, tone = ("✔", "dim") if line.done else GLYPHS.get(line.state, ("○", "dim"))
    late = line.lag is not None and line.lag.seconds >= LATE
    lag = "–" if line.lag is None else span(line.lag.seconds) if line.lag.events else "0"
    arrow = {"up": "↗", "down": "↘", "level": ""}[line.direction] if line.lag and line.lag.events else ""
    ready = ("done", "dim") if line.done else ("–", "dim") if line.elsewhere else READY[line.ready]
    if line.degraded:
        ready = ("yes", "warn")
    wrong = line.reason or line.degraded
    last = Cell(clean(wrong), "warn") if wrong else Cell(line.holds, "dim")
    return (
        Cell(line.name, "chosen" if line.well else "dim" if line.elsewhere else "bad"),
        Cell(f"{glyph} {line.state}", tone),
        Cell(str(line.pid or "–"), "dim"),
        Cell("–" if line.uptime is None else span(line.uptime) if line.uptime >= 60 else f"{int(line.uptime)}s"),
        Cell(_exits(line), "warn" if line.exits else "dim"),
        Cell(*ready),
        Cell(f"{lag}{arrow}", "warn" if late else ""),
        Cell(f"{under_way} …", "moving") if under_way else last,
    )


def _exits(line: DaemonLine) -> str:
    if line.elsewhere:
        return "–"
    return "?" if line.exits is None else str(line.exits)


def in_words(holds: Sequence[SaidHold], sagas: int) -> str:
    """What a process holds, as in `orders 0-5, 3 sagas`."""
    return ", ".join(
        [clean(hold.what, 60) for hold in holds[:MOST_HOLDS]] + ([counted(sagas, "saga")] if sagas else [])
    )


def about(line: DaemonLine) -> list[str]:
    """Everything that is known of a daemon, in sentences."""
    running = f"pid {line.pid}, up {span(line.uptime or 0)}" if line.pid else "no process is known"
    if line.elsewhere:
        holds = f"it holds {line.holds}" if line.holds else "it holds nothing"
        return [f"{line.name} is a process of another machine or home, on the same database: {running}", holds]
    ended = f"{line.exits} times" if line.exits != 1 else "once"
    said = [
        f"{line.name} is {line.state}: {running}" + (f" ({line.detail})" if line.detail else ""),
        f"its process was seen to end {ended} since this deck was opened",
    ]
    if line.exit_code is not None:
        said.append(f"its last process ended with exit code {line.exit_code}")
    if not line.done:
        said.append(
            {
                True: f"it is ready, but {line.degraded}" if line.degraded else "it is ready",
                False: f"it is not ready: {line.reason}",
                None: "it is not known whether it is ready",
            }[line.ready]
        )
    if line.port is not None:
        said.append(f"it answers at port {line.port}")
    if line.holds:
        said.append(f"it holds {line.holds}")
    for reader in line.readers:
        behind = (
            f"{counted(reader.lag.events, 'event')}, {span(reader.lag.seconds)} behind"
            if reader.lag.events
            else "at the head"
        )
        said.append(f"reader {clean(reader.name, 60)} at position {reader.position:,}: {behind}")
    if line.lag is not None and line.lag.events and LAGGING[line.direction]:
        said.append(LAGGING[line.direction])
    return said
