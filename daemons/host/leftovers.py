"""Ends the processes and removes the files that a killed stack of one home left behind; other homes are not touched."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

from core.errors import ConfigurationError
from core.home import Home, unprivileged_user
from daemons.process.program_list import PROGRAMS

PATIENCE = 10  # seconds between SIGTERM and SIGKILL
MODULES = {program.module for program in PROGRAMS}


def processes_of(home: Home) -> list[psutil.Process]:
    """The supervisord of this home, its daemons and its PostgreSQL server, whatever process is their parent now.

    A process is ours because of what it runs and for which home, and not because its command line mentions the home.
    """
    user = unprivileged_user()
    users = {os.geteuid(), user.pw_uid if user else os.geteuid()}
    running = [process for process in psutil.process_iter() if _user_of(process) in users]
    supervisors = [process for process in running if _is_our_supervisord(process, home)]
    pids = {process.pid for process in supervisors}
    return supervisors + [process for process in running if _is_our_program(process, home, pids)]


def end(processes: list[psutil.Process]) -> None:
    """Send SIGTERM to each process, and SIGKILL to those that still run PATIENCE seconds later.

    A frozen one goes on, since it does nothing on SIGTERM before that. Each is known by its pid and its start, so a
    process that has got the pid meanwhile is not touched.
    """
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
            process.resume()
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=PATIENCE)


def wake(processes: Iterable[psutil.Process]) -> None:
    """Let those go on that somebody has frozen with SIGSTOP: one that is frozen heeds SIGTERM when it goes on."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_STOPPED:
                process.resume()


def remove_stale_files(home: Home) -> None:
    """Remove sockets and other files that only a running stack needs. Call it when nothing of this home runs."""
    stale = [home.supervisor_socket, home.supervisord_pid, home.counts, *home.postgres_sockets.glob(".s.PGSQL.*")]
    stale += [path for kind in ("supervisor.sock.*", "*.port", "*.lock") for path in home.run.glob(kind)]
    for path in stale:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{path} is in the way and cannot be removed: {error.strerror}") from None
    if not home.run.is_relative_to(home.path):
        shutil.rmtree(home.run, ignore_errors=True)


def _user_of(process: psutil.Process) -> int | None:
    try:
        return process.uids().effective
    except psutil.Error:  # the process has ended meanwhile
        return None


def _is_our_supervisord(process: psutil.Process, home: Home) -> bool:
    """Whether the process is a supervisord that runs one of the configurations of this home."""
    try:
        match process.cmdline():
            case [_, "-m", "supervisor.supervisord", *options]:
                pass
            case [python, script, *options] if "python" in Path(python).name and Path(script).name == "supervisord":
                pass
            case _:
                return False
        if "-c" not in options[:-1]:
            return False
        conf = Path(process.cwd(), options[options.index("-c") + 1])
    except psutil.Error:  # the process has ended meanwhile, or belongs to another user
        return False
    return conf in home.supervisord_confs


def _is_our_program(process: psutil.Process, home: Home, supervisors: set[int]) -> bool:
    """Whether the process is a daemon that supervisord has started for this home, or the server of its data."""
    try:
        match process.cmdline():
            case [program, "-D", data, *_] if Path(program).name == "postgres":
                return data == str(home.postgres / "data")
            case [_, "-m", module, *_] if module in MODULES:
                if process.ppid() in supervisors:  # asked first: root in a container may not read every environment
                    return True
                environment = process.environ()
                return environment.get("ORDERDECK_HOME") == str(home.path) and "SUPERVISOR_ENABLED" in environment
            case _:
                return False
    except psutil.Error:
        return False
