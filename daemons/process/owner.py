"""The name a runner leases under: it tells the next one on this machine whether that process still runs."""

from __future__ import annotations

import socket

import psutil

SAME = 1.0  # seconds between two readings of when a process was born


def our_name() -> str:
    """The machine, the process, and when it was born: in a container, the next one often has the same number."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{_born(process):.2f}"


def gone(name: str) -> bool:
    """Whether it names a process of this machine that has ended; a process that is only stopped has not.

    A wrong answer, as of a process in another container, only lets a saga be claimed too early: every append is fenced.
    """
    host, _, rest = name.partition(":")
    pid, _, born = rest.partition(":")
    if host != socket.gethostname() or not (pid.isdigit() and born):
        return False
    try:
        process = psutil.Process(int(pid))
        return process.status() == psutil.STATUS_ZOMBIE or abs(_born(process) - float(born)) > SAME
    except psutil.NoSuchProcess:
        return True


def _born(process: psutil.Process) -> float:
    """Seconds after the machine's start: that a clock is set right meanwhile changes both readings alike."""
    return process.create_time() - psutil.boot_time()
