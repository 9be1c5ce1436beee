"""Ends the processes and removes the files that a killed stack of one home left behind; other homes are not touched."""

from __future__ import annotations

import contextlib
import shutil

import psutil

from core.home import Home
from daemons.host.programs import PROGRAMS

PATIENCE = 10  # seconds between SIGTERM and SIGKILL


def processes_of(home: Home) -> list[psutil.Process]:
    """The supervisord of this home, its daemons and its PostgreSQL server, whatever process is their parent now."""
    return [process for process in psutil.process_iter() if _belongs(process, home)]


def end(processes: list[psutil.Process]) -> None:
    """Send SIGTERM to each process, and SIGKILL to those that still run PATIENCE seconds later."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=PATIENCE)


def remove_stale_files(home: Home) -> None:
    """Remove sockets and other files that only a running stack needs. Call it when nothing of this home runs."""
    stale = [home.supervisor_socket, home.supervisord_pid, *home.postgres_sockets.glob(".s.PGSQL.*")]
    stale += home.supervisor_socket.parent.glob("supervisor.sock.*")
    for path in stale:
        path.unlink(missing_ok=True)
    if not home.run.is_relative_to(home.path):
        shutil.rmtree(home.run, ignore_errors=True)


def _belongs(process: psutil.Process, home: Home) -> bool:
    try:
        command = process.cmdline()
        if str(home.postgres / "data") in command:
            return True
        if any("supervisord" in word for word in command):
            return str(home.supervisord_conf) in command or _home_of(process) == str(home.path)
        supervised = any(program.module in command for program in PROGRAMS)
        return supervised and _home_of(process) == str(home.path) and "SUPERVISOR_ENABLED" in process.environ()
    except psutil.Error:  # the process has ended meanwhile, or belongs to another user
        return False


def _home_of(process: psutil.Process) -> str | None:
    return process.environ().get("ORDERDECK_HOME")
