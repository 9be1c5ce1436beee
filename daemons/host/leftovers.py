"""What a killed stack leaves behind, processes and files: found by its home, and nothing else is touched."""

from __future__ import annotations

import contextlib
import shutil

import psutil

from core.home import Home
from daemons.host.programs import PROGRAMS

PATIENCE = 10  # seconds between asking a process to end and ending it


def processes_of(home: Home) -> list[psutil.Process]:
    """supervisord, the daemons it started, and the PostgreSQL server of this home, whoever is their parent by now."""
    return [process for process in psutil.process_iter() if _belongs(process, home)]


def end(processes: list[psutil.Process]) -> None:
    """Ask each to end, then make it."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=PATIENCE)


def remove_stale_files(home: Home) -> None:
    """Remove what only a running stack needs. To be called when nothing of the home runs."""
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
    except psutil.Error:  # gone meanwhile, or not ours to look at
        return False


def _home_of(process: psutil.Process) -> str | None:
    return process.environ().get("ORDERDECK_HOME")
