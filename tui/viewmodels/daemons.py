"""What the Daemons view shows: what supervisord says of each daemon, what the daemon says itself, and how far it is."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from msgspec import Struct

from core.printable import clean
from tui.daemons import Daemons, DaemonsError, DaemonState, Readiness
from tui.gateway import Gateway, GatewayError
from tui.viewmodels.daemon_line import DaemonLine, SaidDaemon, SaidOwner, in_words
from tui.viewmodels.trend import trend

PATH = "/api/v1/daemons"
FROM_AFAR = "from afar it is only read: `ssh -L` its socket, then --supervisor unix:PATH"
TYPED = ("postgres", "command-api")
"""Without these nobody can place an order, so the operator types their name to stop them."""
MOST = 100  # daemons
ALIVE = {"RUNNING", "READY", "NOT READY", "NO ANSWER"}
MOVES = 0.3  # seconds of lag by which it has to change to count as a trend


class SaidDaemons(Struct, frozen=True):
    daemons: tuple[SaidDaemon, ...]
    elsewhere: tuple[SaidOwner, ...] = ()


@dataclass
class DaemonPast:
    """What was seen of one daemon since the deck was opened: its last process, how often one ended, its last lags."""

    pid: int | None = None
    exits: int = 0
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=10))


class DaemonsModel:
    """`open_daemons` is called when they are first looked at; without any, only what the query API says is known."""

    def __init__(self, gateway: Gateway, open_daemons: Callable[[], Daemons | None]) -> None:
        self.gateway = gateway
        self._open_daemons = open_daemons
        self.lines: Sequence[DaemonLine] = ()
        self.away = ""
        """Why supervisord does not answer; empty when it does."""
        self.silent = ""
        """Why the query API does not answer; empty when it does."""
        self.asked = False
        self.under_way: dict[str, str] = {}
        self._states: Sequence[DaemonState] | None = None
        self._readiness: Mapping[str, Readiness] = {}
        self._said: Mapping[str, SaidDaemon] = {}
        self._elsewhere: Sequence[SaidOwner] = ()
        self._pasts: OrderedDict[str, DaemonPast] = OrderedDict()  # by name, the one that was seen last at the end

    @cached_property
    def daemons(self) -> Daemons | None:
        return self._open_daemons()

    async def look_at_states(self) -> None:
        """Ask supervisord, which answers at once."""
        if self.daemons is None:
            return
        try:
            self._states = (await self.daemons.states())[:MOST]
            self.away = ""
        except DaemonsError as error:
            self._states, self.away = None, clean(str(error))
        for state in self._states or ():
            self._count_exit(state.name, state.pid)
        self._merge()

    async def ask_daemons(self) -> None:
        """Ask the daemons whether they are ready, and the query API how far they are; that may take seconds."""
        readiness, said = await asyncio.gather(self._own_words(), self._query_api())
        self._readiness = readiness or {}
        self._said = {clean(one.name, 60): one for one in said}
        for name, one in self._said.items():
            if self._states is None and one.pid is not None:  # without an answer nobody knows whether it has ended
                self._count_exit(name, one.pid)
            if one.lag is not None:
                self._past(name).lags.append(one.lag.seconds)
        self.asked = True
        self._merge()

    async def _own_words(self) -> Mapping[str, Readiness] | None:
        try:
            return await self.daemons.readiness() if self.daemons is not None else None
        except DaemonsError:
            return None

    async def _query_api(self) -> Sequence[SaidDaemon]:
        try:
            said = await self.gateway.read(PATH, SaidDaemons)
        except GatewayError as error:
            self.silent = clean(str(error))
            self._elsewhere = ()
            return ()
        self.silent, self._elsewhere = "", said.elsewhere[:MOST]
        return said.daemons[:MOST]

    def _count_exit(self, name: str, pid: int | None) -> None:
        past = self._past(name)
        past.exits += past.pid is not None and pid != past.pid
        past.pid = pid

    def _past(self, name: str) -> DaemonPast:
        """A service may name other daemons each time it is asked: the past of those unseen for longest is forgotten."""
        past = self._pasts.setdefault(name, DaemonPast())
        self._pasts.move_to_end(name)
        while len(self._pasts) > MOST:
            self._pasts.popitem(last=False)
        return past

    def _merge(self) -> None:
        if self._states is not None:
            ours = [self._line(state, self._said.get(state.name)) for state in self._states]
        elif self._said or self.asked:
            ours = [self._line(_seen_from_afar(name, said), said) for name, said in self._said.items()]
        else:
            return
        self.lines = [*ours, *map(_seen_elsewhere, self._elsewhere)]

    def _line(self, state: DaemonState, said: SaidDaemon | None) -> DaemonLine:
        own = self._readiness.get(state.name)
        if own is not None:
            ready, reason, degraded = own.ready, own.reason, own.degraded
        elif said is not None:
            ready, reason, degraded = said.ready, clean(said.reason), clean(said.degraded)
        else:
            ready, reason, degraded = None, "", ""
        if state.state not in {
            "RUNNING",
            "READY",
            "NOT READY",
            "NO ANSWER",
        }:  # what it said before is of a process that has gone
            ready, reason = False, reason if not ready and reason else _ended(state)
        silent = (
            state.state == "RUNNING" and own is not None and not own.ready and said is not None and not said.answers
        )
        past = self._pasts.get(state.name) or DaemonPast()
        return DaemonLine(
            name=state.name,
            state="NO ANSWER" if silent else state.state,
            pid=state.pid,
            uptime=state.uptime,
            exit_code=state.exit_code,
            detail=state.detail,
            separate_errors=state.separate_errors,
            exits=past.exits,
            ready=ready,
            reason="" if ready else reason,
            degraded=degraded if ready else "",
            lag=said.lag if said is not None else None,
            direction=trend(tuple(past.lags), least=MOVES),
            readers=said.readers if said is not None else (),
            program=state.group,
            port=said.port if said is not None else None,
            holds=in_words(said.holds, said.sagas) if said is not None else "",
        )

    def rank_of(self, subject: str) -> int | None:
        """The place of a daemon, or of the process in which this reader of the log is, once that is known."""
        name = subject.partition(".")[0]
        named = [rank for rank, line in enumerate(self.lines) if line.name == name]
        reads = [rank for rank, line in enumerate(self.lines) if any(r.name == subject for r in line.readers)]
        of_it = [rank for rank, line in enumerate(self.lines) if line.program == name]
        return next(iter(named + reads + (of_it if self.asked else [])), None)

    # --- what may be done ---------------------------------------------------------------------------------------------
    def needed(self, line: DaemonLine) -> bool:
        """Whether nobody can place an order without this process, since no other of its program runs."""
        others = [each for each in self.lines if each.program == line.program and each.name != line.name]
        return line.program in TYPED and not any(each.state == "RUNNING" for each in others)

    def why_not(self, action: str, line: DaemonLine | None) -> str | None:
        if self.daemons is None:
            return FROM_AFAR
        if self.away:
            return self.away
        if line is None:
            return "no daemon is chosen"
        if line.elsewhere:
            return f"{line.name} is not a process of this orderdeck: it is steered where it runs"
        if line.name in self.under_way:
            return f"{line.name}: the {self.under_way[line.name]} is still under way"
        stopped = line.state in {"STOPPED", "EXITED", "FATAL"}
        if action == "start" and not stopped:
            return f"{line.name} runs already: it is {line.state}"
        if action == "stop" and stopped:
            return f"{line.name} does not run: it is {line.state}"
        return None

    async def do(self, verb: str, name: str) -> str:
        """Start, stop or restart a daemon; a sentence about what became of it. Raises DaemonsError."""
        if self.daemons is None:
            raise DaemonsError(FROM_AFAR)
        self.under_way[name] = verb
        try:
            match verb:
                case "start":
                    state = await self.daemons.start(name)
                case "stop":
                    state = await self.daemons.stop(name)
                case _:
                    state = await self.daemons.restart(name)
        finally:
            del self.under_way[name]
            self._readiness = {each: said for each, said in self._readiness.items() if each != name}
        return f"{verb} {name}: it is {state.state}" + (f", pid {state.pid}" if state.pid else "")


def _seen_from_afar(name: str, said: SaidDaemon) -> DaemonState:
    state = "READY" if said.ready else "NOT READY" if said.answers else "NO ANSWER"
    return DaemonState(name, name, state, said.pid, said.uptime)


def _seen_elsewhere(owner: SaidOwner) -> DaemonLine:
    name = clean(f"{owner.host}:{owner.pid or '?'}", 60)
    return DaemonLine(name, "ELSEWHERE", owner.pid, holds=in_words(owner.holds, owner.sagas), elsewhere=True)


def _ended(state: DaemonState) -> str:
    code = f" with exit code {state.exit_code}" if state.exit_code is not None and state.state != "STOPPED" else ""
    return f"{state.state.lower()}{code}" + (f": {state.detail}" if state.state in {"BACKOFF", "FATAL"} else "")
