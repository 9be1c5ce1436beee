"""Daemons without a supervisord: programs in memory, whose states, failures and logs a test decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from daemons.process.program_list import Counts, all_processes
from tui.daemons import DaemonsError, DaemonState, LogPart, Readiness

FEWEST = {"relay": 0, "notifier": 0, "grpc-api": 0}
"""A home that needs none of the programs that settings ask for."""


class FakeDaemons:
    where = "unix:/run/desk.test/supervisor.sock"

    def __init__(self, counts: Counts | None = None) -> None:
        self.programs = {
            process.name: DaemonState(process.name, process.program.name, "RUNNING", 4_100 + n, 93_784.0)
            for n, process in enumerate(all_processes(FEWEST | dict(counts or {})))
        }
        self.logs = dict.fromkeys(self.programs, "")
        self.errors = dict.fromkeys(self.programs, "")
        self.unready: dict[str, str] = {}
        self.degraded: dict[str, str] = {}
        self.down: DaemonsError | None = None
        self.asked: list[tuple[str, str]] = []
        self.breaks: set[str] = set()  # the programs that do not come up
        self._pid = 5_000

    async def states(self) -> Sequence[DaemonState]:
        self._answering()
        return list(self.programs.values())

    async def readiness(self) -> Mapping[str, Readiness] | None:
        self._answering()
        return {
            name: Readiness(not (why := self._why(state)), why, self.degraded.get(name, ""))
            for name, state in self.programs.items()
        }

    def _why(self, state: DaemonState) -> str:
        return self.unready.get(state.name, "") or ("" if state.state == "RUNNING" else state.state.lower())

    async def start(self, name: str) -> DaemonState:
        state = self._named("start", name)
        if state.state == "RUNNING":
            raise DaemonsError(f"{name} runs already")
        if name in self.breaks:
            self.programs[name] = replace(state, state="FATAL", pid=None, uptime=None, exit_code=1)
            raise DaemonsError(f"{name} ended at its start (exited too quickly); its log says why")
        self._pid += 1
        self.programs[name] = replace(state, state="RUNNING", pid=self._pid, uptime=0.0, exit_code=None)
        return self.programs[name]

    async def stop(self, name: str) -> DaemonState:
        state = self._named("stop", name)
        if state.stopped:
            raise DaemonsError(f"{name} does not run")
        self.programs[name] = replace(state, state="STOPPED", pid=None, uptime=None, exit_code=0)
        return self.programs[name]

    async def restart(self, name: str) -> DaemonState:
        if not self._named("restart", name).stopped:
            await self.stop(name)
        return await self.start(name)

    async def tail(self, name: str, *, after: int | None, errors: bool = False) -> LogPart:
        self._named("tail", name)
        log = (self.errors if errors else self.logs)[name].encode()
        anew = after is not None and len(log) < after
        begin = 0 if after is None or anew else after
        return LogPart(log[begin:].decode(), len(log), anew=anew)

    def crash(self, name: str) -> None:
        """The process ends by itself, and supervisord has started another one."""
        self._pid += 1
        self.programs[name] = replace(self.programs[name], pid=self._pid, uptime=0.0)

    def _answering(self) -> None:
        if self.down is not None:
            raise self.down

    def _named(self, call: str, name: str) -> DaemonState:
        self._answering()
        if name not in self.programs:
            raise DaemonsError(f"supervisord has no program {name} of orderdeck")
        self.asked.append((call, name))
        return self.programs[name]
