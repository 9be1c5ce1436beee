"""The name under which a saga runner leases sagas; from it the next runner sees whether that process still runs."""

from __future__ import annotations

import socket

import psutil

SAME_START = 1.0  # seconds; two readings of a process's start that differ by less are of the same process


def our_name() -> str:
    """Machine, process id and time of its start: in a container the next process often has the same id."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{_start_of(process):.2f}"


def gone(name: str) -> bool:
    """Whether this name is that of a process of this machine that has ended; a process that is only stopped has not.

    The answer may be wrong for a process in another container. Then a saga is claimed too early, which does no harm:
    the database refuses every append under an old lease.
    """
    host, _, rest = name.partition(":")
    pid, _, start = rest.partition(":")
    if host != socket.gethostname() or not (pid.isdigit() and start):
        return False
    try:
        process = psutil.Process(int(pid))
        return process.status() == psutil.STATUS_ZOMBIE or abs(_start_of(process) - float(start)) > SAME_START
    except psutil.NoSuchProcess:
        return True


def _start_of(process: psutil.Process) -> float:
    """When a process started, in seconds after the machine's start.

    When somebody sets the clock, both times move by the same amount, so their difference stays.
    """
    return process.create_time() - psutil.boot_time()
