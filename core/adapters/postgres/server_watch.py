"""Watches a running PostgreSQL server and stops it. It imports little, for its process lives as long as the server."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Generator

LOOK_EVERY = 2.0  # seconds between two looks whether the server's socket is still there
STOP_LIMIT = 10.0  # seconds for each of the three ways to stop; supervisord waits 30 for all of them


def wait_for_end(pid: int, socket: str) -> str:
    """Wait until the server, our child, has ended by itself, or nobody can reach it any more; return what has happened.

    Call it on the main thread, where Python hears of children that have ended.
    """
    with _ends_of_children() as ends:
        while (code := _exit_code(pid)) is None:
            # Programs that tidy up /tmp remove old sockets.
            if not os.path.exists(socket):  # noqa: PTH110 - pathlib is not loaded here
                return f"the socket {socket} is gone, so nobody reaches PostgreSQL"
            _wait(ends, LOOK_EVERY)
    return f"PostgreSQL ended by itself (exit code {code})"


def stop_server(pid: int) -> None:
    """Stop the server, our child, by a fast shutdown; if that takes too long, by an immediate one, then by SIGKILL."""
    with _ends_of_children() as ends:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            until = time.monotonic() + STOP_LIMIT
            while (left := until - time.monotonic()) > 0:
                if _exit_code(pid) is not None:
                    return
                _wait(ends, left)


def _exit_code(pid: int) -> int | None:
    """The exit code of our child; None while it runs, and 0 if it has been asked for before."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if ended else None


@contextlib.contextmanager
def _ends_of_children() -> Generator[int]:
    """Yields what can be read from when a child ends."""
    ends, told = os.pipe()
    for each in (ends, told):
        os.set_blocking(each, False)
    handler = signal.signal(signal.SIGCHLD, _heard)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    try:
        yield ends
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGCHLD, handler)
        os.close(ends)
        os.close(told)


def _heard(*_: object) -> None:
    """Without a handler, Python would not tell of the signal."""


def _wait(ends: int, seconds: float) -> None:
    if select.select([ends], [], [], seconds)[0]:
        os.read(ends, 4096)
