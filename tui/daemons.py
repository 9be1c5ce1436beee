"""Daemons: the programs of one orderdeck, as the deck sees and steers them; what stands behind is wired from outside.

The deck itself knows no supervisord: `orderdeck tui` gives it one over a socket, tests one in memory, and a deck far
from the machine has none and only reads what the query API says of the daemons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class DaemonsError(Exception):
    """It was refused, or supervisord does not answer; the text is one sentence for the operator."""


@dataclass(frozen=True)
class DaemonState:
    """What supervisord says of one program.

    `state` is its word: RUNNING, STARTING, STOPPING, STOPPED, BACKOFF, EXITED, FATAL. `uptime` is in seconds; it and
    `pid` are None while no process runs. `exit_code` is that of the last process that ended. `separate_errors`: it has
    a second log, for what it writes to stderr.
    """

    name: str
    group: str
    state: str
    pid: int | None = None
    uptime: float | None = None
    exit_code: int | None = None
    detail: str = ""
    separate_errors: bool = False

    @property
    def stopped(self) -> bool:
        """No process runs, and supervisord starts none by itself."""
        return self.state in {"STOPPED", "EXITED", "FATAL"}


@dataclass(frozen=True)
class Readiness:
    """Whether a daemon does its work, and if not, why. `degraded`: what does not work although it is ready."""

    ready: bool
    reason: str = ""
    degraded: str = ""


@dataclass(frozen=True)
class LogPart:
    """A piece of a daemon's log; `end` is the place in the log after it, from which the next piece is asked.

    `anew`: the log is shorter than it was, so it was rotated or cleared, and this is its beginning. `skipped` bytes
    before this piece were left out.
    """

    text: str
    end: int
    skipped: int = 0
    anew: bool = False


class Daemons(Protocol):
    """Whatever goes wrong, its methods raise DaemonsError."""

    where: str
    """The place of the supervisord that is asked."""

    async def states(self) -> Sequence[DaemonState]:
        """Every program of orderdeck that supervisord knows, in the order of their start; no other program."""
        ...

    async def readiness(self) -> Mapping[str, Readiness] | None:
        """Whether each program is ready, as it says itself; None when they cannot be asked from here."""
        ...

    async def start(self, name: str) -> DaemonState:
        """Start a program; the state in which it is once it runs. Raises when it does not come up."""
        ...

    async def stop(self, name: str) -> DaemonState:
        """Stop a program and wait until its process has ended."""
        ...

    async def restart(self, name: str) -> DaemonState:
        """Stop a program, wait until its process has ended, and start it."""
        ...

    async def tail(self, name: str, *, after: int | None, errors: bool = False) -> LogPart:
        """What a program has logged since the place `after`; with None, the end of its log."""
        ...
