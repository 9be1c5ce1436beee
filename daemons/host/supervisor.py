"""Starts supervisord for one home, asks it over its socket how its programs are, and stops it with all of them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr

from core.errors import ConfigurationError, Unavailable
from core.home import Home
from core.settings import Settings, env_names
from daemons.host.programs import supervisord_conf
from daemons.host.supervisor_socket import SupervisorFault, SupervisorSilent, SupervisorSocket
from daemons.process.program_list import Counts, all_processes, counts_in

START_LIMIT = 10  # seconds
STOP_LIMIT = 45  # seconds; supervisord kills a process after 30
NO_WAIT = False
STARTED_BY_SUPERVISORD = {"SUPERVISOR_ENABLED": "1"}
"""The kernel tells of daemons that are forks of supervisord the variables that it has begun with."""
UNKNOWN_CALL = 1
"""The number with which supervisord refuses a call that it does not know."""


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says of a program; `uptime` is in seconds, and 0 when the program does not run."""

    name: str
    state: str
    pid: int
    uptime: int
    exit_code: int
    description: str
    group: str = ""

    @property
    def address(self) -> str:
        """Its name in calls of supervisord."""
        return f"{self.group}:{self.name}"

    @property
    def stopped(self) -> bool:
        return self.state in {"STOPPED", "EXITED", "FATAL"}


class Supervisor:
    """supervisord of one home; every method but `answers` and `runs` raises Unavailable when it does not answer."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._call = SupervisorSocket(home.supervisor_socket).call

    def start(self, settings: Settings) -> None:
        """Start supervisord in the background, which starts every program with exactly these settings."""
        conf = self._home.supervisord_conf
        self.write_conf(counts_in(settings))
        done = subprocess.run(  # noqa: S603 - our own interpreter and configuration
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)],
            cwd=self._home.path,  # Python looks there for modules first, as in the daemons
            env=environment(settings) | STARTED_BY_SUPERVISORD,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip().splitlines()
            errors = [line for line in said if line.startswith("Error")] or said[-1:] or ["it said nothing"]
            raise ConfigurationError(f"supervisord did not start: {errors[0]}")
        deadline = time.monotonic() + START_LIMIT
        while not self.answers():
            if time.monotonic() > deadline:
                log = self._home.logs / "supervisord.log"
                raise Unavailable(
                    f"supervisord does not answer on {self._home.supervisor_socket}; {log} ends with: {_end_of(log)}"
                )
            time.sleep(0.02)

    def write_conf(self, counts: Counts) -> None:
        conf = self._home.supervisord_conf
        conf.write_text(supervisord_conf(self._home, sys.executable, counts), encoding="utf-8")

    def answers(self) -> bool:
        try:
            return self.runs()
        except SupervisorSilent:
            return False

    def runs(self) -> bool:
        """Whether it is there to be asked. Raises SupervisorSilent when it is there and does not answer."""
        try:
            return self._call("getState")["statename"] in {"RUNNING", "RESTARTING", "SHUTDOWN"}
        except SupervisorSilent:
            raise
        except Unavailable:
            return False

    def pid(self) -> int:
        return int(self._call("getPID"))

    def programs(self) -> list[ProgramState]:
        return [_program_state(info) for info in cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))]

    def start_stopped(self) -> None:
        for program in self.programs():
            done = program.state == "EXITED" and program.exit_code == 0
            if program.stopped and not done:
                with contextlib.suppress(SupervisorFault):  # it has started it by itself meanwhile
                    self._call("startProcess", program.address, NO_WAIT)

    def stop(self, names: Collection[str]) -> None:
        """Tell these programs to stop, all at the same time; `shutdown` would stop one after the other."""
        for program in self.programs():
            if program.name in names and program.state in {"RUNNING", "STARTING", "BACKOFF"}:
                self._call("stopProcess", program.address, NO_WAIT)

    def change_counts(self, counts: Counts) -> None:
        """Start and stop what these counts add and leave out; every other process goes on.

        Raises ConfigurationError when the supervisord that runs cannot do that, because another release started it.
        """
        self._read_again()  # the configuration is as it was: this only finds out whether it can be read again at all
        wanted = {process.name for process in all_processes(counts)}
        superfluous = {program.name for program in self.programs()} - wanted
        self.stop(superfluous)
        deadline = time.monotonic() + STOP_LIMIT
        while any(program.name in superfluous and not program.stopped for program in self.programs()):
            if time.monotonic() > deadline:
                raise Unavailable(f"{', '.join(sorted(superfluous))}: not stopped within {STOP_LIMIT} s")
            time.sleep(0.05)
        self.write_conf(counts)
        self._read_again()

    def _read_again(self) -> None:
        try:
            self._call("orderdeck.readAgain")
        except SupervisorFault as fault:
            if fault.code != UNKNOWN_CALL:
                raise
            raise ConfigurationError(
                "the supervisord that runs here cannot change how many processes there are: `orderdeck down` first"
            ) from None

    def shutdown(self) -> None:
        self._call("shutdown")


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2_000))
            return file.read().decode(errors="replace").strip().rpartition("\n")[2] or "nothing"
    except OSError as error:
        return f"nothing that can be read ({error.strerror})"


def environment(settings: Settings) -> dict[str, str]:
    """Our environment with the values of these settings, so that a daemon takes none from a .env in its own folder.

    The key that the command shows is left out, since no daemon needs it.
    """
    ours = {name for field in Settings.model_fields for name in env_names(field)} | {"SUPERVISOR_ENABLED"}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    for field in Settings.model_fields.keys() - {"api_key", "api_key_file"}:
        value = getattr(settings, field)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if value is not None and text:
            kept[env_names(field)[0]] = text
    return kept


def _program_state(info: dict[str, Any]) -> ProgramState:
    running = info["statename"] in {"RUNNING", "STARTING", "STOPPING"}
    return ProgramState(
        name=info["name"],
        state=info["statename"],
        pid=info["pid"],
        uptime=max(0, info["now"] - info["start"]) if running else 0,
        exit_code=info["exitstatus"],
        description=info["description"],
        group=info["group"],
    )
