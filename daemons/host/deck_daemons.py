"""The deck's Daemons over supervisord's socket: this home's, or one that ssh forwards from another machine.

It calls supervisord only for the programs of orderdeck, by their names, and only to look, start, stop and read logs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from core.errors import Unavailable
from core.home import Home
from core.printable import clean
from core.settings import Settings
from daemons.host.own_audit import record_act
from daemons.host.status import processes_in, program_status
from daemons.host.supervisor import ProgramState
from daemons.host.supervisor_socket import SupervisorFailed, SupervisorFault, SupervisorSocket
from daemons.process.program_list import PROGRAMS, ProgramProcess, process_named
from tui.daemons import DaemonsError, DaemonState, LogPart, Readiness

CALL_LIMIT = 3.0  # seconds for one call of supervisord
READY_LIMIT = 2.0  # seconds in which a program has to say whether it is ready
STOP_LIMIT = 40.0  # seconds until a process has ended; supervisord kills it after 30
START_LIMIT = 15.0  # seconds until a program that was started runs
LOOK_EVERY = 0.1  # seconds between looks while a program starts or stops
NO_WAIT = False  # supervisord answers at once, and what becomes of the program is seen in its state
END_OF_LOG = 64 * 1024  # bytes of a log that are read when it is opened
MOST_OF_LOG = 256 * 1024  # bytes that are read at once; of more, only the end
MOST_PROGRAMS = 1_000
MOST_ASKED = 16  # daemons that are asked at the same time
NAMES = tuple(program.name for program in PROGRAMS)
T = TypeVar("T")

Number = Annotated[int, Meta(ge=-(2**31), le=2**40)]

FAULTS = {
    1: "supervisord does not know this call: it is of another version",
    6: "supervisord is shutting down",
    10: "supervisord knows no program {name}",
    20: "{name} has no log, or its program file is missing",
    21: "the program file of {name} cannot be executed",
    40: "{name} has ended at its start; its log says why",
    50: "{name} ended at its start (it could not be run, or ended too quickly); its log says why",
    60: "{name} runs already",
    70: "{name} does not run",
}
"""Sentences for the numbers with which supervisord refuses a call."""
NOT_RUNNING, ALREADY_STARTED = 70, 60


class _Info(Struct):
    """What supervisord says of a program, as far as it is used here."""

    name: str
    group: str
    statename: str
    pid: Number
    start: Number
    now: Number
    exitstatus: Number
    description: str = ""
    stderr_logfile: str = ""


class SupervisedDaemons:
    """`settings` are those of the home whose supervisord it is; without them its programs cannot be asked from here."""

    def __init__(self, socket: Path, settings: Settings | None = None) -> None:
        self.where = f"unix:{socket}"
        self._socket = SupervisorSocket(socket, within=CALL_LIMIT)
        self._settings = settings
        self._calls = ThreadPoolExecutor(2, "supervisord")
        self._askings = ThreadPoolExecutor(MOST_ASKED, "ready")

    @classmethod
    def of_home(cls, settings: Settings) -> SupervisedDaemons:
        return cls(Home(settings.home).supervisor_socket, settings)

    # --- what they are ----------------------------------------------------------------------------------------------
    async def states(self) -> Sequence[DaemonState]:
        infos = await self._in_thread(self._infos)
        if not infos:
            raise DaemonsError(f"the supervisord at {self.where} runs no program of orderdeck")
        return [_state(info) for info in infos]

    async def readiness(self) -> Mapping[str, Readiness] | None:
        settings = self._settings
        if settings is None:
            return None
        states = {info.name: _program_state(info) for info in await self._in_thread(self._infos)}
        processes = processes_in(states, settings)
        loop = asyncio.get_running_loop()

        def ask(process: ProgramProcess) -> Readiness:
            status = program_status(process, states.get(process.name), settings, within=READY_LIMIT)
            return Readiness(status.ready, clean(status.reason), clean(status.degraded))

        answers = await asyncio.gather(*(loop.run_in_executor(self._askings, ask, each) for each in processes))
        return {process.name: answer for process, answer in zip(processes, answers, strict=True)}

    def _infos(self) -> list[_Info]:
        answer = self._socket.call("getAllProcessInfo")
        try:
            infos = msgspec.convert(answer, list[_Info])
        except msgspec.ValidationError as error:
            raise DaemonsError(
                f"supervisord gave an answer that this release cannot read ({clean(str(error))})"
            ) from None
        ours = [info for info in infos[:MOST_PROGRAMS] if info.group in NAMES]
        return sorted(ours, key=lambda info: (NAMES.index(info.group), _number(info), info.name))

    async def _info(self, name: str) -> _Info:
        for info in await self._in_thread(self._infos):
            if _name(info) == name:
                return info
        raise DaemonsError(f"supervisord has no program {clean(name, 60)} of orderdeck")

    # --- what is done to them ---------------------------------------------------------------------------------------
    async def start(self, name: str) -> DaemonState:
        info = await self._info(name)
        await self._command("startProcess", info)
        return await self._follow(name, {"RUNNING"}, START_LIMIT, "has not come up")

    async def stop(self, name: str) -> DaemonState:
        info = await self._info(name)
        await self._command("stopProcess", info)
        return await self._follow(name, {"STOPPED", "EXITED", "FATAL"}, STOP_LIMIT, "has not stopped")

    async def restart(self, name: str) -> DaemonState:
        info = await self._info(name)
        if not _state(info).stopped:
            await self._command("stopProcess", info, besides=NOT_RUNNING)
            late = "has not stopped, so it was not started again,"
            await self._follow(name, {"STOPPED", "EXITED", "FATAL"}, STOP_LIMIT, late)
        await self._command("startProcess", info, besides=ALREADY_STARTED)
        return await self._follow(name, {"RUNNING"}, START_LIMIT, "has not come up")

    async def _command(self, method: str, info: _Info, *, besides: int | None = None) -> None:
        """Give supervisord a command; that it refuses it with the number `besides` is all right."""

        def call() -> None:
            try:
                self._socket.call(method, f"{info.group}:{info.name}", NO_WAIT)
            except SupervisorFault as fault:
                if fault.code != besides:
                    raise

        await self._in_thread(call, about=_name(info))
        if (settings := self._settings) is not None:
            act = f"{method.removesuffix('Process')} a daemon from the deck"
            await self._in_thread(lambda: record_act(settings, act, _name(info)), about=_name(info))

    async def _follow(self, name: str, wanted: set[str], within: float, late: str) -> DaemonState:
        deadline = time.monotonic() + within
        while True:
            state = _state(await self._info(name))
            done = state.state == "EXITED" and state.exit_code == 0  # it had nothing to do but that
            if state.state in wanted or done:
                return state
            if "RUNNING" in wanted and state.state in {"BACKOFF", "FATAL", "EXITED"}:
                raise DaemonsError(
                    f"{clean(name)} ended at its start ({state.detail or state.state}); its log says why"
                )
            if time.monotonic() > deadline:
                raise DaemonsError(f"{clean(name)} {late} within {within:g} s: it is {state.state}")
            await asyncio.sleep(LOOK_EVERY)

    # --- what they log ----------------------------------------------------------------------------------------------
    async def tail(self, name: str, *, after: int | None, errors: bool = False) -> LogPart:
        info = await self._info(name)
        return await self._in_thread(lambda: self._tail(info, after, "Stderr" if errors else "Stdout"), about=name)

    def _tail(self, info: _Info, after: int | None, log: str) -> LogPart:
        name = f"{info.group}:{info.name}"
        answer = self._socket.call(f"tailProcess{log}Log", name, 0, 0)  # of no bytes: it says how long the log is
        try:
            _, size, _ = msgspec.convert(answer, tuple[str, Annotated[int, Meta(ge=0)], bool])
        except msgspec.ValidationError:
            raise DaemonsError("supervisord gave an answer about the log that this release cannot read") from None
        anew = after is not None and size < after
        least = size - (END_OF_LOG if after is None or anew else MOST_OF_LOG)
        place = 0 if after is None or anew else after
        begin = max(place, least)
        skipped = begin - place if after is not None else 0
        text = self._read(f"readProcess{log}Log", name, begin, size - begin) if size > begin else ""
        if text is None:
            return LogPart("", size, skipped + size - begin, anew)
        return LogPart(text, size, skipped, anew)

    def _read(self, method: str, name: str, begin: int, length: int) -> str | None:
        """A piece of a log; None when supervisord cannot send it because it is not UTF-8.

        It refuses a piece that begins or ends within a character too, so a few bytes less are tried.
        """
        for early in range(4):
            for late in range(4):
                if length <= early + late:
                    continue
                try:
                    text = self._socket.call(method, name, begin + early, length - early - late)
                except SupervisorFailed:
                    continue
                return text if isinstance(text, str) else None
        return None

    async def _in_thread(self, call: Callable[[], T], *, about: str = "it") -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._calls, call)
        except SupervisorFault as fault:
            words = FAULTS.get(fault.code, "{fault}")
            raise DaemonsError(words.format(name=clean(about, 60), fault=clean(str(fault)))) from None
        except Unavailable as error:
            raise DaemonsError(clean(str(error))) from None


def _name(info: _Info) -> str:
    """The name of a process, which is that of its program, with its number if it is one of several."""
    process = process_named(info.name)
    ours = process is not None and process.program.name == info.group
    return info.name if ours else f"{info.group}:{info.name}"


def _number(info: _Info) -> int:
    process = process_named(info.name)
    return process.number or 0 if process is not None else 0


def _state(info: _Info) -> DaemonState:
    runs = info.pid > 0
    return DaemonState(
        name=clean(_name(info), 60),
        group=info.group,
        state=clean(info.statename, 12),
        pid=info.pid if runs else None,
        uptime=float(max(0, info.now - info.start)) if runs else None,
        exit_code=info.exitstatus if not runs else None,
        detail=clean(info.description, 200),
        separate_errors=bool(info.stderr_logfile),
    )


def _program_state(info: _Info) -> ProgramState:
    uptime = max(0, info.now - info.start) if info.pid > 0 else 0
    return ProgramState(info.name, info.statename, info.pid, uptime, info.exitstatus, info.description)
