"""Outages: what of the desk is away, since when, and what has just come back, as far as this deck has seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.printable import clean
from core.terminal_text import span
from tui.viewmodels.attention import DaemonAnswer

DATABASE = "the database"
READS = "the query API"
COMMANDS = "the command API"
_POSTGRES = "postgres"  # the daemon whose line says how the database is
_COMMAND_API, _QUERY_API = "command-api", "query-api"
_WAITS_FOR_IT = "the database ", "its dependencies "  # how the reason of a daemon begins that only waits for it


class Away(NamedTuple):
    """Why a part is away. `degraded`: it works, and does without something meanwhile."""

    reason: str
    degraded: bool = False


@dataclass(frozen=True)
class PartAway:
    """`since` is on the deck's clock; with `longer`, it was away already when the deck first looked."""

    part: str
    away: Away
    since: float
    longer: bool = False

    def lasts(self, now: float) -> str:
        return f"{'>' if self.longer else ''}{whole_seconds(now - self.since)}"


class Outages:
    """What is away now, by its name."""

    def __init__(self) -> None:
        self._now: Mapping[str, PartAway] = {}
        self._looked = False
        self._back: list[str] = []

    def note(self, away: Mapping[str, Away], *, asked_at: float, daemons_known: bool = True) -> None:
        """These were away when they were asked, and no others. One that hangs is asked for seconds.

        Unless `daemons_known`, nobody has said how the daemons are: those that were away are not back for that.
        """
        now = asked_at
        if not daemons_known:
            away = {part: one.away for part, one in self._now.items() if part not in (READS, COMMANDS)} | {**away}
        self._back += [
            f"{part} {'has all it needs again' if outage.away.degraded else 'is back'} after {outage.lasts(now)}"
            for part, outage in self._now.items()
            if part not in away
        ]
        self._now = {
            part: PartAway(part, why, known.since, known.longer)
            if (known := self._now.get(part)) is not None and known.away.degraded == why.degraded
            else PartAway(part, why, now, longer=not self._looked)
            for part, why in away.items()
        }
        self._looked = True

    def of(self, part: str) -> PartAway | None:
        return self._now.get(part)

    @property
    def reads(self) -> PartAway | None:
        """Why nothing that the deck shows is fresh, although the feed is open."""
        return self.of(READS) or self.of(DATABASE)

    @property
    def daemons(self) -> Sequence[PartAway]:
        """The other daemons that are away, those that only do without something last, and longest away first."""
        others = [outage for part, outage in self._now.items() if part not in (DATABASE, READS, COMMANDS)]
        return sorted(others, key=lambda outage: (outage.away.degraded, outage.since))

    def came_back(self) -> Sequence[str]:
        """What came back since the last call, and how long it was away, in sentences."""
        back, self._back = self._back, []
        return back


def what_is_away(*, queries: str, commands: str, daemons: Sequence[DaemonAnswer] | None) -> Mapping[str, Away]:
    """`queries`, `commands`: why the API does not answer; empty if it does. `daemons`: None while nobody says it.

    Daemons that only wait for the database are not named beside it, which is the first of them.
    """
    away: dict[str, Away] = {}
    if queries:
        away[READS] = Away(queries)
    if commands:
        away[COMMANDS] = Away(commands)
    for daemon in daemons or ():
        name, reason = clean(daemon.name, 40), clean(daemon.reason, 200)
        if name == _POSTGRES and not daemon.ready:
            away[DATABASE] = Away(reason.removeprefix("the database is away: "))
        elif (commands and name.startswith(_COMMAND_API)) or (queries and name.startswith(_QUERY_API)):
            continue  # it is told already
        elif not daemon.ready and not (DATABASE in away and reason.startswith(_WAITS_FOR_IT)):
            away[name] = Away(reason)
        elif daemon.degraded:
            away[name] = Away(clean(daemon.degraded, 200), degraded=True)
    if DATABASE in away:  # it is why the query API cannot answer
        away.pop(READS, None)
    return away


def whole_seconds(seconds: float) -> str:
    """A duration without tenths, with which the line would be painted anew at each of twelve moments a second."""
    return f"{int(max(0.0, seconds))}s" if seconds < 60 else span(seconds)
